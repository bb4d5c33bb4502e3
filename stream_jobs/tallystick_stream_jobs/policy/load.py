"""A policy from its file."""

from pathlib import Path
from typing import Final

from ..errors import PolicyRefused
from .model import DetectionPolicy
from .parse import parse
from .yaml_text import MAX_BYTES

FILE_NAME: Final = "detection.yaml"


def load(path: Path) -> DetectionPolicy:
    """The policy in `path`; the defaults when there is no file. PolicyRefused names the file and every mistake in it."""
    text = read_text(path)
    if text is None:
        return DetectionPolicy()
    try:
        return parse(text)
    except PolicyRefused as error:
        raise PolicyRefused([f"{path.name} {mistake}" for mistake in error.mistakes]) from error


def read_text(path: Path) -> str | None:
    """The file's text, at most what a policy may have; None when there is no file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyRefused([f"{path.name} cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_BYTES:
        raise PolicyRefused([f"{path.name} has more than {MAX_BYTES >> 10} KiB; a policy is shorter"])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyRefused([f"{path.name} is not UTF-8 (byte {error.start})"]) from error

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
    return DetectionPolicy() if text is None else named(path.name, text)


def named(name: str, text: str) -> DetectionPolicy:
    """The policy in a text; its mistakes begin with the file's name."""
    try:
        return parse(text)
    except PolicyRefused as error:
        raise PolicyRefused([f"{name} {mistake}" for mistake in error.mistakes]) from error


def read_text(path: Path) -> str | None:
    """The file's text, at most what a policy may have; None when there is no file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyRefused([f"{path.name} cannot be read: {error.strerror}"]) from error
    return text_of(path.name, raw)


def text_of(name: str, raw: bytes) -> str:
    """The text in a file's bytes; PolicyRefused when they are too many or no UTF-8."""
    if len(raw) > MAX_BYTES:
        raise PolicyRefused([f"{name} has more than {MAX_BYTES >> 10} KiB; a policy is shorter"])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyRefused([f"{name} is not UTF-8 (byte {error.start})"]) from error

"""The scenarios that come with us, and anybody's own: a YAML file is played by its path."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from ..errors import BadScenario
from .scenario import MAX_BYTES, Drill, parse_scenario

_OURS: Final = files(__package__) / "scenarios"


def names() -> list[str]:
    """Scenarios that come with us, by name."""
    return sorted(Path(one.name).stem for one in _OURS.iterdir() if one.name.endswith(".yaml"))


def find(name: str) -> Drill:
    """One of ours by name, or a file by its path; BadScenario when there is none or it cannot be played."""
    if name in names():
        return parse_scenario(name, (_OURS / f"{name}.yaml").read_text("utf-8"))
    path = Path(name)
    if not path.is_file():
        raise BadScenario(name, [f"there is no such file, and ours are {', '.join(names())}"])
    try:
        with path.open("rb") as file:
            return parse_scenario(path.stem, file.read(MAX_BYTES + 1).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadScenario(name, [f"it cannot be read: {error}"]) from error

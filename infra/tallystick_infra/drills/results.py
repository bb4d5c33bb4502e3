"""What is kept of a drill: `<deployment>/drills/<run>.json`. Shapes, and the file."""

from pathlib import Path
from typing import Literal

import msgspec

from tallystick_schemas.messages import Place

from ..errors import NoSuchRun
from .grade import Grades


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the timeline: one event, or `count` alike in a row. Times in seconds since 1970; `time` is the agent's clock, `recorded` the broker's."""

    time: float
    recorded: float
    lane: Literal["attack", "benign", "finding", "response", "agent"]
    who: str
    what: str
    place: Place
    count: int = 1
    last: float | None = None
    denied: bool = False


class History(msgspec.Struct, frozen=True):
    """What `audit verify` said of the whole history afterwards."""

    integrity: str
    completeness: str
    freshness: str
    entries: int
    events: int
    failures: list[str]

    @property
    def verified(self) -> bool:
        return (self.integrity, self.completeness, self.freshness) == ("pass", "pass", "pass")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One drill, judged."""

    run: str
    scenario: str
    title: str
    story: str
    techniques: list[str]
    seed: int
    began: float
    ended: float
    deployment: str
    grades: Grades
    history: History
    timeline: list[Moment]
    told: list[str]
    """What the players said they did, in order."""
    errors: list[str]
    cleaned: str

    @property
    def passed(self) -> bool:
        """The record shows all that was expected, nothing that must not be, and it verifies."""
        return self.grades.passed and self.history.verified and not self.errors

    def to_json(self) -> dict[str, object]:
        """As a script reads it."""
        return {"verdict": "pass" if self.passed else "fail", **msgspec.to_builtins(self)}


def keep(folder: Path, result: Result) -> Path:
    """Write the result; the file is whole or not there."""
    path, temporary = folder / f"{result.run}.json", folder / f".{result.run}.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(result.to_json()), indent=1) + b"\n")
    temporary.chmod(0o600)
    temporary.replace(path)
    return path


def known_runs(folder: Path) -> list[str]:
    """Runs whose results are kept, newest first."""
    return [path.stem for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)]


def read_result(folder: Path, run: str) -> Result:
    """The result of a run; NoSuchRun names those that there are."""
    path = folder / f"{run}.json"
    if not run.isalnum() or not path.is_file():
        raise NoSuchRun(run, folder, known_runs(folder))
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.MsgspecError as error:
        raise NoSuchRun(f"{run} that can be read ({error})", folder, known_runs(folder)) from error

"""Detectors that may no longer act by themselves, because people found them wrong too often. Only a person gives one its mode back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from .files import one_at_a_time, write_whole
from .load import read_text

FILE_NAME: Final = "demotions.json"


class Standing(msgspec.Struct, frozen=True):
    """Where a detector stands: demoted, or given back its mode by a person. `at` in seconds since 1970: earlier verdicts count no more."""

    demoted: bool
    why: str
    by: str
    at: float


def parse_standings(text: str | None) -> dict[str, Standing]:
    """Detector -> its standing; a file that cannot be read is told as an error by whoever reads it (ValueError)."""
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Standing])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f"{FILE_NAME} cannot be read: {error}; delete it to give every detector its mode back") from error


def read_standings(state_dir: Path) -> dict[str, Standing]:
    """As the file says; PolicyRefused or ValueError when it cannot be read."""
    return parse_standings(read_text(state_dir / FILE_NAME))


def demoted_of(standings: Mapping[str, Standing]) -> dict[str, str]:
    """Detector -> why, of those that are demoted."""
    return {name: one.why for name, one in standings.items() if one.demoted}


def change_standing(state_dir: Path, detector: str, standing: Standing) -> str | None:
    """Demote a detector or give it its mode back. The file's new text, or None when it stood so already."""
    with one_at_a_time(state_dir / "demotions.lock"):
        known = read_standings(state_dir)
        if standing.demoted == (detector in demoted_of(known)):
            return None
        changed = dict(sorted({**known, detector: standing}.items()))
        text = msgspec.json.format(msgspec.json.encode(changed), indent=1).decode() + "\n"
        write_whole(state_dir / FILE_NAME, text)
        return text

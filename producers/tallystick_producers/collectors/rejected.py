"""Lines that could not be recorded, kept apart with their place and the reason, so that somebody can mend and look."""

import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

MAX_BYTES: Final = 100 * 1024 * 1024
_LONGEST: Final = 64 * 1024


class Refusal(NamedTuple):
    """`place` is file:line, counted from 1; of a document, file#record."""

    place: str
    reason: str
    raw: bytes


class RejectedFile:
    """`rejected.jsonl` in the spool's directory, mode 0600, at most 100 MB; what comes after is counted and named, and no more kept.

    Lines are written before their place is remembered: a crash in between writes them twice, and never loses one.
    """

    def __init__(self, directory: Path, limit: int = MAX_BYTES) -> None:
        self.path = directory / "rejected.jsonl"
        self._limit = limit
        self.left_out = 0

    def add(self, refusals: list[Refusal]) -> None:
        """Kept, or counted in `left_out` when the bound is reached or the disk refuses: it must not hold up what is good."""
        if not refusals:
            return
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "ab") as file:
                for one in refusals:
                    text = one.raw[:_LONGEST].decode("utf-8", "backslashreplace")
                    line = msgspec.json.encode({"place": one.place, "reason": one.reason, "bytes": len(one.raw), "line": text}) + b"\n"
                    if file.tell() + len(line) > self._limit:
                        self.left_out += 1
                    else:
                        file.write(line)
        except OSError:
            self.left_out += len(refusals)

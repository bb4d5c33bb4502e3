"""Verdicts that were stored before the findings they are about: what to ask the store for, and when. Pure; `feedback` asks and keeps it."""

from collections.abc import Collection
from typing import Final

import msgspec

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
GIVEN_UP_S: Final = 86_400.0
"""A finding that the history has not got within a day was made up, or its detector's spool is lost."""
MOST: Final = 10_000


class Awaited:
    """Findings that people spoke of and the store has not. Times in seconds since 1970."""

    def __init__(self, until: dict[str, float] | None = None) -> None:
        self._until = dict(until or {})
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def findings(self) -> list[str]:
        """What to ask for."""
        return list(self._until)

    def add(self, findings: Collection[str], now: float) -> None:
        """Ask for these soon, and for a day. Beyond MOST the oldest are forgotten."""
        new = [finding for finding in findings if finding not in self._until]
        if not new:
            return
        self._pause = FIRST_PAUSE_S
        self._next = min(self._next, now + FIRST_PAUSE_S) if self._until else now + FIRST_PAUSE_S
        self._until.update(dict.fromkeys(new, now + GIVEN_UP_S))
        self._until = dict(list(self._until.items())[-MOST:])

    def due(self, now: float) -> bool:
        """Whether it is time to ask; if so, the next time is twice as far away."""
        if not self._until or now < self._next:
            return False
        self._next = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return True

    def drop(self, come: Collection[str], now: float) -> None:
        """Those that have come, and those that have not come in time."""
        self._until = {finding: until for finding, until in self._until.items() if finding not in come and now < until}

    def encoded(self) -> str:
        """For a file."""
        return msgspec.json.encode(self._until).decode()


def parse_awaited(text: str) -> Awaited:
    """From its file; msgspec.MsgspecError when it is none."""
    return Awaited(msgspec.json.decode(text, type=dict[str, float]))

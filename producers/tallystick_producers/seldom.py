"""Lines of the log that strangers can ask for: one in a while, which tells for how many it stands, so that our log fills no disk. Given the time."""

from typing import Final

QUIET_S: Final = 10.0


class Seldom:
    """One kind of line. `count`: how often it was asked for. Times in seconds of one clock."""

    def __init__(self) -> None:
        self.count = 0
        self._told, self._silent_until = 0, float("-inf")

    def ask(self, now: float) -> str | None:
        """What to put behind the line: nothing, or how many others it stands for. None: it is not to be logged, and is counted."""
        self.count += 1
        if now < self._silent_until:
            return None
        self._silent_until = now + QUIET_S
        return self.rest(but=1)

    def rest(self, but: int = 0) -> str:
        """How many were counted and never told, `but` aside; they are told now."""
        more, self._told = self.count - self._told - but, self.count
        return f" (and {more} others since the last such line)" if more else ""

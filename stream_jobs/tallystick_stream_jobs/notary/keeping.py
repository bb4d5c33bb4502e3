"""Which rejected records' bytes are kept beside their entry: so many a minute and a day of the shard, whatever comes. Pure.

Every record has its entry, for ever. Its bytes are evidence, and what verdicts 7 and 10 are judged again from; but whoever may write to topic `events`
needs no key to send garbage. What is kept is a function of the partition: time is the broker's append time, and a notary that begins anew is told what was
kept before. Records that somebody signed have bounds of their own, so that garbage pushes none of them out (docs/adr/0033).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tallystick_schemas.verdicts import Verdict

MINUTE_MS: Final = 60_000
_MINUTES_A_DAY: Final = 1440
PER_MINUTE: Final = 2 << 20
PER_DAY: Final = 64 << 20
"""Bytes of a shard, once for what was signed and once for what was not."""
SIGNED: Final = frozenset({Verdict.FORK, Verdict.BODY_MISMATCH, Verdict.MALFORMED_EVENT, Verdict.STALE_RUN})
"""Said of records whose signature was looked at, and fits."""
_DAYS: Final = 2
"""So long a minute is remembered: the broker's clock may be set back."""
REMEMBERED: Final = _DAYS * _MINUTES_A_DAY


class Kept(NamedTuple):
    """Bytes that were kept of one minute (since 1970, by append time)."""

    minute: int
    signed: bool
    size: int


class Keeping:
    """One shard's bounds. `left_out`, `left_out_bytes`: what was not kept since somebody last took the count."""

    def __init__(self, before: Iterable[Kept] = ()) -> None:
        self._minutes: dict[tuple[bool, int], int] = {}
        self._days: dict[tuple[bool, int], int] = {}
        self.left_out, self.left_out_bytes = 0, 0
        for kept in before:
            self._add(*kept)

    def keeps(self, append_ms: int, size: int, verdict: Verdict) -> bool:
        """Whether these bytes are kept; counted either way. An honest repeat never is."""
        if verdict == Verdict.SEEN:
            return False
        signed, minute = verdict in SIGNED, append_ms // MINUTE_MS
        of_minute, of_day = self._minutes.get((signed, minute), 0), self._days.get((signed, minute // _MINUTES_A_DAY), 0)
        if of_minute + size > PER_MINUTE or of_day + size > PER_DAY:
            self.left_out, self.left_out_bytes = self.left_out + 1, self.left_out_bytes + size
            return False
        self._add(minute, signed, size)
        return True

    def _add(self, minute: int, signed: bool, size: int) -> None:
        day = minute // _MINUTES_A_DAY
        self._minutes[signed, minute] = self._minutes.get((signed, minute), 0) + size
        self._days[signed, day] = self._days.get((signed, day), 0) + size
        if len(self._minutes) > 2 * REMEMBERED:
            newest = max(at for _, at in self._minutes)
            self._minutes = {key: left for key, left in self._minutes.items() if key[1] > newest - REMEMBERED}
            self._days = {key: left for key, left in self._days.items() if key[1] >= newest // _MINUTES_A_DAY - _DAYS}

    def take_left_out(self) -> tuple[int, int]:
        """(records, bytes) that were not kept since the last call."""
        taken, self.left_out, self.left_out_bytes = (self.left_out, self.left_out_bytes), 0, 0
        return taken

"""The live tail, pure: a ring of the newest verified events with a running number each, and their rate. Given `now`.

Events stay bytes until somebody looks at them: at full rate the console must count, not parse.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.messages import VerifiedBatch

_RATE_SECONDS: Final = 10


@dataclass(frozen=True)
class TailRow:
    """One event of the tail: its running number, place, and bytes."""

    number: int
    shard: int
    index: int
    pos: int
    raw: bytes


@dataclass(frozen=True)
class TailSlice:
    """What one viewer gets: rows in rising number, how many it missed since its cursor, and its next cursor."""

    rows: tuple[TailRow, ...]
    missed: int
    cursor: int


class Tail:
    """A ring of `keep` events. One writer; readers take slices by cursor."""

    def __init__(self, keep: int) -> None:
        self._ring: deque[TailRow] = deque(maxlen=keep)
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_RATE_SECONDS + 1)
        self.total = 0

    def add(self, batch: VerifiedBatch, now: float) -> None:
        """Take a batch of the topic `verified`."""
        count = 0
        for segment in batch.segments:
            for pos, raw in segment.events:
                self.total += 1
                count += 1
                self._ring.append(TailRow(self.total, batch.shard, segment.index, pos, raw))
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def since(self, cursor: int, limit: int) -> TailSlice:
        """Events after `cursor`, the newest `limit` of them."""
        newest = self.total
        rows: list[TailRow] = []
        for row in reversed(self._ring.copy()):
            if row.number <= cursor or len(rows) == limit:
                break
            rows.append(row)
        return TailSlice(tuple(reversed(rows)), max(0, newest - cursor - len(rows)), newest)

    def rate(self, now: float) -> float:
        """Events a second over the last ten whole seconds."""
        first = int(now) - _RATE_SECONDS
        return sum(count for second, count in self._seconds.copy() if first <= second < int(now)) / _RATE_SECONDS


def tail_cells(rows: Iterable[TailRow]) -> list[list[str | int]]:
    """Rows as the browser draws them: number, time, principal, action, outcome, resource, part, bytes, ip, place."""
    return [_cells(row) for row in rows]


def _cells(row: TailRow) -> list[str | int]:
    place = f"{row.shard}/{row.index}/{row.pos}"
    try:
        event = parse_event(row.raw)
    except ParseError:
        # The notary lets nothing malformed through; should one come, the tail shows it instead of stopping.
        return [row.number, "", "", "not an event", "error", "", "", "", "", place]
    resource = event.resource
    return [
        row.number,
        event.time[11:23],
        event.actor.principal,
        event.action,
        event.outcome,
        resource.id + (f"@{resource.version}" if resource.version else ""),
        resource.part or "",
        event.usage.bytes if event.usage and event.usage.bytes is not None else "",
        (event.source.ip or "") if event.source else "",
        place,
    ]

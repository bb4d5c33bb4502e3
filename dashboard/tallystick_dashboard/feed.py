"""The live tail, pure: a ring of the newest verified events with a running number each, and their rate. Given `now`.

Events stay bytes until somebody looks at them: at full rate the console must count, not parse.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.messages import VerifiedBatch
from tallystick_schemas.probes import is_probe
from tallystick_schemas.shown import shown

_RATE_SECONDS: Final = 10
_LOOKED_S: Final = 5.0
"""So long after the last look somebody still counts as looking: a page that was left for a moment finds its rows again."""


@dataclass(frozen=True)
class TailRow:
    """One event of the tail: its running number, place, and bytes."""

    number: int
    shard: int
    index: int
    pos: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Held:
    """A segment's events, (pos, raw) each; `first` is the running number of the first."""

    first: int
    shard: int
    index: int
    events: Sequence[tuple[int, bytes]]


@dataclass(frozen=True)
class TailSlice:
    """What one viewer gets: rows in rising number, how many it missed since its cursor, and its next cursor."""

    rows: tuple[TailRow, ...]
    missed: int
    cursor: int


class Tail:
    """The newest `keep` events, a few more while whole segments are held. One writer; readers take slices by cursor."""

    def __init__(self, keep: int) -> None:
        self._keep, self._held = keep, 0
        self._segments: deque[_Held] = deque()
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_RATE_SECONDS + 1)
        self._looked = 0.0
        self._began: float | None = None
        """From which second on the rate counts; None while nothing is read."""
        self._indexes: dict[tuple[int, int], int] = {}
        """(partition, shard) -> the newest segment of it: they rise, so what does not is a copy."""
        self.total = self.beginnings = 0

    def look(self, now: float) -> None:
        """Somebody has the tail before his eyes."""
        self._looked = now

    def wanted(self, now: float) -> bool:
        """Whether anybody looks: what nobody sees is not read, for each message costs a signature's check."""
        return now - self._looked < _LOOKED_S

    def end(self) -> None:
        """Nothing is read any more: what is here stays, and there is no rate."""
        self._began = None

    def begin(self, now: float) -> None:
        """Empty: what comes next does not follow what is here. The rate counts from the next whole second on."""
        self._segments.clear()
        self._seconds.clear()
        self._indexes.clear()
        self._held, self._began = 0, float(int(now) + 1)
        self.beginnings += 1

    def add(self, batch: VerifiedBatch, now: float, *, live: bool = True) -> None:
        """Take a batch of the topic `verified`. A segment costs the same whatever it holds: rows are made for who looks.

        `live`: it came while we read, and counts for the rate. A segment that was here before, as after a stranger's copy or a notary's second try,
        is not taken again.
        """
        before = self.total
        for segment in batch.segments:
            if segment.index <= self._indexes.get(place := (batch.partition, batch.shard), -1):
                continue
            self._indexes[place] = segment.index
            self._segments.append(_Held(self.total + 1, batch.shard, segment.index, segment.events))
            self.total += len(segment.events)
            self._held += len(segment.events)
        while self._segments and self._held - len(self._segments[0].events) >= self._keep:
            self._held -= len(self._segments.popleft().events)
        if not live:
            return
        count, second = self.total - before, int(now)
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def since(self, cursor: int, limit: int) -> TailSlice:
        """Events after `cursor`, the newest `limit` of them."""
        rows = list(itertools.islice(itertools.takewhile(lambda row: row.number > cursor, self._newest_first()), min(limit, self._keep)))
        newest = rows[0].number if rows else max(cursor, self.total)
        return TailSlice(tuple(reversed(rows)), max(0, newest - cursor - len(rows)), newest)

    def _newest_first(self) -> Iterator[TailRow]:
        for held in reversed(self._segments.copy()):
            for at in range(len(held.events) - 1, -1, -1):
                yield TailRow(held.first + at, held.shard, held.index, *held.events[at])

    def rate(self, now: float) -> float | None:
        """Events a second over the last ten whole seconds, or as many as were read; None where that is not one."""
        if self._began is None or (first := max(int(now) - _RATE_SECONDS, int(self._began))) >= int(now):
            return None
        return sum(count for second, count in self._seconds.copy() if first <= second < int(now)) / (int(now) - first)


def tail_cells(rows: Iterable[TailRow]) -> list[list[str | int]]:
    """Rows as the browser draws them: number, time, principal, action, outcome, resource, part, bytes, ip, place, sort."""
    return [_cells(row) for row in rows]


def _cells(row: TailRow) -> list[str | int]:
    place = f"{row.shard}:{row.index}:{row.pos}"
    try:
        event = parse_event(row.raw)
    except ParseError:
        # The notary lets nothing malformed through; should one come, the tail shows it instead of stopping.
        return [row.number, "", "", "not an event", "error", "", "", "", "", place, ""]
    resource = event.resource
    cells: list[str | int] = [
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
        _sort(event),
    ]
    return [shown(cell) if isinstance(cell, str) else cell for cell in cells]


def _sort(event: Event) -> str:
    """What the page treats apart: `beat`, an agent that says it is there, and `probe`, our own question whether a lock holds."""
    return "beat" if event.action == "agent.heartbeat" else "probe" if is_probe(event) else ""

"""Which segments to send when (SPEC section 8): a state machine that is given the time. It leaves sending, reading and deleting to the shell.

A segment is READY, then FLYING (handed to Kafka), then LANDED (Kafka has it), and leaves when its receipt comes. Each run is a lane:
- lanes go by age, and a lane waits until all of an older one of the same key has landed: a run that goes on after a newer run of its key
  has spoken looks like a copied key (D07a);
- a segment that waits too long brings all that landed after it: the lane drains first, so that what is sent again is in order;
- an unknown key stops its lane; one segment asks again, slower and slower, so that the history is not filled with refusals.
"""

import itertools
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tallystick_schemas.verdicts import Verdict

from .spool import Waiting

WINDOW_BYTES: Final = 8 << 20
MAX_KNOWN: Final = 4096
"""Segments of a lane that are held in memory; the spool knows the others."""
_BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MAX_STALLS: Final = 3
_UNANSWERED: Final = 2
"""Sent for the third time, and nobody said a word about it."""
_NO_TOP: Final = 1 << 63
_MAX_VERDICT: Final = 255
"""An entry holds it in one byte; anything else is not a notary's word."""
Key = tuple[str, int]
"""(run, n)."""


class Answer(Enum):
    """What a receipt means for a segment."""

    FREE = "free"
    KEEP = "keep"
    ASIDE = "aside"


class State(Enum):
    """Where a segment is."""

    READY = "ready"
    FLYING = "flying"
    LANDED = "landed"


@dataclass(slots=True)
class _Item:
    size: int
    state: State = State.READY
    since: float = 0.0
    """When it came into this state."""


@dataclass(slots=True)
class _Lane:
    """One run. `items` by number; `waiting` and `bytes` count what is not in memory as well; `last` is the highest number in memory, `top` in the spool
    (of a dead process's run: no number is higher)."""

    run: str
    key: str
    items: OrderedDict[int, _Item] = field(default_factory=OrderedDict)
    ready: deque[int] = field(default_factory=deque)
    waiting: int = 0
    bytes: int = 0
    last: int = -1
    top: int = -1
    more: bool = False
    flying: int = 0
    draining: bool = False
    """Nothing more leaves until nothing flies; then all that has no receipt goes again."""
    again: bool = False
    """What has landed goes again after the draining, too."""
    not_before: float = 0.0
    refusals: int = 0
    heard_at: float = 0.0
    heard: int = -1
    """Time of the newest receipt, and the highest number that had one."""
    stalls: int = 0

    @property
    def landed(self) -> bool:
        """Kafka has everything that this lane holds."""
        return not self.ready and not self.flying and not self.more


class SenderCore:
    """At most `window` bytes are on their way without a receipt, over all lanes."""

    def __init__(self, resend_s: float, window: int = WINDOW_BYTES) -> None:
        self._resend_s, self._window = resend_s, window
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._out = 0

    @property
    def waiting(self) -> int:
        """Segments without a receipt."""
        return sum(lane.waiting for lane in self._lanes.values())

    @property
    def bytes_waiting(self) -> int:
        return sum(lane.bytes for lane in self._lanes.values())

    @property
    def unanswered(self) -> bool:
        """Whether a lane's first segment landed again and again, and no receipt says a word about it."""
        return any(lane.stalls >= _UNANSWERED for lane in self._lanes.values())

    def open_lane(self, run: str, key: str, segments: int = 0, size: int = 0) -> None:
        """A run to send, signed by `key`, of which the spool already holds `segments` of `size` bytes together."""
        lane = _Lane(run, key, waiting=segments, bytes=size, more=segments > 0, top=_NO_TOP if segments else -1)
        self._lanes[run] = lane
        self._lanes = OrderedDict(sorted(self._lanes.items()))

    def mark(self) -> dict[str, int]:
        """What the spool holds now, for `before`."""
        return {lane.run: lane.top for lane in self._lanes.values()}

    def before(self, mark: dict[str, int]) -> int:
        """Segments of the time of `mark` that still have no receipt."""
        left = 0
        for run, top in mark.items():
            lane = self._lanes.get(run)
            if lane is None:
                continue
            left += sum(1 for _ in itertools.takewhile(top.__ge__, lane.items))
            if lane.more and lane.last < top:
                left += lane.waiting - len(lane.items)
        return left

    def added(self, new: Waiting) -> None:
        """A segment was committed, the next of its run."""
        lane = self._lanes[new.run]
        lane.waiting += 1
        lane.bytes += new.size
        lane.top = max(lane.top, new.n)
        if lane.more or len(lane.items) >= MAX_KNOWN:
            lane.more = True
        else:
            self._know(lane, new)

    def wanted(self) -> list[tuple[str, int, int]]:
        """(run, after, limit): what the shell should read from the spool and hand to `loaded`."""
        return [(x.run, x.last, MAX_KNOWN - len(x.items)) for x in self._lanes.values() if x.more and len(x.items) <= MAX_KNOWN // 2]

    def loaded(self, run: str, limit: int, found: list[Waiting]) -> None:
        """What the spool holds, as `wanted`; fewer than `limit` means that it was all."""
        lane = self._lanes.get(run)
        if lane is None:
            return
        for one in found:
            if one.n > lane.last:
                self._know(lane, one)
        lane.more = len(found) >= limit

    def _know(self, lane: _Lane, new: Waiting) -> None:
        lane.items[new.n] = _Item(new.size)
        lane.ready.append(new.n)
        lane.last = new.n

    def due(self, now: float, room: int = 1 << 62) -> list[Key]:
        """What to hand to Kafka now, in order, at most `room` bytes (the last may go over); it flies from here on."""
        chosen: list[Key] = []
        waits: set[str] = set()
        for lane in self._lanes.values():
            self._turn(lane, now)
            if lane.key not in waits:
                room = self._launch(lane, now, room, chosen)
            if not lane.landed:
                waits.add(lane.key)
        return chosen

    def _turn(self, lane: _Lane, now: float) -> None:
        """Overdue lanes drain; drained ones begin again."""
        if not lane.draining and self._overdue(lane, now):
            lane.draining = lane.again = True
            lane.stalls = min(lane.stalls + 1, _MAX_STALLS)
        if lane.draining and not lane.flying:
            if lane.again:
                for item in lane.items.values():
                    if item.state is State.LANDED:
                        item.state = State.READY
                        self._out -= item.size
                lane.heard = -1
            lane.ready = deque(n for n, item in lane.items.items() if item.state is State.READY)
            lane.draining = lane.again = False

    def _overdue(self, lane: _Lane, now: float) -> bool:
        return (at := self._overdue_at(lane)) is not None and now >= at

    def _overdue_at(self, lane: _Lane) -> float | None:
        """When the lane's first segment has waited too long. While receipts come in order, a slow notary is no reason to send again."""
        head = next(iter(lane.items.items()), None)
        if head is None or head[1].state is not State.LANDED:
            return None
        n, item = head
        since = item.since if lane.heard > n else max(item.since, lane.heard_at)
        return since + self._resend_s * (1 << lane.stalls)

    def _launch(self, lane: _Lane, now: float, room: int, chosen: list[Key]) -> int:
        """Segments of one lane into `chosen`; the room that is left."""
        while lane.ready and not lane.draining and now >= lane.not_before and self._out < self._window and room > 0:
            if lane.refusals and any(item.state is not State.READY for item in lane.items.values()):
                break  # it asks with one segment
            n = lane.ready.popleft()
            item = lane.items.get(n)
            if item is None or item.state is not State.READY:
                continue  # its receipt came before it was sent again
            item.state, item.since = State.FLYING, now
            lane.flying += 1
            self._out += item.size
            room -= item.size
            chosen.append((lane.run, n))
        return room

    def landed(self, key: Key, now: float) -> None:
        """Kafka says that it has the segment."""
        lane = self._lanes.get(key[0])
        item = lane.items.get(key[1]) if lane else None
        if lane and item and item.state is State.FLYING:
            item.state, item.since = State.LANDED, now
            lane.flying -= 1

    def failed(self, key: Key) -> None:
        """Kafka says that it does not have it, or cannot say."""
        lane = self._lanes.get(key[0])
        item = lane.items.get(key[1]) if lane else None
        if lane and item and item.state is State.FLYING:
            item.state = State.READY
            lane.flying -= 1
            self._out -= item.size
            lane.draining = True

    def next_due(self, now: float) -> float:
        """Seconds until `due` may have something again if nothing else happens."""
        times = [self._resend_s]
        for lane in self._lanes.values():
            if lane.ready and lane.not_before > now:
                times.append(lane.not_before - now)
            if (at := self._overdue_at(lane)) is not None:
                times.append(at - now)
        return max(0.0, min(times))

    def receipt(self, run: str, n: int, verdict: int, now: float) -> Answer | None:
        """What the notary said; None when it is about nothing that waits here."""
        lane = self._lanes.get(run)
        item = lane.items.get(n) if lane else None
        if lane is None or item is None or not 0 <= verdict <= _MAX_VERDICT:
            return None
        self._take_back(lane, item)
        lane.heard_at, lane.heard = now, max(lane.heard, n)
        if n == next(iter(lane.items)):
            lane.stalls = 0
        if verdict == Verdict.UNKNOWN_KEY:
            self._refused(lane, now)
            return Answer.KEEP
        lane.refusals, lane.not_before = 0, 0.0
        del lane.items[n]
        lane.waiting -= 1
        lane.bytes -= item.size
        return Answer.FREE if verdict in (Verdict.ACCEPTED, Verdict.OUT_OF_ORDER, Verdict.SEEN) else Answer.ASIDE

    def _take_back(self, lane: _Lane, item: _Item) -> None:
        """It is no longer on its way."""
        if item.state is not State.READY:
            self._out -= item.size
        if item.state is State.FLYING:
            lane.flying -= 1
        item.state = State.READY

    def _refused(self, lane: _Lane, now: float) -> None:
        """Enrolment may be on its way: keep it and ask again, slower and slower, but never give up."""
        if now >= lane.not_before:
            # One step for all that flew together.
            lane.not_before = now + _BACK_OFF_S[min(lane.refusals, len(_BACK_OFF_S) - 1)]
            lane.refusals += 1
        lane.draining = True  # so that `ready` is put in order again

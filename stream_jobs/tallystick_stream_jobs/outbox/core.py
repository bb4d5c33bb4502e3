"""The outbox as a state machine: what waits, in which order, what is tried when, and when it is enough. Pure: it is given now and chance.

Deliveries of one subject to one connector are a lane: one at a time, in the order of the decisions. Every method gives values to be written;
the shell writes each and hands it to `put`, the only way in, so that the replayed topic gives the same outbox.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from tallystick_schemas.messages import Decision, Delivery
from tallystick_schemas.signing import wire_time

from .errors import OrderImpossible

Lane = tuple[str, str]
"""(subject, connector)."""
_TEXT: Final = 500
UNKNOWN: Final = ""
"""What is known of a lock that was begun and never reported back."""


@dataclass(frozen=True)
class Limits:
    """Back-off in seconds, bounds of trying, and how long what is finished is kept (longer than topic `decisions` keeps what made it)."""

    base_s: float = 1.0
    cap_s: float = 300.0
    attempts: int = 500
    give_up_h: float = 24.0
    kept_days: float = 31.0


def seconds_of(wire: str) -> float:
    """A time of the wire as seconds since 1970."""
    return datetime.fromisoformat(wire).timestamp()


def is_lock(delivery: Delivery) -> bool:
    return delivery.decision.lock is not None and delivery.decision.lock.state == "locked"


class Outbox:
    """Not thread-safe: one loop owns it."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits
        self.deliveries: dict[str, Delivery] = {}
        self._lanes: dict[Lane, list[str]] = {}
        self._open: set[Lane] = set()
        self._running: set[str] = set()
        self._newest = 0.0

    def put(self, delivery: Delivery) -> None:
        """The newest word about a delivery, from the topic or about to stand there."""
        lane, known = _lane(delivery), self.deliveries.get(delivery.id)
        self.deliveries[delivery.id] = delivery
        ids = self._lanes.setdefault(lane, [])
        if known is None:
            ids.append(delivery.id)
        if known is None or known.created_at != delivery.created_at:
            # A compacted topic keeps the order of the last words, not of the first.
            ids.sort(key=lambda one: self.deliveries[one].created_at)
        self._newest = max(self._newest, seconds_of(delivery.created_at))
        if delivery.state == "waiting":
            self._open.add(lane)
        elif not any(self.deliveries[one].state == "waiting" for one in ids):
            self._open.discard(lane)

    def holds(self, subject: str) -> bool:
        """Whether the newest that was begun about a subject at any connector is a lock: something there may still be shut."""
        lanes = (ids for (about, _), ids in self._lanes.items() if about == subject)
        return any(self._in_force(ids) is not None for ids in lanes)

    def forget(self, delivery_id: str) -> None:
        """It was removed from the topic."""
        delivery = self.deliveries.pop(delivery_id)
        lane = _lane(delivery)
        self._lanes[lane].remove(delivery_id)
        if not self._lanes[lane]:
            del self._lanes[lane]

    def decided(self, decision: Decision, connectors: Mapping[str, bool], now: float) -> list[Delivery]:
        """Values for a decision, to be written in this order. `connectors`: name -> whether a newer order there takes an older one's place."""
        values: list[Delivery] = []
        for name, supersedes in connectors.items():
            delivery_id = f"{decision.id}/{name}"
            if decision.lock is None or delivery_id in self.deliveries:
                continue
            if supersedes:
                values += self._superseded((decision.subject, name), decision.id)
            # Last, since its being there says that the rest was done.
            values.append(
                Delivery(id=delivery_id, decision=decision, connector=name, state="waiting", created_at=wire_time(self._tick(now)))
            )
        return values

    def _tick(self, now: float) -> float:
        """Now, or a microsecond after the newest: the order of a lane must outlive a clock that steps back."""
        self._newest = max(now, self._newest + 1e-6)
        return self._newest

    def _superseded(self, lane: Lane, by: str) -> Iterator[Delivery]:
        for one in self._lanes.get(lane, ()):
            if self.deliveries[one].state == "waiting":
                yield replace(self.deliveries[one], state="cancelled", next_at=None, error=f"{by} took its place before it was done")

    def due(self, now: float) -> list[str]:
        """What may be tried now: the oldest that waits of each lane that nothing is under way in."""
        found = []
        for lane in self._open:
            ids = self._lanes[lane]
            if not any(one in self._running for one in ids):
                head = next(self.deliveries[one] for one in ids if self.deliveries[one].state == "waiting")
                if head.next_at is None or seconds_of(head.next_at) <= now:
                    found.append(head)
        return [one.id for one in sorted(found, key=lambda one: one.created_at)]

    def begin(self, delivery_id: str, now: float) -> Delivery:
        """The attempt, counted before it is made: who dies of it each time must come to an end as well. Given up, when it was the last one."""
        delivery = self.deliveries[delivery_id]
        if self._is_enough(delivery, now):
            return replace(delivery, state="given-up", next_at=None, error=delivery.error or "the process ended in each of its attempts")
        self._running.add(delivery_id)
        return replace(delivery, attempts=delivery.attempts + 1, detail=self._before(delivery))

    def _is_enough(self, delivery: Delivery, now: float) -> bool:
        over = now - seconds_of(delivery.created_at) >= self._limits.give_up_h * 3600
        return delivery.attempts >= self._limits.attempts or (over and delivery.attempts > 0)

    def _before(self, delivery: Delivery) -> str | None:
        """What the lock in force before this one said there: what an undo may rely on. None: there is nothing of ours."""
        known: str | None = None
        for one in (self.deliveries[other] for other in self._lanes[_lane(delivery)]):
            if one.id == delivery.id:
                break
            if one.state == "done":
                known = (one.detail or UNKNOWN) if is_lock(one) else None
            elif is_lock(one) and one.attempts and known is None:
                known = UNKNOWN
        return known

    def done(self, delivery_id: str, detail: str, now: float) -> Delivery:
        """The other side did it; also when the order was cancelled while it was under way, for that is what happened."""
        self._running.discard(delivery_id)
        delivery = self.deliveries[delivery_id]
        return replace(delivery, state="done", done_at=wire_time(now), next_at=None, error=None, detail=detail[:_TEXT])

    def failed(
        self, delivery_id: str, error: str, now: float, chance: float, *, final: bool = False, after_s: float | None = None
    ) -> Delivery:
        """An attempt failed: again after a while, or never. `chance` in [0, 1): full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015)."""
        self._running.discard(delivery_id)
        delivery = replace(self.deliveries[delivery_id], error=error[:_TEXT])
        if delivery.state == "cancelled":
            return delivery
        if final or self._is_enough(delivery, now):
            return replace(delivery, state="given-up", next_at=None)
        ceiling = min(self._limits.cap_s, self._limits.base_s * 2.0 ** min(delivery.attempts - 1, 60))
        return replace(delivery, next_at=wire_time(now + max(chance * ceiling, after_s or 0.0)))

    def retried(self, delivery_id: str, now: float) -> Delivery:
        """A person wants it tried again, from the beginning. OrderImpossible."""
        delivery = self._known(delivery_id)
        if delivery.state == "done":
            raise OrderImpossible(delivery_id, "it is done")
        if self._lanes[_lane(delivery)][-1] != delivery_id:
            raise OrderImpossible(delivery_id, "a later order about the same subject has taken its place")
        created = delivery.created_at if delivery.state == "waiting" else wire_time(self._tick(now))
        # Not 0: what an earlier attempt did there is not known, and connectors ask.
        return replace(delivery, state="waiting", created_at=created, next_at=None, attempts=min(delivery.attempts, 1))

    def cancelled(self, delivery_id: str, reason: str) -> Delivery:
        """A person wants it no more. OrderImpossible."""
        delivery = self._known(delivery_id)
        if delivery.state in ("done", "cancelled"):
            raise OrderImpossible(delivery_id, f"it is {delivery.state}")
        return replace(delivery, state="cancelled", next_at=None, error=reason[:_TEXT])

    def _known(self, delivery_id: str) -> Delivery:
        if delivery_id not in self.deliveries:
            raise OrderImpossible(delivery_id, "there is no such delivery")
        return self.deliveries[delivery_id]

    def old(self, now: float) -> list[str]:
        """Finished ones that nobody needs any more. The lock in force stays: its undo will ask what it did."""
        found = []
        for ids in self._lanes.values():
            needed = self._in_force(ids)
            for one in ids:
                delivery = self.deliveries[one]
                age = now - seconds_of(delivery.done_at or delivery.created_at)
                if delivery.state != "waiting" and one not in self._running and one != needed and age > self._limits.kept_days * 86_400:
                    found.append(one)
        return found

    def _in_force(self, ids: list[str]) -> str | None:
        last = None
        for one in (self.deliveries[other] for other in ids):
            if is_lock(one) and one.attempts:
                last = one.id
            elif one.state == "done":
                last = None
        return last


def _lane(delivery: Delivery) -> Lane:
    return delivery.decision.subject, delivery.connector

"""Guards of what doors, outboxes and agents read: the fold of locks, heartbeats, points, proofs, receipts."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.sender_core import SenderCore
from tallystick_schemas import enforcement
from tallystick_schemas.enforcement import Enforcement, PointKey
from tallystick_schemas.locks import Held, LockTopic
from tallystick_stream_jobs.outbox.proofs import Prover

from .guards import Guard, instead, wrapped


def _tombstone_lifts(before: Callable[..., Any]) -> Callable[..., Any]:
    def take(self: LockTopic, key: bytes, value: bytes | None) -> Any:
        if value is None and (held := self.held.pop(key.decode(), None)) is not None:
            return Held(msgspec.structs.replace(held.lock, state="unlocked"), held.number, held.agent, held.key)
        return before(self, key, value)

    return take


def _tombstone_signs_off(before: Callable[..., Any]) -> Callable[..., Any]:
    def take(self: Enforcement, raw_key: bytes, value: bytes | None, append_s: float) -> Any:
        if value is None:
            return self.points.pop(PointKey.parse(raw_key).point, None)
        return before(self, raw_key, value, append_s)

    return take


def _frees_the_first(before: Callable[..., Any]) -> Callable[..., Any]:
    def receipt(self: SenderCore, run: str, n: int, *said: Any) -> Any:
        items = self._lanes[run].items
        return before(self, run, n if n in items else next(iter(items), n), *said)

    return receipt


def _first_or_none(before: Callable[..., Any]) -> Callable[..., Any]:
    def receipt(self: SenderCore, run: str, n: int, *said: Any) -> Any:
        return before(self, run, n, *said) if n == next(iter(self._lanes[run].items), n) else None

    return receipt


HEARTBEAT: Final = Guard("the heartbeat's count and digest", instead(LockTopic, "agrees", lambda *_: True))
TIMELY: Final = Guard(
    "the heartbeat's time",
    wrapped(LockTable, "heartbeat", lambda before: lambda self, at, now: before(self, now.wall, now)),
)
TOMBSTONE: Final = Guard("a tombstone lifts nothing", wrapped(LockTopic, "take", _tombstone_lifts))
OWN_POINT: Final = Guard("a point speaks for itself alone", instead(enforcement, "may_speak", lambda *_: True))
NOT_LATE: Final = Guard("a point's word is of now", instead(enforcement, "LATE_S", float("inf")))
POINT_TOMBSTONE: Final = Guard("a tombstone signs nobody off", wrapped(Enforcement, "take", _tombstone_signs_off))
OPEN_PROOF: Final = Guard(
    "a proof that is open is asked for again",
    wrapped(Prover, "put", lambda before: lambda self, denial, decision, now: before(self, denial, None, now)),
)
NAMED_SEGMENT: Final = Guard("a receipt frees the segment that it names", wrapped(SenderCore, "receipt", _frees_the_first))
ANY_ORDER: Final = Guard("a receipt counts in whatever order it comes", wrapped(SenderCore, "receipt", _first_or_none))
RESENT: Final = Guard("a segment without a receipt is sent again", instead(SenderCore, "_overdue", lambda *_: False))

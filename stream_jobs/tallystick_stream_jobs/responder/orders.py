"""People's orders: signed events of trusted agents that the notary copied to `acts`. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.drills import drill_of_subject
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.messages import Level, Lock, VerifiedBatch
from tallystick_schemas.names import canonical, canonical_subject

from .book import is_time

_COMMAND: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_KINDS: Final = ("principal", "credential")
_LEVELS: Final[dict[str, Level]] = {"credential.suspend": "suspend", "credential.resume": "suspend", "credential.revoke": "revoke"}
MAX_REASON: Final = 500


@dataclass(frozen=True)
class Order:
    """What somebody orders: the lock as it would be written. `confirm`: keep the standing lock, and give it this end.

    `withdraw`: end the wait of whatever waits for a second person, and write no lock.
    `principal`: whose credential it is, as who ordered knows it.
    """

    lock: Lock
    confirm: bool = False
    principal: str | None = None
    withdraw: bool = False


def orders_of(batch: VerifiedBatch) -> list[Order]:
    """What a batch of `acts` orders, in order. What is no order about a principal or credential is left out."""
    return [
        order
        for segment in batch.segments
        for pos, raw in segment.events
        if (order := order_of(parse_event(raw), (batch.shard, segment.index, pos))) is not None
    ]


def order_of(event: Event, place: tuple[int, int, int]) -> Order | None:
    """What one event orders. The command id is the caller's, or the event's place: idempotent either way."""
    if event.resource.kind not in _KINDS or event.action not in _LEVELS:
        return None
    attrs = event.attrs or {}
    given, until = attrs.get("command", ""), attrs.get("until", "")
    subject = canonical_subject(f"{event.resource.kind}:{event.resource.id}")
    owner = attrs.get("principal")
    stepping = event.action == "credential.suspend" and attrs.get("level") == "step-up"
    lock = Lock(
        subject=subject,
        state="unlocked" if event.action == "credential.resume" else "locked",
        command=given if _COMMAND.fullmatch(given) else "order-{}-{}-{}".format(*place),
        reason=(event.why.text if event.why and event.why.text else "no reason given")[:MAX_REASON],
        by=canonical(event.actor.principal),
        at=event.time,
        until=until if event.action == "credential.suspend" and is_time(until) else None,
        finding=attrs.get("finding") or None,
        evidence=[place],
        level="step-up" if stepping else _LEVELS[event.action],
        drill=drill_of_subject(subject) or attrs.get("drill") or None,
    )
    return Order(
        lock,
        confirm=event.action == "credential.suspend" and attrs.get("confirm") == "true",
        principal=canonical(owner) if owner else None,
        withdraw=event.action == "credential.resume" and attrs.get("withdraw") == "true",
    )

"""People's orders: signed events of trusted agents that the notary copied to `acts`, as locks. Pure."""

import re
from typing import Final

from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.messages import Lock, VerifiedBatch

from .book import is_time

_COMMAND: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_KINDS: Final = ("principal", "credential")


def orders_of(batch: VerifiedBatch) -> list[Lock]:
    """The locks that a batch of `acts` orders, in order. What is no order about a principal or credential is left out."""
    return [
        lock
        for segment in batch.segments
        for pos, raw in segment.events
        if (lock := order_of(parse_event(raw), (batch.shard, segment.index, pos))) is not None
    ]


def order_of(event: Event, place: tuple[int, int, int]) -> Lock | None:
    """The lock that one event orders. The command id is the caller's, or the event's place: idempotent either way."""
    if event.resource.kind not in _KINDS or event.action not in ("credential.suspend", "credential.resume"):
        return None
    attrs = event.attrs or {}
    given, until = attrs.get("command", ""), attrs.get("until", "")
    return Lock(
        subject=f"{event.resource.kind}:{event.resource.id}",
        state="locked" if event.action == "credential.suspend" else "unlocked",
        command=given if _COMMAND.fullmatch(given) else "order-{}-{}-{}".format(*place),
        reason=(event.why.text if event.why and event.why.text else "no reason given")[:500],
        by=event.actor.principal,
        at=event.time,
        until=until if is_time(until) else None,
        finding=attrs.get("finding") or None,
        evidence=[place],
    )

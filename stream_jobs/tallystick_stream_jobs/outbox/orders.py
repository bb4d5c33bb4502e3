"""People's orders about deliveries, as events of the history: `incident.update` about a resource of kind `delivery`."""

import time
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, cast

import msgspec

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.messages import Delivery, Denial, VerifiedBatch, parse_message
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import OUTBOX, PROOFS

from .errors import OrderUnseen
from .topics import read_newest

Verb = Literal["retry", "cancel"]
_ACTION: Final = "incident.update"
_KIND: Final = "delivery"
_LOOK_S: Final = 0.3


class Order(NamedTuple):
    delivery: str
    verb: Verb
    by: str
    reason: str


def orders_of(batch: VerifiedBatch) -> Iterator[Order]:
    """Orders among verified events of command agents; what cannot be one is left out, as the notary has checked the signature already."""
    for segment in batch.segments:
        for _, raw in segment.events:
            try:
                event = parse_event(raw)
            except ParseError:
                continue  # an event of another version, which orders nothing here
            verb = (event.attrs or {}).get("order")
            if event.action == _ACTION and event.resource.kind == _KIND and verb in ("retry", "cancel"):
                reason = event.why.text if event.why and event.why.text else "no reason given"
                yield Order(event.resource.id, cast(Verb, verb), event.actor.principal, reason)


def order(recorder: Recorder, delivery: str, verb: Verb, by: str, reason: str) -> None:
    """Order it: durable when this returns."""
    recorder.record(
        _ACTION, actor=Actor(by, "human"), resource=Resource(_KIND, delivery), why=Why(text=reason), attrs={"order": verb}, durable=True
    )


def read_outbox(kafka: KafkaSettings) -> list[Delivery]:
    """Every delivery, oldest first; values that are none are left out, for nobody will deliver them."""
    found = []
    for value, _ in read_newest(kafka, OUTBOX).values():
        try:
            found.append(parse_message(Delivery, value))
        except ParseError:
            continue
    return sorted(found, key=lambda one: one.created_at)


def read_proofs(kafka: KafkaSettings) -> list[Denial]:
    """The newest word about each proof, the newest lock first; values that are none are left out, for they prove nothing."""
    found = []
    for value, _ in read_newest(kafka, PROOFS).values():
        try:
            found.append(parse_message(Denial, value))
        except ParseError:
            continue
    return sorted(found, key=lambda one: (one.locked_at, one.point), reverse=True)


def wait_changed(kafka: KafkaSettings, before: Delivery, timeout_s: float) -> Delivery:
    """The delivery once it is another than `before`. OrderUnseen."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for one in read_outbox(kafka):
            if one.id == before.id and msgspec.json.encode(one) != msgspec.json.encode(before):
                return one
        time.sleep(_LOOK_S)
    raise OrderUnseen(before.id, timeout_s)

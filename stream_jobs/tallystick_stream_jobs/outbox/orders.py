"""People's orders about deliveries, as events of the history: `incident.update` about a resource of kind `delivery`."""

import time
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, cast

import msgspec

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_producers.keyring import read_opener
from tallystick_schemas.events import Event
from tallystick_schemas.messages import Delivery, Denial, parse_message
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.topics import OUTBOX, PROOFS

from .errors import OrderUnseen
from .topics import GONE, read_signed

Verb = Literal["retry", "cancel"]
_ACTION: Final = "incident.update"
_KIND: Final = "delivery"
_LOOK_S: Final = 0.3


class Order(NamedTuple):
    delivery: str
    verb: Verb
    by: str
    reason: str


def orders_in(events: Iterable[Event]) -> Iterator[Order]:
    """Orders about deliveries among a commander's events."""
    for event in events:
        verb = (event.attrs or {}).get("order")
        if event.action == _ACTION and event.resource.kind == _KIND and verb in ("retry", "cancel"):
            reason = event.why.text if event.why and event.why.text else "no reason given"
            yield Order(event.resource.id, cast(Verb, verb), event.actor.principal, reason)


def order(recorder: Recorder, delivery: str, verb: Verb, by: str, reason: str) -> None:
    """Order it: durable when this returns."""
    recorder.record(
        _ACTION, actor=Actor(by, "human"), resource=Resource(_KIND, delivery), why=Why(text=reason), attrs={"order": verb}, durable=True
    )


def read_outbox(kafka: KafkaSettings, log: LogSettings) -> list[Delivery]:
    """Every delivery, oldest first; values that no outbox signed are left out, for nobody will deliver them."""
    words = read_signed(kafka, OUTBOX, read_opener(kafka, log)).values()
    return sorted((parse_message(Delivery, one.body) for one in words if one.body != GONE), key=lambda one: one.created_at)


def read_proofs(kafka: KafkaSettings, log: LogSettings) -> list[Denial]:
    """The newest word about each proof, the newest lock first; values that no outbox signed are left out, for they prove nothing."""
    words = read_signed(kafka, PROOFS, read_opener(kafka, log)).values()
    found = [parse_message(Denial, one.body) for one in words if one.body != GONE]
    return sorted(found, key=lambda one: (one.locked_at, one.point), reverse=True)


def wait_changed(kafka: KafkaSettings, log: LogSettings, before: Delivery, timeout_s: float) -> Delivery:
    """The delivery once it is another than `before`. OrderUnseen."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for one in read_outbox(kafka, log):
            if one.id == before.id and msgspec.json.encode(one) != msgspec.json.encode(before):
                return one
        time.sleep(_LOOK_S)
    raise OrderUnseen(before.id, timeout_s)

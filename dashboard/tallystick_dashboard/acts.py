"""Locking and lifting locks: a person's order becomes a signed event, and is applied when the lock stands on the topic `locks`."""

import asyncio
import secrets
from dataclasses import replace
from typing import Final

from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.names import canonical_subject
from tallystick_schemas.orders import MAX_REASON, MIN_REASON, REASON_RULE
from tallystick_schemas.signing import wire_time

from .boards import Order, OrderBoard, Verb
from .errors import BadOrder
from .ports import ActRecorder
from .sessions import Session

SUBJECT_KINDS: Final = ("principal", "credential")
_RECORDED: Final[dict[Verb, tuple[str, dict[str, str]]]] = {
    "suspend": ("credential.suspend", {}),
    "resume": ("credential.resume", {}),
    "step-up": ("credential.suspend", {"level": "step-up"}),
    "revoke": ("credential.revoke", {}),
    "withdraw": ("credential.resume", {"withdraw": "true"}),
}
"""What an order is recorded as: action and attributes."""


def make_order(verb: Verb, subject: str, reason: str, session: Session, now: float) -> Order:
    """A new order, or BadOrder."""
    kind, _, name = subject.partition(":")
    if kind not in SUBJECT_KINDS or not name:
        raise BadOrder("Choose whom to lock.")
    reason = " ".join(reason.split())
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise BadOrder(REASON_RULE)
    return Order(f"console-{secrets.token_hex(8)}", verb, canonical_subject(subject), session.who, reason, now)


def order_attrs(
    order: Order, until: float | None, finding: str | None, principal: str | None = None, lifts: str | None = None
) -> dict[str, str]:
    """The event's attributes: by `command` the responder's lock is recognised as this order's; `principal`: whose credential it is; `lifts`: the
    command of the lock that the analyst saw and lifts."""
    attrs = {"command": order.command} | _RECORDED[order.verb][1]
    if principal:
        attrs["principal"] = principal
    if until is not None:
        attrs["until"] = wire_time(until)
    if finding:
        attrs["finding"] = finding
    if lifts and order.verb == "resume":
        attrs["lifts"] = lifts
    return attrs


async def give_order(
    order: Order, attrs: dict[str, str], *, session: Session, recorder: ActRecorder, board: OrderBoard, timeout_s: float
) -> None:
    """Record the order durably; its steps are on the board. Never raises: what went wrong is the order's problem, for the page to show."""
    board.put(order)
    kind, _, name = order.subject.partition(":")
    record = recorder.record_async(
        _RECORDED[order.verb][0],
        actor=Actor(principal=session.who, kind="human", session=session.id),
        resource=Resource(kind=kind, id=name),
        why=Why(text=order.reason),
        attrs=attrs,
    )
    try:
        event = await asyncio.wait_for(record, timeout_s)
    except TimeoutError:
        problem = f"Not durable after {timeout_s:.0f} s. It may still be applied: the recorder keeps trying."
        board.put(replace(order, step="failed", problem=problem))
    except Exception as error:  # noqa: BLE001  # whatever the recorder raises, the analyst must see that nothing is locked
        board.put(replace(order, step="failed", problem=f"Could not be recorded: {error}"))
    else:
        # If we crash here, the order stands in the record and the responder applies it; only this page forgets it.
        board.put(replace(order, step="ordered", event=event))

"""People's orders about locks, in one place: the event that gives one, and what such an event orders. Pure.

`facts_of` and `order_of` are each other's inverse: whoever orders (command line, console, a signal's issuer) goes through here.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from .drills import drill_of_subject
from .errors import ParseError
from .events import Actor, Event, Resource, Why
from .locks import UNREADABLE, Subject
from .messages import Level, Lock, Place
from .names import canonical
from .times import is_time
from .vocabulary import ActorKind

MIN_REASON: Final = 8
MAX_REASON: Final = 1_000
"""Characters of a person's reason, everywhere."""
REASON_RULE: Final = f"Give a reason of {MIN_REASON} to {MAX_REASON:,} characters. It is kept in the record."
_COMMAND: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
_LEVELS: Final[dict[str, Level]] = {"credential.suspend": "suspend", "credential.resume": "suspend", "credential.revoke": "revoke"}
Action = Literal["credential.suspend", "credential.resume", "credential.revoke"]


@dataclass(frozen=True)
class Order:
    """What somebody orders: the lock as it would be written.

    `confirm`: keep the standing lock, and give it this end. `withdraw`: end the wait of whatever waits for a second person, and write no lock.
    `principal`: whose credential it is, as who ordered knows it. `replaces`: the command of the standing lock that this may weaken or shorten.
    `lifts`: the command of the lock that this lifts, as who ordered saw it: it lifts no other one.
    `unseen`: lock the name although the history never saw it.
    """

    lock: Lock
    confirm: bool = False
    principal: str | None = None
    withdraw: bool = False
    replaces: str | None = None
    unseen: bool = False
    lifts: str | None = None


class OrderFacts(NamedTuple):
    """An order as the arguments of `record`."""

    action: Action
    actor: Actor
    resource: Resource
    why: Why
    attrs: dict[str, str]


def action_of(lock: Lock) -> Action:
    """The action of an event about a lock."""
    if lock.state == "unlocked":
        return "credential.resume"
    return "credential.revoke" if lock.level == "revoke" else "credential.suspend"


def lifting(lock: Lock) -> str | None:
    """What an order that lifts this lock names (`Order.lifts`); nothing where this version cannot read which lock it is."""
    return None if lock.command == UNREADABLE else lock.command


def facts_of(order: Order, kind: ActorKind = "human") -> OrderFacts:
    """The event that gives an order; ParseError when its subject is none. Its time is the event's own."""
    lock, subject = order.lock, Subject.parse(order.lock.subject)
    suspending = action_of(lock) == "credential.suspend"
    said = {
        "command": lock.command,
        "until": lock.until if suspending else None,
        "level": "step-up" if suspending and lock.level == "step-up" else None,
        "finding": lock.finding,
        "principal": order.principal,
        "confirm": "true" if suspending and order.confirm else None,
        "withdraw": "true" if order.withdraw else None,
        "replaces": order.replaces,
        "unseen": "true" if order.unseen else None,
        "lifts": order.lifts if action_of(lock) == "credential.resume" else None,
        "drill": lock.drill,
    }
    attrs = {name: text for name, text in said.items() if text}
    return OrderFacts(action_of(lock), Actor(lock.by, kind), Resource(subject.kind, subject.name), Why(text=lock.reason), attrs)


def order_of(event: Event, place: Place) -> Order | None:
    """What one event orders; None when it is no order about a principal or a credential. The command id is the caller's, or the event's place."""
    if event.action not in _LEVELS or not is_time(event.time):
        return None
    try:
        subject = str(Subject.parse(f"{event.resource.kind}:{event.resource.id}"))
    except ParseError:
        return None
    attrs = event.attrs or {}
    given, until = attrs.get("command", ""), attrs.get("until", "")
    suspending = event.action == "credential.suspend"
    lock = Lock(
        subject=subject,
        state="unlocked" if event.action == "credential.resume" else "locked",
        command=given if _COMMAND.fullmatch(given) else "order-{}-{}-{}".format(*place),
        reason=(event.why.text if event.why and event.why.text else "no reason given")[:MAX_REASON],
        by=canonical(event.actor.principal),
        at=event.time,
        until=until if suspending and is_time(until) else None,
        finding=attrs.get("finding") or None,
        evidence=[place],
        level="step-up" if suspending and attrs.get("level") == "step-up" else _LEVELS[event.action],
        drill=drill_of_subject(subject) or attrs.get("drill") or None,
    )
    return Order(
        lock,
        confirm=suspending and attrs.get("confirm") == "true",
        principal=canonical(owner) if (owner := attrs.get("principal")) else None,
        withdraw=event.action == "credential.resume" and attrs.get("withdraw") == "true",
        replaces=attrs.get("replaces") or None,
        unseen=attrs.get("unseen") == "true",
        lifts=(attrs.get("lifts") or None) if event.action == "credential.resume" else None,
    )

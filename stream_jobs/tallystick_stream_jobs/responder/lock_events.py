"""A lock as an event of the history, both ways: what the responder writes down before it locks, and the word that such an event is. Pure.

Attribute `lock` is the lock as JSON and `number` its number, so that the topic can be made again from the history alone. Events of before have neither:
their lock is put together from the event's own fields, under numbers below all others.
"""

from typing import Final

import msgspec

from tallystick_schemas.envelope import Number
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, Resource, Why
from tallystick_schemas.locks import Held, Subject
from tallystick_schemas.messages import Lock, Place, encode_json, parse_lock
from tallystick_schemas.orders import action_of

from .decisions import MAX_TEXT, cut, resource_of

MAX_EVIDENCE: Final = 20
_ACTIONS: Final = {"credential.suspend": "locked", "credential.revoke": "locked", "credential.resume": "unlocked"}
_LEVELS: Final = ("step-up", "suspend", "revoke")


def bounded(lock: Lock) -> Lock:
    """The lock as it is written, here and on the topic: its reason and evidence fit an event."""
    return msgspec.structs.replace(
        lock, reason=cut(lock.reason, MAX_TEXT), by=cut(lock.by, MAX_TEXT), evidence=lock.evidence[-MAX_EVIDENCE:]
    )


def lock_event(lock: Lock, number: Number, decision: str) -> tuple[str, Resource, Why, dict[str, str]]:
    """Action, resource, why and attributes of the event that tells of a bounded lock."""
    facts = {"command": lock.command, "by": lock.by, "level": lock.level, "decision": decision}
    facts |= {key: text for key, text in (("finding", lock.finding), ("until", lock.until), ("drill", lock.drill)) if text}
    attrs = {name: cut(text, MAX_TEXT) for name, text in facts.items()}
    attrs |= {"number": f"{number.fence} {number.n}", "lock": encode_json(lock).decode()}
    return action_of(lock), resource_of(lock.subject), Why(text=lock.reason), attrs


def word_of(event: Event, place: Place, signer: tuple[str, str]) -> Held | None:
    """The word about a subject that an event of the responder is; None for its other events. ParseError where it cannot be read."""
    attrs = event.attrs or {}
    if event.action not in _ACTIONS or "decision" not in attrs:
        return None
    if "lock" not in attrs:
        return Held(_before(event, attrs, place), Number(0, place[1] * 512 + place[2]), *signer)
    raw = attrs["lock"].encode()
    lock = msgspec.json.decode(raw, type=_Named).subject
    said = parse_lock(lock.encode(), raw)
    assert isinstance(said, Lock)
    return Held(said, _number(attrs.get("number", "")), *signer)


class _Named(msgspec.Struct):
    subject: str


def _number(text: str) -> Number:
    fence, _, n = text.partition(" ")
    if not (fence.isascii() and fence.isdecimal() and n.isascii() and n.isdecimal() and len(text) <= 41):
        raise ParseError(f"{text[:50]!r} is no number of a lock")
    return Number(int(fence), int(n))


def _before(event: Event, attrs: dict[str, str], place: Place) -> Lock:
    """A lock as deployments of before wrote it down."""
    subject = str(Subject.parse(f"{event.resource.kind}:{event.resource.id}"))
    level = attrs.get("level", "suspend")
    raw = {
        "subject": subject,
        "state": _ACTIONS[event.action],
        "command": attrs.get("command", ""),
        "reason": event.why.text if event.why and event.why.text else "",
        "by": attrs.get("by", event.actor.principal),
        "at": event.time,
        "level": level if level in _LEVELS else "suspend",
        "evidence": [place],
        **{name: attrs[name] for name in ("until", "finding", "drill") if attrs.get(name)},
    }
    said = parse_lock(subject.encode(), msgspec.json.encode(raw))
    assert isinstance(said, Lock)
    return said

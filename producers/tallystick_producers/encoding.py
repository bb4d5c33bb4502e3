"""What `record()` does in the caller: an event's bytes, made once and checked as the notary will check them. Microseconds count here."""

import os
import time as clock
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import (
    MAX_EVENT_BYTES,
    TIME_PATTERN,
    Actor,
    Event,
    Resource,
    Source,
    Usage,
    Why,
    encode_event,
    is_day,
    parse_event,
)
from tallystick_schemas.names import canonical
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vocabulary import ACTIONS, Outcome, no_action

from .errors import InvalidEvent

_SLOT: Final = 18
_SALTS_AT_ONCE: Final = 256
_decode: Final = msgspec.json.Decoder(Event).decode
_OWN: Final = frozenset({Why, Usage, Source, type(None)})


class Encoder:
    """Thread-safe. A forked child makes its own: salts must not be shared."""

    def __init__(self) -> None:
        self._salts: list[str] = []
        self._second = (0, "")

    def encode(  # noqa: PLR0913, PLR0917 - the fields of an event
        self,
        action: str,
        actor: Actor,
        resource: Resource,
        outcome: Outcome,
        why: Why | None,
        usage: Usage | None,
        source: Source | None,
        attrs: Mapping[str, str] | None,
        time: str | None,
    ) -> bytes:
        """The bytes, or InvalidEvent. `time` in the format's form; now when None."""
        try:
            salt = self._salts.pop()
        except IndexError:
            salt = self._more_salts()
        if attrs is not None and type(attrs) is not dict:
            if not isinstance(attrs, Mapping):
                raise InvalidEvent(f"{action}: attrs are a mapping of text to text, not {type(attrs).__name__}")
            attrs = dict(attrs)
        actor, resource = _canonical_actor(actor), _canonical_resource(resource)
        event = Event(1, salt, time or self._now(), action, actor, resource, outcome, why, usage, source, attrs or None)
        try:
            raw = encode_event(event)
            if type(actor) is Actor and type(resource) is Resource and {type(why), type(usage), type(source)} <= _OWN:
                _check(raw, action, time)
            else:
                parse_event(raw, bounded=True)
        except (ParseError, TypeError, ValueError, RecursionError) as error:
            raise InvalidEvent(f"{action}: {error}") from error
        return raw

    def _now(self) -> str:
        """The clock in the format's form. strftime once a second, not once an event."""
        now = clock.time_ns()
        second, prefix = self._second
        if second != now // 1_000_000_000:
            second = now // 1_000_000_000
            prefix = wire_time(second)[:-7]
            self._second = (second, prefix)
        return f"{prefix}{now // 1000 % 1_000_000:06d}Z"

    def _more_salts(self) -> str:
        """A salt of a new block of random bytes; the others wait for the next events.

        Base64 of 16 bytes and two zeros begins with the 22 characters that the 16 bytes have alone, so the whole block is encoded at once.
        """
        block = bytearray(os.urandom(_SLOT * _SALTS_AT_ONCE))
        block[16::_SLOT] = block[17::_SLOT] = bytes(_SALTS_AT_ONCE)
        text = urlsafe_b64encode(block).decode()
        salts = [text[at : at + 22] for at in range(0, len(text), 24)]
        salt = salts.pop()
        self._salts = salts
        return salt


def _canonical_actor(actor: Actor) -> Actor:
    """Our own events name principals in the canonical form (ADR 0026). What is no Actor, or has no name, is refused further on."""
    if type(actor) is not Actor or type(actor.principal) is not str or (name := canonical(actor.principal)) == actor.principal:
        return actor
    return msgspec.structs.replace(actor, principal=name)


def _canonical_resource(resource: Resource) -> Resource:
    """Who is ordered about is named so too: the resource of an order is the principal."""
    if type(resource) is not Resource or resource.kind != "principal" or type(resource.id) is not str:
        return resource
    return msgspec.structs.replace(resource, id=canonical(resource.id))


def _check(raw: bytes, action: str, time: str | None) -> None:
    """`parse_event` for bytes that our own structs made: keys cannot be double, nor nesting deep, and salt and version are ours."""
    if len(raw) > MAX_EVENT_BYTES:
        raise ParseError(f"an event has {len(raw)} bytes, at most {MAX_EVENT_BYTES} are allowed")
    _decode(raw)  # structs hold whatever they were given: this is the check of types and bounds
    if b"\\u0000" in raw:
        parse_event(raw, bounded=True)
    if action not in ACTIONS:
        raise ParseError(no_action(action))
    if time is not None and not (TIME_PATTERN.fullmatch(time) and is_day(time[:10])):
        raise ParseError("time is not YYYY-MM-DDThh:mm:ss.ffffffZ, on a day from 1900 to 2299 that a calendar has")

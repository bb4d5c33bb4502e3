"""Events (SPEC section 2): what an agent says happened, one JSON object whose bytes are made once.

`encode_event` makes the bytes; `parse_event` accepts anybody's bytes and raises ParseError alone. The caller gives salt and time.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from .encoding import digest
from .errors import ParseError
from .strict_json import check_json
from .vocabulary import ACTIONS, ActorKind, Outcome, Sensitivity

MAX_EVENT_BYTES: Final = 16 * 1024
_MAX_COUNT: Final = 2**63 - 1
TIME_PATTERN: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)
_YEARS: Final = range(1900, 2300)
"""What a DateTime64 of the store holds, and every calendar has."""
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]", re.ASCII)


Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=_MAX_COUNT)]
"""Bounds that the decoder checks, and it alone: a struct that a caller makes may hold anything."""


class Actor(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who did it: the principal, and the credential that spoke for it."""

    principal: Name
    kind: ActorKind
    credential: str | None = None
    session: str | None = None
    device: str | None = None
    mfa: bool | None = None
    roles: list[str] | None = None


class Resource(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What was touched. `part` is one file or shard of it, `collection` what it belongs to."""

    kind: Name
    id: Name
    version: str | None = None
    part: str | None = None
    collection: str | None = None
    sensitivity: Sensitivity | None = None
    digest: str | None = None


class Why(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The rationale of the decision."""

    purpose: str | None = None
    grant: str | None = None
    ticket: str | None = None
    policies: list[str] | None = None
    text: str | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How much: bytes and objects moved, tokens, milliseconds."""

    bytes: Count | None = None
    objects: Count | None = None
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    duration_ms: Count | None = None
    prompt_hash: str | None = None


class Source(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where from."""

    ip: str | None = None
    country: str | None = None
    asn: Count | None = None
    user_agent: str | None = None
    host: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One event. Field order is the order in which `encode_event` writes."""

    v: int
    salt: str
    time: str
    action: str
    actor: Actor
    resource: Resource
    outcome: Outcome
    why: Why | None = None
    usage: Usage | None = None
    source: Source | None = None
    attrs: dict[str, str] | None = None


encode_event: Final = msgspec.json.Encoder().encode
"""Event -> its bytes. Check what a caller gave with `parse_event` or its own checks before signing: structs do not."""

_decoder: Final = msgspec.json.Decoder(Event)


def event_leaf(raw: bytes) -> bytes:
    """RFC 6962 leaf hash of the event's bytes."""
    return digest(b"\0" + raw)


@lru_cache(maxsize=1024)
def is_day(text: str) -> bool:
    """Whether a time's first ten characters are a day that every reader's calendar has. Asked for each event, and of few days."""
    try:
        return date.fromisoformat(text).year in _YEARS
    except ValueError:
        return False


def parse_event(raw: bytes, *, bounded: bool = False) -> Event:
    """The event in `raw`, checked against section 2; ParseError says what is wrong. Unknown fields are allowed.

    `bounded`: by the rules of level 3, under which every reader holds each number and time.
    """
    if len(raw) > MAX_EVENT_BYTES:
        raise ParseError(f"an event has {len(raw)} bytes, at most {MAX_EVENT_BYTES} are allowed")
    try:
        event = _decoder.decode(raw)
        # Section 2 lets us skip the search for duplicate keys, lone surrogates and nesting where encoding again gives the same bytes.
        if encode_event(event) != raw or b"\\u0000" in raw:
            check_json(raw, bounded=bounded)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not an event: {error}") from error
    _check_values(event)
    if bounded and not is_day(event.time[:10]):
        raise ParseError(f"no reader's calendar has the day {event.time[:10]}")
    return event


def _check_values(event: Event) -> None:
    if event.v != 1:
        raise ParseError(f"event version {event.v} is not 1")
    if event.action not in ACTIONS:
        raise ParseError(f"action {event.action!r} is not in the vocabulary")
    if not TIME_PATTERN.fullmatch(event.time):
        raise ParseError("time is not YYYY-MM-DDThh:mm:ss.ffffffZ")
    if not _SALT.fullmatch(event.salt):
        raise ParseError("salt is not 16 bytes of base64url")

"""Events (SPEC section 2): what an agent says happened, one JSON object whose bytes are made once.

`encode_event` makes the bytes; `parse_event` accepts anybody's bytes and raises ParseError alone. The caller gives salt and time.
"""

import re
from typing import Any, Final

import msgspec

from .encoding import digest
from .errors import ParseError
from .vocabulary import ACTIONS, ActorKind, Outcome, Sensitivity

MAX_EVENT_BYTES: Final = 16 * 1024
MAX_NESTING: Final = 8
_MAX_COUNT: Final = 2**63 - 1
_INTEGERS: Final = ("bytes", "objects", "tokens_in", "tokens_out", "duration_ms")
_TIME: Final = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII
)
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]", re.ASCII)


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did it: the principal, and the credential that spoke for it."""

    principal: str
    kind: ActorKind
    credential: str | None = None
    session: str | None = None
    device: str | None = None
    mfa: bool | None = None
    roles: list[str] | None = None


class Resource(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was touched. `part` is one file or shard of it, `collection` what it belongs to."""

    kind: str
    id: str
    version: str | None = None
    part: str | None = None
    collection: str | None = None
    sensitivity: Sensitivity | None = None
    digest: str | None = None


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rationale of the decision."""

    purpose: str | None = None
    grant: str | None = None
    ticket: str | None = None
    policies: list[str] | None = None
    text: str | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much: bytes and objects moved, tokens, milliseconds."""

    bytes: int | None = None
    objects: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    duration_ms: int | None = None
    prompt_hash: str | None = None


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where from."""

    ip: str | None = None
    country: str | None = None
    asn: int | None = None
    user_agent: str | None = None
    host: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
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
"""Event -> its bytes. Check them with `check_event` before signing: the structs do not check what a caller puts into them."""

_decoder: Final = msgspec.json.Decoder(Event)
_untyped: Final = msgspec.json.Decoder()


def event_leaf(raw: bytes) -> bytes:
    """RFC 6962 leaf hash of the event's bytes."""
    return digest(b"\0" + raw)


def parse_event(raw: bytes) -> Event:
    """The event in `raw`, checked against section 2; ParseError says what is wrong. Unknown fields are allowed."""
    if len(raw) > MAX_EVENT_BYTES:
        raise ParseError(f"an event has {len(raw)} bytes, at most {MAX_EVENT_BYTES} are allowed")
    try:
        event = _decoder.decode(raw)
        # Section 2 lets us skip the search for duplicate keys, lone surrogates and nesting where encoding again gives the same bytes.
        if encode_event(event) != raw or b"\\u0000" in raw:
            check_json(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not an event: {error}") from error
    _check_values(event)
    return event


def _check_values(event: Event) -> None:
    if event.v != 1:
        raise ParseError(f"event version {event.v} is not 1")
    if event.action not in ACTIONS:
        raise ParseError(f"action {event.action!r} is not in the vocabulary")
    if not _TIME.fullmatch(event.time):
        raise ParseError("time is not YYYY-MM-DDThh:mm:ss.ffffffZ")
    if not _SALT.fullmatch(event.salt):
        raise ParseError("salt is not 16 bytes of base64url")
    if not event.actor.principal or not event.resource.id or not event.resource.kind:
        raise ParseError("principal, resource kind and resource id must not be empty")
    if (usage := event.usage) is not None:
        _check_usage(usage)


def _check_usage(usage: Usage) -> None:
    for count in (usage.bytes, usage.objects, usage.tokens_in, usage.tokens_out, usage.duration_ms):
        if count is not None and not 0 <= count <= _MAX_COUNT:
            raise ParseError(f"a usage count of {count} is negative or over 2^63 - 1")


def check_json(raw: bytes) -> None:
    """The slow way for bytes of other writers: duplicate keys anywhere, lone surrogates, NUL characters, nesting, numbers, raw newlines."""
    import json  # stdlib: the only parser here that shows every key of an object, duplicates included

    if b"\n" in raw or b"\r" in raw:
        raise ParseError("an event holds a raw newline")
    if _depth(raw) > MAX_NESTING:
        raise ParseError(f"an event is nested deeper than {MAX_NESTING}")
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except ValueError as error:
        raise ParseError(f"not JSON: {error}") from error
    _check_strings(value)
    _check_integers(value)


def _depth(raw: bytes) -> int:
    """Deepest nesting of brackets outside strings."""
    deepest = depth = 0
    for match in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', raw):
        token = match.group()
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ParseError("an object has a key twice")
    return keys


def _no_constant(text: str) -> None:
    raise ParseError(f"{text} is not JSON")


def _check_integers(value: Any) -> None:
    """`1.0` and `1e3` are read as integers by some and refused by others: where section 2 wants an integer, only an integer's spelling is one."""
    usage, source = value.get("usage") or {}, value.get("source") or {}
    places = [value.get("v"), *(usage.get(name) for name in _INTEGERS), source.get("asn")]
    if any(isinstance(number, float) for number in places):
        raise ParseError("a number with a fraction or exponent stands where an integer is due")


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise ParseError("a string holds a NUL character or a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)

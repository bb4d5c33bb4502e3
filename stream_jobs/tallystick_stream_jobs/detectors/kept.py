"""A bucket as it is kept: one msgpack map, in which each principal's states are a map that can be cut out and read alone."""

from typing import Any, Final

import msgspec

from tallystick_schemas.errors import ParseError

from .peers import Shelf

FORM: Final = 2
"""Of rules' states. It rises when an older state cannot be read on; then the bucket begins anew."""
Packed = msgspec.Raw
"""Principal's states as msgpack: rule id -> the rule's state; and `day` -> the day on which it spoke last."""


class Kept(msgspec.Struct, omit_defaults=True):
    """Principals that share a hash, the one that spoke last at the end."""

    seen: dict[int, int]
    """Shard -> highest index taken in; -1 - shard for signals."""
    principals: dict[str, Packed]
    peers: Shelf = msgspec.field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    form: int = 0


class _Day(msgspec.Struct):
    day: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_kept: Final = msgspec.msgpack.Decoder(Kept).decode
_decode_states: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode
_decode_day: Final = msgspec.msgpack.Decoder(_Day).decode
_decode_rules: Final = msgspec.msgpack.Decoder(dict[str, Packed]).decode


def encode_kept(kept: Kept) -> bytes:
    return _encode(kept)


def decode_kept(raw: bytes, what: str) -> Kept:
    """ParseError when it is none, when a principal's states in it cannot be read, or when another version wrote it."""
    try:
        kept = _decode_kept(raw)
        for packed in kept.principals.values():
            _decode_states(packed)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"{what} cannot be read: {error}") from error
    if kept.form != FORM:
        raise ParseError(f"{what} was kept in form {kept.form}, and this version reads {FORM}")
    kept.principals = {name: packed.copy() for name, packed in kept.principals.items()}  # else each holds on to the whole
    return kept


def pack(states: dict[str, Any]) -> Packed:
    return Packed(_encode(states))


def unpack(packed: Packed) -> dict[str, Any]:
    return _decode_states(packed)


def day_of(packed: Packed) -> int:
    """When it spoke last; all else is skipped."""
    return _decode_day(packed).day


def state_of(packed: Packed, rule: str) -> dict[str, Any]:
    """One rule's state; all else is skipped."""
    found = _decode_rules(packed).get(rule)
    return {} if found is None else _decode_states(found)

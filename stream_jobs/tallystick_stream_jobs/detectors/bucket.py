"""What is kept of principals: their states by hash, as msgpack."""

from typing import Any, Final

import msgspec

from .peers import Shelf

FORM: Final = 2
"""Of rules' states. It rises when an older state cannot be read on; then the bucket begins anew."""


class Bucket(msgspec.Struct, omit_defaults=True):
    """Principals that share a hash, the one that spoke last at the end."""

    seen: dict[int, int]
    """Shard -> highest index taken in; -1 - shard for signals."""
    principals: dict[str, dict[str, Any]]
    """Principal -> rule id -> the rule's state; and `day` -> the day on which it spoke last."""
    peers: Shelf = msgspec.field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    form: int = 0


encode_bucket: Final[Any] = msgspec.msgpack.Encoder().encode
decode_bucket: Final = msgspec.msgpack.Decoder(Bucket).decode

"""Facts of an accepted seal (SPEC section 6): what lay between it and the seal before."""

from typing import Final

import msgspec

from .errors import ParseError
from .state import Position


class SealFacts(msgspec.Struct, frozen=True):
    """`chain` before this entry; `entries` since the last seal, this one not counted; `state` the digest of keys and runs."""

    epoch: int
    chain: str
    entries: int
    first: Position | None
    last: Position | None
    state: str


encode_facts: Final = msgspec.json.Encoder(order="sorted").encode
_decoder: Final = msgspec.json.Decoder(SealFacts)


def parse_facts(raw: bytes) -> SealFacts:
    """The facts of a seal's entry, or ParseError."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not facts of a seal: {error}") from error

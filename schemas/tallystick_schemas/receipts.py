"""Receipts (SPEC section 8): what the notary says once the store holds an entry. Keyed by the signer of the record."""

from collections.abc import Sequence
from typing import Final

import msgspec

from .errors import ParseError

SEALER: Final = "sealer"
OPERATOR: Final = "operator"
NO_RUN: Final = "0" * 32


class Receipt(msgspec.Struct, frozen=True):
    """Where a record ended. A seal has `agent` "sealer", NO_RUN and its epoch as n; an operator's record "operator", the first 32 hex
    digits of the record's SHA-256 as run, and n 0. `leaf` and `chain` are hex."""

    agent: str
    run: str
    n: int
    verdict: int
    shard: int
    index: int
    leaf: str
    chain: str


encode_receipt: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Receipt)
_several: Final = msgspec.json.Decoder(list[Receipt])


def encode_receipts(receipts: Sequence[Receipt]) -> bytes:
    """The body of one message of topic `receipts`, under one signature: receipts of the one agent that is its key."""
    return msgspec.json.encode(receipts)


def parse_receipts(raw: bytes) -> list[Receipt]:
    """The receipts in the body of a message, in their order, or ParseError."""
    try:
        return _several.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a list of receipts: {error}") from error


def parse_receipt(raw: bytes) -> Receipt:
    """A receipt, or ParseError."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a receipt: {error}") from error

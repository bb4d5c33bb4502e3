"""Entries (SPEC section 6): what the log holds for every record, its leaf, and the chain over the leaves."""

from hashlib import sha256
from typing import Final, NamedTuple

from .encoding import digest, lp, read_lp
from .errors import ParseError
from .headers import MAX_HEADER_BYTES, Kind
from .records import SIGNATURE_BYTES, parse_frame
from .verdicts import Verdict

MAX_ENTRY_BYTES: Final = 65_535
ENTRY_VERSION: Final = 1
_HEAD: Final = 1 + 1 + 4 + 4 + 8 + 8 + 1
_SHARD_GENESIS: Final = b"tallystick/v1/shard-genesis\0"
_SHARD_LINK: Final = b"tallystick/v1/shard-link\0"


class Entry(NamedTuple):
    """One entry of a shard. `append_ms` is the broker's append time in ms; `kind` 0 stands for what was malformed."""

    kind: int
    shard: int
    generation: int
    offset: int
    append_ms: int
    verdict: Verdict
    header: bytes
    sig: bytes
    facts: bytes


def encode_entry(entry: Entry) -> bytes:
    """`E`."""
    return b"".join(
        (
            bytes((ENTRY_VERSION, entry.kind)),
            entry.shard.to_bytes(4, "big"),
            entry.generation.to_bytes(4, "big"),
            entry.offset.to_bytes(8, "big"),
            entry.append_ms.to_bytes(8, "big"),
            bytes((entry.verdict,)),
            lp(entry.header),
            entry.sig,
            lp(entry.facts),
        )
    )


def parse_entry(raw: bytes) -> Entry:
    """The entry in `raw`, or ParseError."""
    if len(raw) > MAX_ENTRY_BYTES or len(raw) < _HEAD or raw[0] != ENTRY_VERSION:
        raise ParseError("not an entry of version 1")
    try:
        verdict = Verdict(raw[26])
    except ValueError as error:
        raise ParseError(f"verdict {raw[26]} is not known") from error
    header, at = read_lp(raw, _HEAD, MAX_HEADER_BYTES, "the entry's header")
    facts, end = read_lp(raw, at + SIGNATURE_BYTES, MAX_ENTRY_BYTES, "the entry's facts")
    if end != len(raw):
        raise ParseError(f"{len(raw) - end} bytes after the entry's end")
    number = int.from_bytes
    sig = raw[at : at + SIGNATURE_BYTES]
    return Entry(
        raw[1],
        number(raw[2:6], "big"),
        number(raw[6:10], "big"),
        number(raw[10:18], "big"),
        number(raw[18:26], "big"),
        verdict,
        header,
        sig,
        facts,
    )


def malformed_header(raw: bytes) -> bytes:
    """What stands for the header in the entry of bytes that are no record."""
    return b'{"length":%d,"sha256":"%b"}' % (len(raw), digest(raw).hex().encode())


def is_about(entry: Entry, raw: bytes) -> bool:
    """Whether `raw` is the record of an entry: of its kind, header and signature, or where it is none, the bytes that the entry counts and hashes."""
    if entry.kind == Kind.REJECTED:
        return entry.header == malformed_header(raw)
    try:
        frame = parse_frame(raw)
    except ParseError:
        return False
    return (frame.kind, frame.header, frame.sig) == (entry.kind, entry.header, entry.sig)


def entry_leaf(raw: bytes) -> bytes:
    """RFC 6962 leaf hash of the entry's bytes."""
    return sha256(b"\0" + raw).digest()


def genesis_chain(origin: str) -> bytes:
    """chain_-1 of the shard with this origin."""
    return digest(_SHARD_GENESIS + lp(origin.encode()))


def next_chain(chain: bytes, index: int, leaf: bytes) -> bytes:
    """chain_i from chain_{i-1}."""
    return sha256(_SHARD_LINK + chain + index.to_bytes(8, "big") + leaf).digest()

"""Records (SPEC section 4): the frame of every Kafka value on topic `events`, and the body's items."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from .encoding import lp, pae, read_lp
from .errors import ParseError
from .headers import MAX_HEADER_BYTES, MAX_SEGMENT_EVENTS, Header, Kind, parse_header, payload_type

MAGIC: Final = b"TSG1"
SIGNATURE_BYTES: Final = 64
MAX_BODY_BYTES: Final = 256 * 1024
MAX_RECORD_BYTES: Final = 4 + 1 + 4 + MAX_HEADER_BYTES + SIGNATURE_BYTES + 4 + MAX_BODY_BYTES


class Record(NamedTuple):
    """A well-framed record. Nothing about keys, signature or body has been checked yet."""

    kind: Kind
    header: Header
    header_raw: bytes
    sig: bytes
    body: bytes


class Frame(NamedTuple):
    """The parts of a record before the header is understood."""

    kind: Kind
    header: bytes
    sig: bytes
    body: bytes


def frame_record(kind: int, header: bytes, sig: bytes, body: bytes) -> bytes:
    """The bytes that travel."""
    return b"".join((MAGIC, bytes([kind]), lp(header), sig, lp(body)))


def parse_frame(raw: bytes) -> Frame:
    """The parts of `raw`; ParseError when it is not a record or a limit is broken."""
    if raw[:4] != MAGIC:
        raise ParseError("not a record: it does not begin with TSG1")
    if len(raw) < 5 or not Kind.SEGMENT <= raw[4] <= Kind.DIRECTIVE:
        raise ParseError("a record of no known kind")
    header, at = read_lp(raw, 5, MAX_HEADER_BYTES, "the header")
    body, end = read_lp(raw, at + SIGNATURE_BYTES, MAX_BODY_BYTES, "the body")
    if end != len(raw):
        raise ParseError(f"{len(raw) - end} bytes after the record's end")
    return Frame(Kind(raw[4]), header, raw[at : at + SIGNATURE_BYTES], body)


def parse_record(raw: bytes, *, bounded: bool = False) -> Record:
    """The record in `raw`; UnsupportedVersion or ParseError. `bounded` as for `parse_header`."""
    kind, header, sig, body = parse_frame(raw)
    return Record(kind, parse_header(kind, header, bounded=bounded), header, sig, body)


def signed_bytes(kind: int, header: bytes) -> bytes:
    """What the signature covers."""
    return pae(payload_type(kind), header)


def pack_items(items: Sequence[bytes]) -> bytes:
    """A body: LP of each item."""
    return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def split_items(body: bytes) -> list[bytes]:
    """The items of a body of at most 512; ParseError when it is not made of length-prefixed items."""
    items: list[bytes] = []
    at, end = 0, len(body)
    from_bytes = int.from_bytes
    while at < end:
        start = at + 4
        at = start + from_bytes(body[at:start], "big")
        if at > end or start > end or len(items) == MAX_SEGMENT_EVENTS:
            raise ParseError("the body is not made of at most 512 length-prefixed items")
        items.append(body[start:at])
    return items

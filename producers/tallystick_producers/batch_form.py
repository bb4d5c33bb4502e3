"""A batch's form, checked before a library parses it: what it announces, what it unpacks to, and whether its records are where they say. Pure."""

import struct
from typing import Final, NamedTuple

from crc32c import crc32c
from kafka.record.util import decode_varint

from .errors import BatchRefused
from .unpacking import unpack

MOST_PARTS: Final = 1 << 16
"""Records and their headers in one batch: each becomes an object many times its size. 1 MiB, the producers' largest batch of several, has some thousand."""
PREFIX: Final = struct.Struct(">qi")
"""The base offset, and how many bytes follow."""
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM: Final = 21
_MAGIC_AT: Final = 16
_OLD_ATTRIBUTES_AT: Final = 17
_CODEC: Final = 0x07
_LONG: Final = 0x80
"""Bytes from here on go on: the number has another."""
_SHORT: Final = frozenset(range(0, _LONG, 2))
"""Bytes that are a number by themselves, and no negative one."""


class Header(NamedTuple):
    """Of a batch in Kafka's format 2."""

    base: int
    length: int
    epoch: int
    magic: int
    crc: int
    attributes: int
    last_delta: int
    first_ms: int
    last_ms: int
    producer_id: int
    producer_epoch: int
    sequence: int
    records: int


def checked(batch: bytes) -> bytes:
    """The batch, without compression. BatchRefused when nobody should parse it."""
    if len(batch) > _MAGIC_AT + 1 and batch[_MAGIC_AT] < 2:
        return _check_old(batch)
    if len(batch) < _HEADER.size or crc32c(memoryview(batch)[_CRC_FROM:]) != header_of(batch).crc:
        return batch  # damaged on the way or on the disk: the library says so, and fetches again
    header = header_of(batch)
    if not 0 <= header.records <= min(MOST_PARTS, header.last_delta + 1):
        raise BatchRefused(f"it announces {header.records} records for {header.last_delta + 1} offsets; {MOST_PARTS} are read at most")
    if codec := header.attributes & _CODEC:
        batch = _plain(header, unpack(codec, batch[_HEADER.size :]))
    try:
        _walk(batch, header)
    except (IndexError, ValueError) as error:
        raise BatchRefused(f"its records have no form: {error}") from error
    return batch


def _check_old(batch: bytes) -> bytes:
    """In a format of before Kafka 0.11 a batch is one record; or, compressed, any number that only the payload says. No client of today writes it."""
    if batch[_OLD_ATTRIBUTES_AT] & _CODEC:
        raise BatchRefused("it is compressed in a format of before Kafka 0.11")
    return batch


def plain_size(batch: bytes) -> int:
    """How many bytes a batch is without compression. BatchRefused when it says more than is unpacked."""
    if len(batch) < _HEADER.size or batch[_MAGIC_AT] < 2 or not (codec := header_of(batch).attributes & _CODEC):
        return len(batch)
    return _HEADER.size + len(unpack(codec, batch[_HEADER.size :]))


def header_of(batch: bytes) -> Header:
    if batch[_MAGIC_AT] < 2:
        return Header(PREFIX.unpack_from(batch)[0], 0, -1, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1)
    return Header._make(_HEADER.unpack_from(batch))


def _plain(header: Header, payload: bytes) -> bytes:
    """As if it had been sent so. The payload is copied once: 16 MiB more here are 16 MiB more of each reader."""
    attributes, length = header.attributes & ~_CODEC, _HEADER.size - PREFIX.size + len(payload)
    plain = header._replace(attributes=attributes, length=length)
    crc = crc32c(payload, crc32c(_HEADER.pack(*plain)[_CRC_FROM:]))
    return b"".join((_HEADER.pack(*plain._replace(crc=crc)), payload))


def _walk(batch: bytes, header: Header) -> None:
    """Everything at which a library would raise, for ever, is found here. The broker looks at less: it reads no names of headers, for one.

    Numbers of one byte are read in place: a call for each took three times as long.
    """
    at, parts, before = _HEADER.size, header.records, -1
    for _ in range(header.records):
        length, at = decode_varint(batch, at)
        end = at + length
        # Attributes, which nobody uses, the time, and the offset.
        at = at + 2 if batch[at] < _LONG and batch[at + 1] < _LONG else decode_varint(batch, decode_varint(batch, at)[1])[1]
        delta, at = (batch[at] >> 1, at + 1) if batch[at] in _SHORT else decode_varint(batch, at)
        # Key and value.
        size, at = (batch[at] >> 1, at + 1) if batch[at] in _SHORT else decode_varint(batch, at)
        at += max(size, 0)
        size, at = decode_varint(batch, at)
        at += max(size, 0)
        if batch[at]:
            at, count = _skip_headers(batch, at, MOST_PARTS - parts)
            parts += count
        else:
            at += 1
        if at != end or not before < delta <= header.last_delta:
            raise BatchRefused("a record's length or offset is not what it says")
        before = delta
    if at != len(batch):
        raise BatchRefused("its payload is longer than its records")


def _skip_headers(batch: bytes, at: int, most: int) -> tuple[int, int]:
    """The place after them, and how many they are."""
    count, at = decode_varint(batch, at)
    if not 0 <= count <= most:
        raise BatchRefused(f"it has more than {MOST_PARTS} records and headers")
    for _ in range(count):
        size, at = decode_varint(batch, at)
        if size < 0:
            raise BatchRefused("a header has no name")
        batch[at : at + size].decode()
        size, at = decode_varint(batch, at + size)
        at += max(size, 0)
    return at, count

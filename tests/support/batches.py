"""Record batches as somebody who holds a password may write them: by kafka-python's own builder, or with bytes that it would never make."""

import struct

from crc32c import crc32c
from kafka.record.memory_records import MemoryRecordsBuilder

CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}
"""Those that kafka-python's builder has the libraries for."""
ATTRIBUTES_AT, LAST_DELTA_AT, COUNT_AT, RECORDS_AT = 21, 23, 57, 61
Told = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value, headers."""


def make_batch(told: list[Told], codec: int = 0, first: int = 0, magic: int = 2) -> bytes:
    """One batch; `first` is its first offset."""
    builder = MemoryRecordsBuilder(magic, codec, 1 << 30)
    for number, (key, value, headers) in enumerate(told):
        assert builder.append(1_700_000_000_000 + number, key, value, headers) is not None
    builder.close()
    return struct.pack(">q", first) + bytes(builder.buffer())[8:]


def payload_batch(payload: bytes, codec: int, count: int, first: int = 0) -> bytes:
    """`payload` as it is, behind an honest header that announces `count` records."""
    header = make_batch([(b"k", b"v", [])], first=first)[:RECORDS_AT]
    return announce(header + payload, codec=codec, count=count, last_delta=count - 1)


def announce(batch: bytes, codec: int | None = None, count: int | None = None, last_delta: int | None = None) -> bytes:
    """The batch with another header, length and checksum as they should be."""
    made = bytearray(batch)
    for at, form, value in ((ATTRIBUTES_AT, ">h", codec), (COUNT_AT, ">i", count), (LAST_DELTA_AT, ">i", last_delta)):
        if value is not None:
            struct.pack_into(form, made, at, value)
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">I", made, 17, crc32c(bytes(made[ATTRIBUTES_AT:])))
    return bytes(made)

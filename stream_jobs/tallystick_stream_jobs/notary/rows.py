"""Rows for ClickHouse's RowBinary format, made by hand since they are on the hot path (clickhouse.com/docs, "RowBinary")."""

from struct import Struct

_EVENT = Struct("<IQH").pack
_ENTRY = Struct("<IQ").pack


def varint(length: int) -> bytes:
    """LEB128, which RowBinary puts before a String."""
    out = bytearray()
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


_SHORT = [varint(n) for n in range(17 * 1024)]
"""Every length that an event can have, once."""


EVENT_PIECES = 3
"""Of one row of `event_rows`."""


def event_rows(shard: int, index: int, items: list[bytes]) -> list[bytes]:
    """Rows (shard, index, pos, raw) as pieces to be joined."""
    short = _SHORT
    pieces: list[bytes] = []
    for pos, raw in enumerate(items):
        pieces.append(_EVENT(shard, index, pos))
        pieces.append(short[len(raw)])
        pieces.append(raw)
    return pieces


def entry_row(shard: int, index: int, entry: bytes, leaf: bytes, chain: bytes) -> bytes:
    """Row (shard, index, entry, leaf, chain)."""
    return b"".join((_ENTRY(shard, index), varint(len(entry)), entry, leaf, chain))


def rejected_row(shard: int, index: int, raw: bytes) -> bytes:
    """Row (shard, index, raw)."""
    return b"".join((_ENTRY(shard, index), varint(len(raw)), raw))


def snapshot_row(shard: int, index: int, epoch: int, state: bytes) -> bytes:
    """Row (shard, index, epoch, state)."""
    return b"".join((_ENTRY(shard, index), epoch.to_bytes(8, "little"), varint(len(state)), state))

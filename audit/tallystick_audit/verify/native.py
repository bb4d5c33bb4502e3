"""ClickHouse's Native format (clickhouse.com/docs, "Native"), as much of it as a verifier reads: blocks of fixed-width and String columns.

Column by column, so that numbers and hashes come as one piece of memory and only strings need a loop. Pure: bytes come from `read`.
"""

import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Final

from ..errors import UnusableHistory

Read = Callable[[int], bytes]
"""Exactly that many bytes, fewer only at the end."""
Column = Any
"""array of numbers; list[bytes] for String; bytes for FixedString(32), all values one after the other."""
_NUMBERS: Final = {b"UInt16": "H", b"UInt32": "I", b"UInt64": "Q"}
_ITEM_BYTES: Final = {"H": 2, "I": 4, "Q": 8}


def blocks(read: Read) -> Iterator[list[Column]]:
    """Columns of each block, in the order that the query names them. A String column must follow a UInt32 column with its lengths,
    which is consumed: with the lengths known, one block is cut without looking at any byte between two strings.

    The lengths are the store's claim. A wrong one shifts bytes from one string to the next, and no hash over them holds any more.
    """
    while first := read(1):
        columns: list[Column] = []
        count = _varint(read, first)
        rows = _varint(read)
        for _ in range(count):
            _name, kind = _text(read), _text(read)
            if kind == b"String":
                columns[-1] = _strings(read, columns[-1])
            elif kind == b"FixedString(32)":
                columns.append(_exactly(read, 32 * rows))
            else:
                columns.append(_numbers(read, kind, rows))
        if rows:
            yield columns


def _numbers(read: Read, kind: bytes, rows: int) -> "array[int]":
    code = _NUMBERS.get(kind)
    if code is None:
        raise UnusableHistory(f"the store sent a column of type {kind[:60].decode('utf-8', 'replace')}, which was not asked for")
    numbers = array(code)
    numbers.frombytes(_exactly(read, rows * _ITEM_BYTES[code]))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _strings(read: Read, lengths: Column) -> list[bytes]:
    widths = [1 if n < 0x80 else 2 if n < 0x4000 else 3 if n < 0x20_0000 else 4 if n < 0x1000_0000 else 5 for n in lengths]
    data = _exactly(read, sum(widths) + sum(lengths))
    ends = accumulate(map(int.__add__, widths, lengths))
    return [data[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _varint(read: Read, first: bytes = b"") -> int:
    """LEB128."""
    value = shift = 0
    while True:
        byte = (first or _exactly(read, 1))[0]
        first = b""
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7


def _text(read: Read) -> bytes:
    return _exactly(read, _varint(read))


def _exactly(read: Read, length: int) -> bytes:
    data = read(length)
    if len(data) != length:
        raise UnusableHistory("the store's answer was cut off")
    return data

"""The Native reader: what the format's writer writes comes back, and anything cut off is said to be."""

import io
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_audit.errors import UnusableHistory
from tallystick_audit.verify.native import blocks


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def text(value: bytes) -> bytes:
    return varint(len(value)) + value


def encode(rows: list[tuple[int, bytes, bytes]]) -> bytes:
    """One block of index, leaf, length and raw, as the documentation of the format describes it."""
    return b"".join(
        (
            varint(4) + varint(len(rows)),
            text(b"index") + text(b"UInt64") + b"".join(index.to_bytes(8, "little") for index, _, _ in rows),
            text(b"leaf") + text(b"FixedString(32)") + b"".join(leaf for _, leaf, _ in rows),
            text(b"length(raw)") + text(b"UInt32") + b"".join(len(raw).to_bytes(4, "little") for _, _, raw in rows),
            text(b"raw") + text(b"String") + b"".join(text(raw) for _, _, raw in rows),
        )
    )


LENGTHS = st.sampled_from([0, 1, 127, 128, 16_383, 16_384, 70_000])
ROW = st.tuples(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), LENGTHS.map(lambda n: b"x" * n))


@given(st.lists(st.lists(ROW, max_size=5), max_size=3))
def test_round_trip(written: list[list[tuple[int, bytes, bytes]]]) -> None:
    read = list(blocks(io.BytesIO(b"".join(map(encode, written))).read))
    assert [(list(indexes), [leaves[at : at + 32] for at in range(0, len(leaves), 32)], raws) for indexes, leaves, raws in read] == [
        ([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]) for rows in written if rows
    ]


@given(st.data())
def test_cut_off(data: st.DataObject) -> None:
    whole = encode([(1, bytes(32), b"abc"), (2, bytes(32), b"")])
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(UnusableHistory, match="cut off"):
        list(blocks(io.BytesIO(whole[:cut]).read))


def test_numbers_are_arrays() -> None:
    [[indexes, _, _]] = blocks(io.BytesIO(encode([(5, bytes(32), b"")])).read)
    assert indexes == array("Q", [5])


def test_other_types_are_refused() -> None:
    with pytest.raises(UnusableHistory, match="Float64"):
        list(blocks(io.BytesIO(varint(1) + varint(1) + text(b"x") + text(b"Float64") + bytes(8)).read))

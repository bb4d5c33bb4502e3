"""Each codec: what the libraries packed comes out again up to the bound, and not a byte beyond it."""

import contextlib
import gzip
import random
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from aiokafka import codec as aio
from hypothesis import given
from hypothesis import strategies as st
from kafka import codec as sync

from tallystick_producers import unpacking
from tallystick_producers.errors import BatchRefused
from tallystick_producers.unpacking import MOST_BYTES, unpack

PACKERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, sync.gzip_encode),
    "snappy": (2, lambda told: bytes(aio.snappy_encode(told, xerial_compatible=False))),
    "snappy in xerial's blocks": (2, aio.snappy_encode),
    "lz4": (3, sync.lz4_encode),
    "lz4 by aiokafka": (3, aio.lz4_encode),
    "zstd": (4, sync.zstd_encode),
    "zstd by aiokafka": (4, aio.zstd_encode),
}
each = pytest.mark.parametrize("name", PACKERS)


@each
def test_what_was_packed_comes_out(name: str) -> None:
    codec, pack = PACKERS[name]
    for size in (0, 1, 31, 1000, 300_000):
        told = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
        assert unpack(codec, pack(told)) == told


@each
def test_the_bound_is_the_last_byte_that_passes(name: str) -> None:
    codec, pack = PACKERS[name]
    assert len(unpack(codec, pack(bytes(MOST_BYTES)))) == MOST_BYTES
    with pytest.raises(BatchRefused, match=f"more than {MOST_BYTES}|window|too much memory"):
        unpack(codec, pack(bytes(MOST_BYTES + 1)))


@each
def test_what_breaks_off_is_refused_or_short(name: str) -> None:
    """zstandard does not say it, nor do blocks that are not there; what is short then has no form as records."""
    codec, pack = PACKERS[name]
    told = random.Random(1).randbytes(70_000)
    packed = pack(told)
    for end in (1, 9, len(packed) // 2, len(packed) - 5):
        try:
            assert len(unpack(codec, packed[:end])) < len(told)
        except BatchRefused:
            continue
        assert "zstd" in name or "xerial" in name


@given(
    st.sampled_from([1, 2, 3, 4]),
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x82SNAPPY\x00", b"\x1f\x8b\x08", b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_are_a_payload_or_the_one_error(codec: int, tail: bytes, magic: bytes) -> None:
    with contextlib.suppress(BatchRefused):
        assert len(unpack(codec, magic + tail)) <= MOST_BYTES


def test_frames_inside_frames_are_unpacked_once() -> None:
    inner = gzip.compress(bytes(5000))
    assert unpack(3, lz4.frame.compress(inner)) == inner


def test_only_the_first_frame_counts() -> None:
    """A payload of 400,000 empty frames would otherwise be copied 400,000 times."""
    for codec, pack in ((1, gzip.compress), (3, lz4.frame.compress), (4, zstandard.ZstdCompressor().compress)):
        assert unpack(codec, pack(b"first") + pack(b"second")) == b"first"


def test_a_window_beyond_the_bound_is_refused_before_it_is_taken() -> None:
    packer = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27)).compressobj()
    packed = packer.compress(b"little") + packer.flush()
    with pytest.raises(BatchRefused, match=r"window|memory"):
        unpack(4, packed)


def test_a_codec_without_its_library_and_an_unknown_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "zstandard", None)
    monkeypatch.setattr(unpacking, "cramjam", None)
    for codec, why in ((2, "cramjam"), (4, "zstandard"), (5, "codec 5"), (7, "codec 7")):
        with pytest.raises(BatchRefused, match=why):
            unpack(codec, b"")

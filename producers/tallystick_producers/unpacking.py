"""Decoders of Kafka's four codecs that stop at a bound: whoever may write to a topic says in a few hundred kB how many GB its readers unpack.

Only the first frame of a payload counts, which is what every client writes. What follows it is missing afterwards, and `batches` notices.
"""

import contextlib
import zlib
from typing import Any, Final

import lz4.frame

from .errors import BatchRefused

# Agents install neither: nobody whom they believe writes with these two codecs.
zstandard: Any = None
cramjam: Any = None
with contextlib.suppress(ImportError):
    import zstandard
with contextlib.suppress(ImportError):
    import cramjam

MOST_BYTES: Final = 16 << 20
"""Of one batch. Twice what the broker's message.max.bytes and the producers' max_request_size let through without compression."""
_GZIP: Final = 31
"""zlib's `wbits`: the largest window, with gzip's header and trailer."""
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16


def unpack(codec: int, packed: bytes) -> bytes:
    """What a batch's payload says. BatchRefused when it says more than MOST_BYTES, breaks off, or nobody here knows the codec."""
    decode = _DECODERS.get(codec)
    if decode is None:
        raise BatchRefused(f"codec {codec} is not known")
    try:
        unpacked = decode(packed)
    except BatchRefused:
        raise
    except Exception as error:  # each of the four libraries has errors of its own, and RuntimeError or ValueError besides
        raise BatchRefused(f"its payload cannot be unpacked: {error}") from error
    return _within(unpacked)


def _within(unpacked: bytes) -> bytes:
    if len(unpacked) > MOST_BYTES:
        raise BatchRefused(f"it unpacks to more than {MOST_BYTES} bytes")
    return unpacked


def _decode_gzip(packed: bytes) -> bytes:
    return _whole(zlib.decompressobj(_GZIP), packed)


def _decode_lz4(packed: bytes) -> bytes:
    return _whole(lz4.frame.LZ4FrameDecompressor(), packed)


def _whole(decoder: Any, packed: bytes) -> bytes:
    unpacked: bytes = decoder.decompress(packed, MOST_BYTES + 1)
    if not decoder.eof and len(unpacked) <= MOST_BYTES:
        raise BatchRefused("its payload breaks off")
    return unpacked


def _decode_zstd(packed: bytes) -> bytes:
    if zstandard is None:
        raise BatchRefused("zstandard is not installed")
    # A frame may ask for a window of gigabytes before it has said a byte.
    with zstandard.ZstdDecompressor(max_window_size=MOST_BYTES).stream_reader(packed) as reader:
        unpacked: bytes = reader.read(MOST_BYTES + 1)
    return unpacked


def _decode_snappy(packed: bytes) -> bytes:
    """One block, or xerial's blocks after their lengths. A block begins with its length unpacked, so it is known before it costs anything."""
    if cramjam is None:
        raise BatchRefused("cramjam is not installed")
    if not packed.startswith(_XERIAL):
        return _decode_block(packed, 0)
    unpacked, at = bytearray(), _XERIAL_HEADER
    while at < len(packed):
        end = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        unpacked += _decode_block(packed[at + 4 : end], len(unpacked))
        at = end
    return bytes(unpacked)


def _decode_block(block: bytes, before: int) -> bytes:
    if before + cramjam.snappy.decompress_raw_len(block) > MOST_BYTES:
        raise BatchRefused(f"it unpacks to more than {MOST_BYTES} bytes")
    return bytes(cramjam.snappy.decompress_raw(block))


_DECODERS: Final = {1: _decode_gzip, 2: _decode_snappy, 3: _decode_lz4, 4: _decode_zstd}
"""By Kafka's numbers."""

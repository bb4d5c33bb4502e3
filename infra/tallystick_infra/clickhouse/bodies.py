"""The body of a request, as it was before it was compressed: no larger than what its user needs, however it is sent.

A body is read for users who proved their password alone, and inflated piece by piece, away from the event loop: what comes out is bounded, since
1.5 MB of gzip can hold 3 GB.
"""

import zlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import lz4.frame
import zstandard
from starlette.requests import Request

from .grants import GRANTS, OWNER, Role, user_of
from .statements import MAX_QUERY, BadRequest

MAX_INSERT: Final = 64 << 20
"""Bytes that whoever inserts may send at once. The notary sends blocks of 16 MiB and a row (`ClickHouseLedger`)."""
_PIECE: Final = 512
"""Bytes that are inflated in one step. Of zstd, the densest, each 4 can become 128 KiB: so the bound is passed by 16 MiB at the most."""
_WINDOW: Final = 8 << 20
InThread = Callable[[Callable[[], bytes]], Awaitable[bytes]]


class _Inflater(Protocol):
    """What zlib, lz4 and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_INFLATERS: Final[dict[str, Callable[[], _Inflater]]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(),
}


def most_of(role: Role) -> int:
    """Bytes that a user's body may have."""
    return MAX_INSERT if role == OWNER or GRANTS[role].inserts else MAX_QUERY


async def read_body(request: Request, role: Role, in_thread: InThread) -> bytes:
    """The body; BadRequest with ClickHouse's code when it is too large or not what its encoding says."""
    coding = request.headers.get("content-encoding", "")
    if coding not in ("", "identity", *_INFLATERS):
        raise BadRequest(48, f"content encoding {coding} is not supported here")
    raw = await _received(request, role)
    return await in_thread(lambda: inflate(raw, coding, role)) if coding in _INFLATERS else raw


async def _received(request: Request, role: Role) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most_of(role):
        raise _too_large(role)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_of(role):
            raise _too_large(role)
    return bytes(body)


def inflate(raw: bytes, coding: str, role: Role) -> bytes:
    """What was compressed, one whole stream and nothing behind it."""
    inflater, found, most = _INFLATERS[coding](), bytearray(), most_of(role)
    try:
        for start in range(0, len(raw), _PIECE):
            if inflater.eof:
                raise BadRequest(354, f"the body goes on after its {coding}")
            found += inflater.decompress(raw[start : start + _PIECE])
            if len(found) > most:
                raise _too_large(role)
    except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
        raise BadRequest(354, f"the body is not {coding}") from error
    if not inflater.eof or inflater.unused_data:
        raise BadRequest(354, f"the body is not {coding}, or not one whole stream of it")
    return bytes(found)


def _too_large(role: Role) -> BadRequest:
    return BadRequest(
        191, f"the request's body has more than {most_of(role)} bytes before or after it is inflated: user {user_of(role)} may send no more"
    )

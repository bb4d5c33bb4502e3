"""What a server's side of a connection makes of bytes, without a socket: the real protocol on a transport that keeps what is written."""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

import uvicorn
from uvicorn.server import ServerState

from tallystick_producers.serving import Limits
from tallystick_producers.serving.protocol import protocol_with


class Heard(NamedTuple):
    """What a client got, whether it was cut, and the headers of its last request as they are kept."""

    written: bytes
    is_cut: bool
    headers: list[tuple[bytes, bytes]]


class _Transport(asyncio.Transport):
    """Takes everything at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 50_000), "sockname": ("192.0.2.2", 80)})
        self.written, self._closed = bytearray(), False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Takes the whole body, and has nothing to say."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _config() -> uvicorn.Config:
    config = uvicorn.Config(_app, lifespan="off", loop="asyncio", log_config=None, access_log=False, server_header=False)
    config.load()
    return config


_CONFIG = _config()


async def talk(pieces: Iterable[bytes], limits: Limits = Limits()) -> Heard:  # noqa: B008 - frozen
    """A connection that sends these pieces one after another."""
    made: Any = protocol_with(limits)
    protocol, transport = made(_CONFIG, ServerState(), {}, asyncio.get_running_loop()), _Transport()
    protocol.connection_made(transport)
    for piece in pieces:
        protocol.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    heard = Heard(bytes(transport.written), transport.is_closing(), list(protocol.headers))
    # What waits for more of a body waits no longer.
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return heard

"""The server's side of a connection: uvicorn's HTTP/1.1 protocol with limits on what strangers may cost.

What is over a limit is answered or cut here, before there is a request to decide about, and so before anything could be recorded: a head that is too
large (431) or too slow, one connection too many (503), an answer that nobody takes.
"""

import asyncio
import logging
import socket
import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log: Final = logging.getLogger(__name__)
_GRACE_S: Final = 5
EXTENSION: Final = "tallystick.connection"
"""Where an ASGI scope's `extensions` hold the Connection."""


@dataclass(frozen=True)
class Limits:
    """What one client, and all together, may cost. Bytes and seconds."""

    head_bytes: int = 32 * 1024
    head_s: float = 10.0
    """From the first byte of a request (or the connection's begin) to the end of its headers."""
    body_s: float = 10.0
    keep_alive_s: int = 30
    stall_s: float = 30.0
    """A client that takes less than 64 KiB in so long is let go."""
    connections: int = 512


class Connection(Protocol):
    """What the application may know and do about the connection under a request."""

    def gone(self) -> bool:
        """Whether the client is no longer there."""

    def unsent(self) -> int:
        """Bytes of the answer that the operating system has not taken yet."""

    def abort(self) -> None:
        """End it now; what was not sent is dropped."""

    def cut(self) -> None:
        """End it now, and drop also what the operating system has taken and not sent yet."""


class _TooLarge(Exception):
    """Ends the parser's work on a head."""


class GatewayProtocol(HttpToolsProtocol):
    """One connection. Also the `Connection` that its requests see."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head, self._head_bytes, self._oversize = True, 0, False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        # A write waits for all before it to be with the operating system: so the gateway knows what was sent, and notices who takes nothing.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self.limits.connections:
            self._reject(503, "Too many connections; try again shortly.")
        else:
            self._arm(self.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._timer is None:
                self._arm(self.limits.head_s)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
            self._too_large()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]  # uvicorn's type wants a dict; ASGI wants nothing of the kind

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._oversize = True
            raise _TooLarge
        self._in_head, self._head_bytes = False, 0
        self._disarm()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        # Idle until the next head: the keep-alive timer runs. Bytes that end it and begin no request meet the head timer.
        self._in_head = self._in_head or not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing() and self.unsent():
            self._arm(self.limits.stall_s)

    def send_400_response(self, msg: str) -> None:
        # The parser wraps what a callback raises; a head that was too large is told as such.
        if self._oversize:
            self._too_large()
        else:
            super().send_400_response(msg)
            self._arm(self.limits.stall_s)

    def timeout_keep_alive_handler(self) -> None:
        if self.unsent():
            self.abort()
        else:
            super().timeout_keep_alive_handler()

    def gone(self) -> bool:
        return self.transport.is_closing() and not self.cycle.response_complete

    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        self.transport.abort()

    def cut(self) -> None:
        # With a linger of nothing, close() resets the connection and the kernel's send buffer (some MiB to a slow client) goes nowhere (socket(7)).
        if (channel := self.transport.get_extra_info("socket")) is not None and not self.transport.is_closing():
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _too_large(self) -> None:
        self._reject(431, f"The request's head has more than {self.limits.head_bytes} bytes.")

    def _reject(self, status: int, text: str) -> None:
        reason = {431: "Request Header Fields Too Large", 503: "Service Unavailable"}[status]
        body = text.encode()
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._arm(self.limits.stall_s)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self.abort)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol_with(limits: Limits) -> type[GatewayProtocol]:
    """The protocol class for a server with these limits."""
    return type("GatewayProtocol", (GatewayProtocol,), {"limits": limits})


def guarded_server(app: Any, host: str, port: int, limits: Limits, lifespan: Literal["auto", "on"] = "auto") -> uvicorn.Server:
    """uvicorn with limits on what comes from outside."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with(limits),
        ws="none",
        lifespan=lifespan,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=_GRACE_S,
        log_config=None,  # its own would print past the log of the process
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is who connects: a header that anyone can write would go into the history
    )
    return uvicorn.Server(config)

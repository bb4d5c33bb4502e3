"""The server's side of a connection: uvicorn's HTTP/1.1 protocol with limits on what strangers may cost.

What is over a limit is answered or cut here, before there is a request to decide about, and so before anything could be recorded: a head that is too
large (431) or too slow, one connection too many (503), a body that does not come or is all framing, an answer that nobody takes.
"""

import asyncio
import socket
import struct
from typing import Any, ClassVar, Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .limits import Limits
from .room import Guest, Room
from .timers import Timer
from .tls import Guarded

_LITTLE: Final = 64 * 1024
EXTENSION: Final = "tallystick.connection"
"""Where an ASGI scope's `extensions` hold the Connection."""


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


class GuardedProtocol(HttpToolsProtocol, Guarded):
    """One connection. Also the `Connection` that its requests see."""

    limits: ClassVar[Limits] = Limits()
    room: ClassVar[Room] = Room(limits)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head, self._in_body, self._head_bytes, self._oversize = True, False, 0, False
        self._framing = 0
        self._timer, self._taking = Timer(self.loop), Timer(self.loop)
        self._socket: asyncio.Transport | None = None
        self._guest: Guest | None = None

    # The socket: under TLS it is there before the connection is.

    def arrive(self, socket: asyncio.Transport) -> bool:
        self._socket = socket
        address = (socket.get_extra_info("peername") or ("",))[0]
        self._guest = Guest(str(address), self.loop.time(), self.abort, socket.is_closing)
        self._timer.start(self.limits.head_s, self.abort)
        return self.room.enter(self._guest)

    def depart(self) -> None:
        self._timer.stop()
        self._taking.stop()
        if self._guest is not None:
            self.room.leave(self._guest)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if self._socket is None:
            # A write waits for all before it to be with the operating system: so the gateway knows what was sent, and notices who takes nothing.
            transport.set_write_buffer_limits(high=0)
            if not self.arrive(transport):
                self._reject(503, "Too many connections; try again shortly.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.depart()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    # What comes.

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if not self._timer.runs:
                self._timer.start(self.limits.head_s, self.abort)
        self._framing += len(data)
        super().data_received(data)
        if self._in_body and self._framing > self.limits.head_bytes:
            # Extensions of chunks, or headers behind the last one: of neither does anybody here read a byte, and they need have no end.
            self.abort()
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
            self._too_large()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]  # uvicorn's type wants a dict; ASGI wants nothing of the kind

    def on_header(self, name: bytes, value: bytes) -> None:
        # One that stands behind a body in chunks (RFC 9112, 7.1.2) is no part of the head, and there may be any number.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._oversize = True
            raise _TooLarge
        self._in_head, self._in_body, self._head_bytes, self._framing = False, True, 0, 0
        if self._guest is not None:
            self._guest.asked = self._guest.busy = True
        super().on_headers_complete()
        self._timer.start(self.limits.silent_s, self._body_late)

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        if not self._is_answered():
            self._timer.start(self.limits.silent_s, self._body_late)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._timer.stop()
        super().on_message_complete()
        if self._is_answered():
            # The rest of a body that was answered before it was there: only now the connection is idle.
            self._idle()
            self._timer.start(self.limits.head_s, self.abort)

    def handle_websocket_upgrade(self) -> None:
        # From here on the socket is another protocol's, with timers of its own, and stays the guest's until it is closed.
        self._timer.stop()
        if self._guest is not None:
            self._guest.busy = True
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    def _body_late(self) -> None:
        # Who does not read, or has not said 100 yet, cannot blame the client.
        if self.flow.read_paused or (self.cycle is not None and self.cycle.waiting_for_100_continue):
            self._timer.start(self.limits.silent_s, self._body_late)
        else:
            self.abort()

    # What goes.

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self._taking, self.limits.silent_s)

    def resume_writing(self) -> None:
        self._taking.stop()
        super().resume_writing()

    def _watch(self, timer: Timer, seconds: float) -> None:
        """Look again and again whether the client takes something."""
        left = self.unsent()
        timer.start(seconds, lambda: self._look(timer, seconds, left))

    def _look(self, timer: Timer, seconds: float, left: int) -> None:
        unsent = self.unsent()
        if unsent and left - unsent < _LITTLE:
            self.abort()
        elif not unsent and self._is_answered():
            self.transport.close()
        else:
            self._watch(timer, seconds)

    def on_response_complete(self) -> None:
        if not self.pipeline:
            if self._in_body:
                # What is left of the body is read and dropped, so that the answer arrives; not for ever.
                self._timer.start(self.limits.head_s, self.abort)
            else:
                self._idle()
        super().on_response_complete()
        if self.transport.is_closing() and self.unsent():
            self._timer.start(self.limits.stall_s, self.abort)

    def _idle(self) -> None:
        """Until the next head: the keep-alive timer runs. Bytes that end it and begin no request meet the head timer."""
        self._in_head = True
        if self._guest is not None:
            self._guest.busy, self._guest.since = False, self.loop.time()

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        # The parser wraps what a callback raises; a head that was too large is told as such.
        if self._oversize:
            self._too_large()
        else:
            super().send_400_response(msg)
            self._timer.start(self.limits.stall_s, self.abort)

    def timeout_keep_alive_handler(self) -> None:
        if self.unsent():
            self._watch(self._timer, self.limits.stall_s)
        else:
            super().timeout_keep_alive_handler()

    def _too_large(self) -> None:
        self._reject(431, f"The request's head has more than {self.limits.head_bytes} bytes.")

    def _reject(self, status: int, text: str) -> None:
        reason = {431: "Request Header Fields Too Large", 503: "Service Unavailable"}[status]
        body = text.encode()
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._timer.start(self.limits.stall_s, self.abort)

    # What the application may know and do.

    def gone(self) -> bool:
        return self.transport.is_closing() and not self.cycle.response_complete

    def unsent(self) -> int:
        below = self._socket.get_write_buffer_size() if self._socket is not None and self._socket is not self.transport else 0
        return self.transport.get_write_buffer_size() + below

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()

    def cut(self) -> None:
        # With a linger of nothing, close() resets the connection and the kernel's send buffer (some MiB to a slow client) goes nowhere (socket(7)).
        if (channel := self.transport.get_extra_info("socket")) is not None and not self.transport.is_closing():
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()


def protocol_with(limits: Limits) -> type[GuardedProtocol]:
    """The protocol class for one server with these limits."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits, "room": Room(limits)})

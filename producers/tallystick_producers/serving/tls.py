"""TLS in front of a guarded connection: it takes its place when the socket comes, not when the handshake is done.

asyncio's server shows a connection after its handshake; until then nobody would count it, for a minute each.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from asyncio.sslproto import SSLProtocol
from pathlib import Path
from typing import Any, Protocol

from .limits import Limits


class Guarded(asyncio.Protocol, ABC):
    """The protocol behind it, as far as it is told of the socket itself."""

    __slots__ = ()

    @abstractmethod
    def arrive(self, socket: asyncio.Transport) -> bool:
        """Take a place in the room; False when there is none."""

    @abstractmethod
    def depart(self) -> None:
        """The socket is gone, whether the handshake was done or not."""


class _Made(Protocol):
    def __call__(self, **kwargs: Any) -> Guarded: ...


class TlsDoor(SSLProtocol):
    """One socket's TLS."""

    def __init__(self, guarded: Guarded, context: ssl.SSLContext, handshake_s: float, goodbye_s: float) -> None:
        # typeshed wants a future to wait for the handshake, and whole seconds; asyncio wants neither.
        waiter: Any = None
        times: dict[str, Any] = {"ssl_handshake_timeout": handshake_s, "ssl_shutdown_timeout": goodbye_s}
        super().__init__(asyncio.get_running_loop(), guarded, context, waiter, server_side=True, **times)
        self._guarded = guarded

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._guarded.arrive(transport):
            super().connection_made(transport)
        else:
            # Before a handshake there is nothing that could be said.
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._guarded.depart()
        super().connection_lost(exc)


class TlsDoors:
    """What a server calls to make a connection's protocol."""

    def __init__(self, guarded: _Made, certificate: Path, key: Path, limits: Limits) -> None:
        self._guarded, self._limits = guarded, limits
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)

    def __call__(self, **kwargs: Any) -> TlsDoor:
        return TlsDoor(self._guarded(**kwargs), self._context, self._limits.head_s, self._limits.stall_s)

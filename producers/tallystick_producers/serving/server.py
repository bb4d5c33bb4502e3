"""uvicorn with limits on what comes from outside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn

from .limits import Limits, raise_file_limit
from .protocol import protocol_with
from .tls import TlsDoors

_BACKLOG: Final = 128
"""Sockets that are taken at once, before any of them is counted."""
_MAX_MESSAGE: Final = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where and how a server listens. `certificate`: (certificate, key), for TLS. `grace_s`: what requests under way get when it stops."""

    host: str = "127.0.0.1"
    port: int = 0
    lifespan: Literal["auto", "on"] = "auto"
    websockets: bool = False
    certificate: tuple[Path, Path] | None = None
    grace_s: int = 5


def guarded_server(app: Any, place: Place, limits: Limits = Limits()) -> uvicorn.Server:  # noqa: B008 - frozen
    """The server, not started yet. Raises the process's limit of files as far as it may."""
    limits = limits.within(raise_file_limit())
    protocol: Any = protocol_with(limits)
    if place.certificate is not None:
        protocol = TlsDoors(protocol, *place.certificate, limits)
    config = uvicorn.Config(
        app,
        host=place.host,
        port=place.port,
        http=protocol,
        loop="asyncio",  # what was tested; the transports of uvloop, which uvicorn would take where it is installed, are of another class
        ws="auto" if place.websockets else "none",
        ws_max_size=_MAX_MESSAGE,
        lifespan=place.lifespan,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=place.grace_s,
        log_config=None,  # its own would print past the log of the process
        log_level="warning",
        access_log=False,  # it would hold tokens
        server_header=False,
        proxy_headers=False,  # who asks is who connects: a header that anyone can write would go into the history
    )
    return uvicorn.Server(config)

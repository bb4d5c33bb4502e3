"""The console's process: Kafka and ClickHouse shells, the recorder, and uvicorn on a loopback address until SIGTERM."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tallystick_producers.serving import Place, guarded_server
from tallystick_schemas.settings import AgentSettings, ClickHouseSettings, KafkaSettings, LogSettings

from .app import build_app
from .hub import Hub
from .intake import look_for_closings, take_history
from .kafka_feed import KafkaFeed
from .settings import ConsoleSettings
from .store import ClickHouseSources
from .used_links import UsedLinks, read_secret
from .watch import DetectionWatch, Watch

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 2.0
_GRACE_S = 3
_CLOSINGS_EVERY_S = 10.0  # the view reads a column of the whole history


def run_console(
    settings: ConsoleSettings,
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    log: LogSettings,
    agent: AgentSettings,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the base URL once the socket listens (port 0 takes a free one)."""
    from tallystick_producers import Recorder

    secret = read_secret(settings.secret_file)
    with ExitStack() as stack:
        listener = _listen(settings.host, settings.port)
        stack.callback(listener.close)
        recorder = stack.enter_context(Recorder.open(agent))
        sources = ClickHouseSources(clickhouse, log)
        hub = Hub(settings, log, sources, recorder)
        sources.keyring = hub.opener.keyring
        looks = (
            Watch("ledger", _LOOK_EVERY_S, lambda: take_history(hub, hub.sources.history())),
            Watch("closings", _CLOSINGS_EVERY_S, lambda: look_for_closings(hub)),
        )
        for part in (KafkaFeed(hub, kafka), DetectionWatch(hub, kafka), *looks):
            part.start()
            stack.callback(part.close)
        app = build_app(hub, secret, UsedLinks(secret, Path(settings.state_dir) / "used-links"))
        url = settings.public_url or base_url(listener)
        _log.info("console at %s", url)
        serve(app, listener, (lambda: ready(url)) if ready else None)


def base_url(listener: socket.socket) -> str:
    """`http://host:port` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def console_server(app: ASGIApp) -> uvicorn.Server:
    """The console's server, with the limits of all our servers on what comes from outside."""
    return guarded_server(app, Place(lifespan="on", websockets=True, grace_s=_GRACE_S))


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[], None] | None = None) -> None:
    """Run the server on a socket that listens already."""
    server = console_server(app)
    asyncio.run(_serve(server, listener, ready))


async def _serve(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], None] | None) -> None:
    if ready is not None:
        # The socket accepts from `listen` on; what comes before uvicorn is up waits in its backlog.
        asyncio.get_running_loop().call_soon(ready)
    await server.serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener

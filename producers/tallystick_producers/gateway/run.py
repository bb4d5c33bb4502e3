"""The gateway's process: `tallystick gateway`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import uvicorn

from tallystick_schemas.settings import AgentSettings, GatewaySettings

from ..recorder import Recorder
from .app import Gateway
from .catalog import Catalog
from .events import EventSink
from .folder_store import FolderStore
from .lock_feed import LockFeed
from .locks import LockTable
from .token_file import TokenFile
from .tokens import ensure_token_file

_THREADS: Final = 32
_MAX_CONNECTIONS: Final = 512
_MAX_HEADER: Final = 32 * 1024


def build_app(settings: GatewaySettings, sink: EventSink, locks: LockTable) -> Gateway:
    """The application; GatewaySetupError or TokenFileError with what to mend."""
    ensure_token_file(Path(settings.tokens_file))
    return Gateway(Catalog(FolderStore(Path(settings.root))), TokenFile(Path(settings.tokens_file)), locks, sink, settings.collection)


def server_of(app: Gateway, settings: GatewaySettings) -> uvicorn.Server:
    """uvicorn with limits on what comes from outside."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="h11",
        h11_max_incomplete_event_size=_MAX_HEADER,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    return uvicorn.Server(config)


def run_gateway(settings: GatewaySettings, agent: AgentSettings) -> None:
    """Until SIGTERM: requests in flight get five seconds."""
    table = LockTable(settings.lock_stale_s, settings.fail_open)
    with Recorder.open(agent) as recorder:
        app = build_app(settings, recorder, table)
        feed = LockFeed(agent.kafka, table)
        try:
            asyncio.run(_serve(server_of(app, settings)))
        finally:
            feed.close()


async def _serve(server: uvicorn.Server) -> None:
    # Every decision waits for the disk in a thread; with the default of cores + 4 they would wait for each other.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tallystick-gateway"))
    await server.serve()

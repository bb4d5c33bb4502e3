"""The gateway's process: `tallystick gateway`."""

import asyncio
import dataclasses
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import uvicorn

from tallystick_schemas.locks import LockTopic
from tallystick_schemas.settings import AgentSettings, GatewaySettings

from ..enforcement.announce import Announcer, Identity, KafkaTopic
from ..enforcement.feed import LockFeed
from ..enforcement.table import LockTable
from ..following import connect
from ..instants import Instant, now
from ..keyring import opener_of, signer_of
from ..public_url import check_public_url
from ..recorder import Recorder
from ..serving import Limits, Place, guarded_server
from .app import Gateway
from .catalog import Catalog
from .events import EventSink
from .folder_store import FolderStore
from .probe import PROBE_PATH
from .token_file import TokenFile
from .tokens import ensure_token_file

log: Final = logging.getLogger("tallystick.gateway")
_THREADS: Final = 32


def build_app(
    settings: GatewaySettings,
    sink: EventSink,
    locks: LockTable,
    clock: Callable[[], Instant] = now,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Gateway:
    """The application; SettingsError, GatewaySetupError or TokenFileError with what to mend."""
    check_public_url("gateway", settings.public_url)
    if not settings.public_url:
        log.info(
            "links begin with the address that a request came to: [gateway] public_url is empty. Set it where clients know another one"
        )
    ensure_token_file(Path(settings.tokens_file))
    catalog, tokens = Catalog(FolderStore(Path(settings.root))), TokenFile(Path(settings.tokens_file))
    return Gateway(catalog, tokens, locks, sink, settings.collection, clock, limits, settings.public_url.rstrip("/"))


def server_of(app: Gateway, settings: GatewaySettings, limits: Limits = Limits()) -> uvicorn.Server:  # noqa: B008 - frozen
    """uvicorn with limits on what comes from outside."""
    return guarded_server(app, Place(settings.host, settings.port), limits)


def run_gateway(settings: GatewaySettings, agent: AgentSettings) -> None:
    """Until SIGTERM: requests in flight get five seconds, and everything recorded goes to disk."""
    table = LockTable(settings.lock_stale_s, settings.fail_open)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal that ended it once more; by default that would end the process before the recorder is closed.
        signal.signal(number, lambda *_: None)
    # A gateway must not wait for room in the spool: it says 503 instead.
    with Recorder.open(dataclasses.replace(agent, when_full="raise")) as recorder:
        app = build_app(settings, recorder, table)
        identity = Identity(agent.agent, "gateway", _probe_url(settings))
        announcer = Announcer(identity, signer_of(agent), lambda: KafkaTopic(agent.kafka), recorder.record)
        feed = LockFeed(table, LockTopic(opener_of(agent.log)), lambda: connect(agent.kafka), announcer)
        try:
            asyncio.run(serve(server_of(app, settings)))
        finally:
            feed.close()
            announcer.close()


def _probe_url(settings: GatewaySettings) -> str | None:
    """Where the probe is asked for; nobody can be told of a port that the system chooses later."""
    if not settings.public_url and settings.port == 0:
        return None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (settings.public_url.rstrip("/") or f"http://{host}:{settings.port}") + PROBE_PATH


async def serve(server: uvicorn.Server) -> None:
    """Run the server in this loop until it is told to stop."""
    # Every decision waits for the disk in a thread; with the default of cores + 4 they would wait for each other.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tallystick-gateway"))
    await server.serve()

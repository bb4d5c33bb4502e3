"""The part `signals`: one small process of HTTP, a thread that reads decisions, and a loop that pushes. `tallystick jobs signals`."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_producers.following import connect
from tallystick_producers.gateway.token_file import TokenFile
from tallystick_producers.gateway.tokens import ensure_token_file
from tallystick_producers.keyring import ROLES_EVERY_S, LiveRoles
from tallystick_producers.serving import Limits, Place, guarded_server

from ..connectors.http import Http
from ..patience import PatientOpener, wait_for_roles
from .api import TransmitterApi
from .feed import DecisionFeed
from .inbox import Inbox, Recorded
from .jwks import MAX_BYTES, KeyCache, file_fetch
from .keyfile import KeyFile
from .poll_client import PollClient
from .push import Pusher
from .receive import ReceiverApi
from .settings import AGENT, IssuerSettings, SignalsSettings
from .store import Store
from .streams import Stream
from .transmitter import Transmitter

log: Final = logging.getLogger(__name__)
_THREADS: Final = 32
_FORGET_EVERY_S: Final = 3_600.0
_ROLES_S: Final = 3.0
"""Shorter than the feed is given to end."""


class Signals:
    """Everything of one process but its server and the feed from Kafka."""

    def __init__(self, settings: SignalsSettings, recorder: Recorded, clock: Callable[[], float] = time.time) -> None:
        ensure_token_file(Path(settings.tokens_file))
        self.settings, self._recorder, self._clock = settings, recorder, clock
        self.store = Store(Path(settings.state_dir) / "signals.db")
        self.keys, self.tokens = KeyFile(Path(settings.keys_file), clock()), TokenFile(Path(settings.tokens_file))
        self.transmitter = Transmitter(settings, self.store, self._told)
        self.inboxes = {issuer.name: self._inbox(issuer) for issuer in settings.issuers}
        self._theirs = ReceiverApi(self.inboxes, self.tokens, recorder, clock)

    def _told(self, action: str, stream: Stream, words: str) -> None:
        attrs = {"stream": stream.id, "receiver": stream.receiver}
        self._recorder.record(
            action, actor=Actor(AGENT, "service"), resource=Resource("signal-stream", stream.id), why=Why(text=words[:1000]), attrs=attrs
        )

    def _inbox(self, issuer: IssuerSettings) -> Inbox:
        fetch = file_fetch(issuer.jwks_file) if issuer.jwks_file else _fetch(issuer)
        return Inbox(issuer, KeyCache(issuer, fetch).key, self.store, self._recorder, self.settings.max_age_s)

    def app(self) -> Starlette:
        """The application; its lifespan runs the loops."""
        mine = TransmitterApi(self.settings, self.store, self.keys, self.tokens, self.transmitter, self._told, self._clock)
        return Starlette(routes=[Route("/healthz", _health), *mine.routes(), *self._theirs.routes()], lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        pusher = Pusher(self.settings, self.store, self.keys, self.transmitter, self._told, self._clock)
        loops = [pusher.run(), self._forgetting()]
        loops += [PollClient(inbox, clock=self._clock).run() for inbox in self.inboxes.values() if inbox.issuer.poll_url]
        tasks = [asyncio.create_task(loop) for loop in loops]
        for task in tasks:
            task.add_done_callback(_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.stop_telling()

    def stop_telling(self) -> None:
        """At the end: what was refused and only counted yet is told."""
        self._theirs.end()

    async def _forgetting(self) -> None:
        while True:
            # Twice as long as tokens are taken: what is forgotten can't be taken again.
            await asyncio.to_thread(self.store.forget, self._clock() - 2 * self.settings.max_age_s)
            await asyncio.sleep(_FORGET_EVERY_S)


def _ended(task: "asyncio.Task[None]") -> None:
    """A loop that ends by itself would be a part that looks well and does nothing: the process ends, and the supervisor starts it again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("signals stop: %s: %s", type(error).__name__, error, exc_info=error)
        signal.raise_signal(signal.SIGTERM)


def _fetch(issuer: IssuerSettings) -> Callable[[], bytes]:
    http = Http(allow_private=issuer.allow_private, max_bytes=MAX_BYTES)
    return lambda: http.send("GET", issuer.jwks_uri, headers={"accept": "application/jwk-set+json, application/json"}).check().body


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def server_of(app: Starlette, settings: SignalsSettings, limits: Limits = Limits()) -> uvicorn.Server:  # noqa: B008 - frozen
    """uvicorn with the limits of all our servers on what comes from outside."""
    return guarded_server(app, Place(settings.host, settings.port, "on"), limits)


async def serve(server: uvicorn.Server) -> None:
    """Run the server in this loop until it is told to stop."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "tallystick-signals"))
    await server.serve()


def run_signals(settings: SignalsSettings) -> None:
    """Until SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal that ended it once more; by default that would end the process before the recorder is closed.
        signal.signal(number, lambda *_: None)
    with Recorder.open(settings.agent) as recorder:
        signals = Signals(settings, recorder)
        roles = LiveRoles(settings.agent.kafka, settings.agent.log, ROLES_EVERY_S)

        def connected() -> Any:
            # A decision that is read before its signer is known reaches no receiver. The feed waits: what others send us is taken meanwhile.
            wait_for_roles(roles, _ROLES_S)
            return connect(settings.agent.kafka)

        feed = DecisionFeed(signals.transmitter, signals.store, connected, PatientOpener(roles.opener))
        try:
            asyncio.run(serve(server_of(signals.app(), settings)))
        finally:
            feed.close()
            roles.close()
            signals.store.close()

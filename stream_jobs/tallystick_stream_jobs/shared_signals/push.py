"""Pushing tokens (RFC 8935): one request, and the loop that pushes for streams, each in order, with back-off."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec

from ..connectors.errors import ConnectorError, Retry
from ..connectors.http import Http
from .detached import detached
from .errors import SignalsError, TokenRefused
from .keyfile import KeyFile
from .sets import sign
from .settings import SignalsSettings
from .store import Store, Waiting
from .streams import Stream
from .transmitter import Told, Transmitter
from .vocabulary import PUSH, SET_TYPE

log: Final = logging.getLogger(__name__)
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 300.0
_MENDABLE: Final = frozenset({"invalid_key", "authentication_failed", "access_denied"})
"""Refusals that a new key set or a new secret at the other side mends; the others are about the token itself."""


class _Answer(msgspec.Struct):
    """RFC 8935, section 2.3."""

    err: str
    description: str = ""


def push_set(http: Http, url: str, authorization: str, token: str) -> None:
    """Push one token. TokenRefused with the receiver's own words; Retry, or Refused where its address or its answer is no receiver's."""
    headers = {"content-type": SET_TYPE, "accept": "application/json", **({"authorization": authorization} if authorization else {})}
    answer = http.send("POST", url, headers=headers, content=token.encode())
    if answer.status == 400:
        raise _refusal(answer.host, answer.body)
    answer.check()


def _refusal(host: str, body: bytes) -> ConnectorError:
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return TokenRefused(f"{host} answered 400 without an error code of RFC 8935")
    words = f"{host} refused the token: {_plain(said.err, 60)}{f' ({_plain(said.description, 300)})' if said.description else ''}"
    return Retry(words) if said.err in _MENDABLE else TokenRefused(words)


def _plain(text: str, limit: int) -> str:
    """Somebody else's text for our logs."""
    return "".join(char if char.isprintable() else " " for char in text)[:limit]


def wait_s(attempts: int, after_s: float | None, jitter: float) -> float:
    """Seconds until the next try after `attempts` of them; `jitter` between 0 and 1 spreads receivers out."""
    backoff = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 20))
    return max(backoff * (0.5 + 0.5 * jitter), after_s or 0.0)


class Pusher:
    """One token of a stream in flight at a time: what is told about a subject arrives in order. A stream that hangs holds up nobody else."""

    def __init__(
        self,
        settings: SignalsSettings,
        store: Store,
        keys: KeyFile,
        transmitter: Transmitter,
        told: Told,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._store, self._keys = settings, store, keys
        self._transmitter, self._told, self._clock = transmitter, told, clock
        self._https: dict[bool, Http] = {}
        self._flying: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. New tokens wake it; retries are looked for four times a second."""
        try:
            while True:
                self._transmitter.ready.clear()
                for stream_id in await asyncio.to_thread(self._due):
                    if stream_id not in self._flying:
                        self._fly(stream_id)
                await asyncio.to_thread(self._transmitter.ready.wait, 0.25)
        finally:
            for task in list(self._flying.values()):
                task.cancel()

    def _due(self) -> list[str]:
        """Streams whose oldest token may go now."""
        now = self._clock()
        pushed = [stream.id for stream in self._store.streams() if stream.method == PUSH and stream.status != "paused"]
        return [stream_id for stream_id in pushed if any(one.next_at <= now for one in self._store.waiting(stream_id, 1))]

    def _fly(self, stream_id: str) -> None:
        task = asyncio.create_task(detached(lambda: self.push_due(stream_id), f"tallystick-push-{stream_id[:8]}"))
        self._flying[stream_id] = task
        task.add_done_callback(lambda done: self._landed(stream_id, done))

    def _landed(self, stream_id: str, done: "asyncio.Task[None]") -> None:
        self._flying.pop(stream_id, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("stream %s cannot be served now: %s", stream_id, error)

    def push_due(self, stream_id: str) -> None:
        """Push what is due of one stream, in order, until something does not work."""
        while True:
            stream = self._store.stream(stream_id)
            waiting = self._store.waiting(stream_id, 1)
            if stream is None or stream.status == "paused" or not waiting or waiting[0].next_at > self._clock():
                return
            if not self._push(stream, waiting[0]):
                return

    def _push(self, stream: Stream, one: Waiting) -> bool:
        """Whether the next one may go."""
        try:
            token = sign(one.claims, self._keys.ring().signer(self._clock()))
            push_set(self._http(stream), stream.endpoint_url, stream.authorization, token)
        except TokenRefused as error:
            self._note(stream, str(error))
            self._store.finish(stream.id, [one.jti], self._clock(), str(error))
            self._told("incident.update", stream, f"{one.jti} was refused: {error}")
            return True
        except (ConnectorError, SignalsError) as error:
            # Also what a person must mend, a redirect or a wrong address: the token is kept until somebody has.
            attempts = one.attempts + 1
            wait = wait_s(attempts, getattr(error, "after_s", None), random.random())  # noqa: S311 - spreads load, guards nothing
            self._note(stream, str(error))
            self._store.put_off(stream.id, one.jti, attempts, self._clock() + wait, str(error))
            log.warning("stream %s, try %d: %s; again in %.1f s", stream.id, attempts, error, wait)
            return False
        # If we crash here, the token goes again, and the receiver knows its jti.
        self._store.finish(stream.id, [one.jti], self._clock())
        self._note(stream, "")
        self._told("incident.note", stream, f"{one.jti} was taken")
        return True

    def _note(self, stream: Stream, error: str) -> None:
        if stream.last_error != error:
            self._store.change_stream(stream.id, lambda one: msgspec.structs.replace(one, last_error=error))

    def _http(self, stream: Stream) -> Http:
        receiver = self._settings.receiver(stream.receiver)
        private = receiver is not None and receiver.allow_private
        if private not in self._https:
            self._https[private] = Http(allow_private=private, max_bytes=64 * 1024)
        return self._https[private]

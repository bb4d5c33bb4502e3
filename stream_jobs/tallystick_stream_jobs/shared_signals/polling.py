"""Answering a poll (RFC 8936, section 2): acknowledgements and errors first, then what waits, at once or when something comes."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from .errors import StreamRefused
from .keyfile import KeyFile
from .sets import sign
from .store import Store, Waiting
from .streams import Stream
from .transmitter import Told

log: Final = logging.getLogger(__name__)
MAX_EVENTS: Final = 100
MAX_ACKS: Final = 1_000
_HOLD_S: Final = 25.0
"""How long an answer is held back for; proxies give up after 30 s."""
_LOOK_S: Final = 0.2


def _wish(request: dict[str, Any]) -> tuple[int, bool, list[str], dict[str, Any]]:
    """(maxEvents, returnImmediately, ack, setErrs), checked."""
    most, at_once = request.get("maxEvents", MAX_EVENTS), request.get("returnImmediately", False)
    acks, errors = request.get("ack", []), request.get("setErrs", {})
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise StreamRefused(400, "maxEvents must be a number, 0 or more")
    if not isinstance(at_once, bool):
        raise StreamRefused(400, "returnImmediately must be true or false")
    if not isinstance(acks, list) or len(acks) > MAX_ACKS or not all(isinstance(jti, str) for jti in acks):
        raise StreamRefused(400, f"ack must be a list of at most {MAX_ACKS} jti")
    if not isinstance(errors, dict) or len(errors) > MAX_ACKS or not all(isinstance(error, dict) for error in errors.values()):
        raise StreamRefused(400, f"setErrs must be an object of at most {MAX_ACKS} errors")
    return min(most, MAX_EVENTS), at_once, acks, errors


class Polls:
    """All streams' polls. One a stream is held back; a second one is answered at once, so that held ones stay few."""

    def __init__(self, store: Store, keys: KeyFile, told: Told, clock: Callable[[], float] = time.time) -> None:
        self._store, self._keys, self._told, self._clock = store, keys, told, clock
        self._held: set[str] = set()

    async def answer(self, stream: Stream, request: dict[str, Any]) -> dict[str, Any]:
        """`sets` (jti -> token) and `moreAvailable`. What is not acknowledged comes again with the next poll."""
        most, at_once, acks, errors = _wish(request)
        await asyncio.to_thread(_settle, stream, acks, errors, self._store, self._told, self._clock())
        # A request that only acknowledges (maxEvents 0) is answered at once (section 2.4).
        waiting = await self._waiting(stream.id, most, hold=not at_once) if most else []
        key = self._keys.ring().signer(self._clock())
        sets = {one.jti: await asyncio.to_thread(sign, one.claims, key) for one in waiting}
        left = await asyncio.to_thread(self._store.count_waiting, stream.id)
        return {"sets": sets, "moreAvailable": len(sets) < left and bool(sets or not most)}

    async def _waiting(self, stream_id: str, most: int, *, hold: bool) -> list[Waiting]:
        waiting = await asyncio.to_thread(_ready, self._store, stream_id, most)
        if waiting or not hold or stream_id in self._held:
            return waiting
        self._held.add(stream_id)
        try:
            until = time.monotonic() + _HOLD_S
            while not waiting and time.monotonic() < until:
                await asyncio.sleep(_LOOK_S)
                waiting = await asyncio.to_thread(_ready, self._store, stream_id, most)
            return waiting
        finally:
            self._held.discard(stream_id)


def _ready(store: Store, stream_id: str, most: int) -> list[Waiting]:
    """What may go: a paused stream holds everything back, and a disabled one has nothing but the word that it is."""
    stream = store.stream(stream_id)
    return store.waiting(stream_id, most) if stream is not None and stream.status != "paused" else []


def _settle(stream: Stream, acks: list[str], errors: dict[str, Any], store: Store, told: Told, now: float) -> None:
    for claims in store.finish(stream.id, acks, now):
        told("incident.note", stream, f"{claims['jti']} was taken")
    for jti, error in errors.items():
        words = f"{str(error.get('err', ''))[:60]}: {str(error.get('description', ''))[:300]}"
        words = "".join(char if char.isprintable() else " " for char in words)
        for _ in store.finish(stream.id, [jti], now, words):
            log.error("stream %s: its receiver refused %s: %s", stream.id, jti, words)
            told("incident.update", stream, f"{jti} was refused: {words}")

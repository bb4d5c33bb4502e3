"""Decisions into the queues of streams, within bounds. Durable before the position in `decisions` moves: nothing is lost, and a repeat has the same jti."""

import logging
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from tallystick_schemas.messages import Decision

from .errors import StreamRefused
from .events import Happening, happenings
from .sets import Claims, claims_of, stream_updated, verification
from .settings import ReceiverSettings, SignalsSettings
from .store import Store
from .streams import Stream
from .subjects import canonical

log: Final = logging.getLogger(__name__)
_MAX_STATE: Final = 1024
Told = Callable[[str, Stream, str], None]
"""(action of the vocabulary, stream, words): something about a stream that belongs into the history."""


class Transmitter:
    """Thread-safe: the store is. `ready` is set whenever something new waits."""

    def __init__(self, settings: SignalsSettings, store: Store, told: Told = lambda _action, _stream, _words: None) -> None:
        self._settings, self._store, self._told = settings, store, told
        self.ready = threading.Event()

    def decided(self, decision: Decision | None, position: tuple[str, int], now: float) -> list[str]:
        """One value of the topic (None: nothing for receivers), and the position after it. The jti that were new."""
        told = happenings(decision, self._settings.issuer) if decision is not None else []
        items = [(stream.id, claims) for stream in (self._open_streams(now) if told else []) for claims in self._for(stream, told)]
        # If we crash after this, the topic goes on behind it; before it, the same decision comes again with the same jti.
        added = self._store.enqueue(items, position)
        if added:
            self.ready.set()
        return added

    def _open_streams(self, now: float) -> list[Stream]:
        """Streams that take events, those that are full disabled on the way."""
        streams = [stream for stream in self._store.streams() if stream.status != "disabled"]
        full = [stream for stream in streams if self._store.count_waiting(stream.id) >= self._settings.max_pending]
        for stream in full:
            self._overflow(stream, now)
        return [stream for stream in streams if stream not in full]

    def _overflow(self, stream: Stream, now: float) -> None:
        waiting = self._store.count_waiting(stream.id)
        reason = f"{waiting} events were not fetched or taken; they and later ones are lost to this stream until it is enabled again"
        log.error("stream %s of %s is disabled: %s", stream.id, stream.receiver, reason)

        def disabled(one: Stream) -> Stream:
            return msgspec.structs.replace(one, status="disabled", reason=reason, lost=one.lost + waiting)

        changed, receiver = self._store.change_stream(stream.id, disabled, clear=True), self._settings.receiver(stream.receiver)
        # If we crash here, the receiver learns it when it asks for the status.
        if changed is not None and receiver is not None:
            self._announce(changed, receiver, now)
        self._told("policy.update", stream, f"disabled: {reason}")

    def _for(self, stream: Stream, told: list[Happening]) -> list[Claims]:
        receiver = self._settings.receiver(stream.receiver)
        if receiver is None:
            return []  # taken out of the settings: its streams stay, and are told nothing
        default = self._settings.default_subjects == "ALL"
        return [
            claims_of(one, iss=self._settings.issuer, aud=receiver.audience, stream=stream.id, profile=receiver.profile)
            for one in told
            if one.event in stream.delivered and self._store.wants(stream.id, canonical(one.subject), default=default)
        ]

    def verify(self, stream: Stream, receiver: ReceiverSettings, state: object, now: float) -> str:
        """Queue a verification; its jti. StreamRefused: too soon after the last one, or a state that is none."""
        if state is not None and (not isinstance(state, str) or len(state) > _MAX_STATE):
            raise StreamRefused(400, f"state must be a text of at most {_MAX_STATE} characters")
        left = stream.verified_at + self._settings.min_verification_interval - now
        if left > 0:
            raise StreamRefused(429, "a verification was asked for a moment ago", int(left) + 1)
        claims = verification(
            iss=self._settings.issuer, aud=receiver.audience, stream=stream.id, at=int(now), nonce=f"{now:.6f}", state=state
        )
        if stream.status == "disabled":
            raise StreamRefused(400, "the stream is disabled; enable it first")
        self._store.change_stream(stream.id, lambda one: msgspec.structs.replace(one, verified_at=now))
        self._own(stream, claims)
        return str(claims["jti"])

    def _announce(self, stream: Stream, receiver: ReceiverSettings, now: float) -> None:
        """Tell a receiver that we, not it, changed the status: the one thing that a disabled stream still carries (SSF 1.0, 8.1.5)."""
        claims = stream_updated(
            iss=self._settings.issuer, aud=receiver.audience, stream=stream.id, at=int(now), status=stream.status, reason=stream.reason
        )
        self._own(stream, claims)

    def _own(self, stream: Stream, claims: Claims) -> None:
        self._store.enqueue([(stream.id, claims)])
        self.ready.set()

"""Recorder: what an application calls. `record()` makes the event's bytes and hands them to the writer; everything else happens behind it."""

import asyncio
import logging
import os
import threading
import time as clock
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, Why, encode_event, parse_event
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vocabulary import Outcome

from .errors import InvalidEvent, ReceiptTimeout, RecorderClosed
from .hub import Hub, join_hub, leave_hub
from .keyfile import load_key
from .sending import Sending
from .spool import Spool
from .writer import Writer

log: Final = logging.getLogger(__name__)
_SALT_BYTES: Final = 16
_SALTS_AT_ONCE: Final = 256


@dataclass(frozen=True)
class Stats:
    """Counters of this process since the recorder was opened. `waiting` and `aside` are segments, `spool_bytes` bytes without a receipt."""

    recorded: int
    segments: int
    acknowledged: int
    waiting: int
    aside: int
    spool_bytes: int
    last_error: str


class Recorder:
    """Thread-safe; safe after fork (the child begins a run of its own). Use as a context manager, or call `close`."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self._key = load_key(Path(settings.key_file))
        self._guard = threading.RLock()
        self._closed = False
        self._writer: Writer | None = None
        self._sending: Sending | None = None
        self._hub: Hub | None = None
        self._salts: list[str] = []
        self._heart: threading.Event | None = None
        self._actor = Actor(settings.agent, "service")
        _recorders.add(self)

    @classmethod
    def open(cls, settings: AgentSettings) -> "Recorder":
        """A recorder that takes events at once, whether Kafka can be reached or not. KeyFileError or SpoolFailed when it never could."""
        recorder = cls(settings)
        recorder._ready()
        return recorder

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def record(  # noqa: PLR0913 - the fields of an event, all but two by name
        self,
        action: str,
        *,
        actor: Actor,
        resource: Resource,
        outcome: Outcome = "allowed",
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: Mapping[str, str] | None = None,
        time: str | None = None,
        durable: bool = False,
    ) -> str:
        """Record one event; `agent/run/seq`. With `durable` it is on disk, signed, when this returns. InvalidEvent, SpoolFull, RecorderClosed."""
        raw = self.encode(action, actor, resource, outcome, why, usage, source, attrs, time)
        writer = self._ready()
        seq = writer.put(raw, durable=durable)
        if durable:
            writer.wait(seq, None)
        return f"{self.settings.agent}/{writer.run}/{seq}"

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str:
        """`record` for coroutines: the event loop never waits for the disk."""
        return await asyncio.to_thread(self.record, action, durable=durable, **fields)

    def encode(  # noqa: PLR0913, PLR0917 - as record
        self,
        action: str,
        actor: Actor,
        resource: Resource,
        outcome: Outcome = "allowed",
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: Mapping[str, str] | None = None,
        time: str | None = None,
    ) -> bytes:
        """The event's bytes, made once and checked as the notary will; `time` in the format's form, now by default."""
        salt = self._salt()
        event = Event(
            1, salt, time or wire_time(clock.time()), action, actor, resource, outcome, why, usage, source, dict(attrs) if attrs else None
        )
        try:
            raw = encode_event(event)
            parse_event(raw)
        except (ParseError, TypeError, ValueError, RecursionError) as error:
            raise InvalidEvent(f"{action}: {error}") from error
        return raw

    def _salt(self) -> str:
        try:
            return self._salts.pop()
        except IndexError:
            block = os.urandom(_SALT_BYTES * _SALTS_AT_ONCE)
            salts = [to_base64url(block[at : at + _SALT_BYTES]) for at in range(0, len(block), _SALT_BYTES)]
            salt = salts.pop()
            self._salts = salts
            return salt

    def record_batch_at(self, source: str, place: str, events: Sequence[bytes]) -> None:
        """Events (from `encode`) and the place in `source` that follows them: one transaction, on disk on return, so that each line counts once."""
        self._ready().put_at(source, place, list(events))

    def place(self, source: str) -> str | None:
        """Where the source was left; None at the beginning."""
        self._ready()
        spool = Spool(Path(self.settings.spool_dir))
        try:
            return spool.place(source)
        finally:
            spool.close()

    def flush(self, timeout: float = 10.0) -> None:
        """Until everything recorded so far is on disk. SpoolFailed when the disk refuses."""
        writer = self._ready()
        if writer.recorded:
            writer.wait(writer.recorded - 1, timeout)

    def wait_receipts(self, timeout: float = 30.0) -> None:
        """Until the history has confirmed everything; ReceiptTimeout otherwise, and then nothing is lost either."""
        end = clock.monotonic() + timeout
        self.flush(timeout)
        assert self._sending is not None
        left = self._sending.wait_idle(max(0.0, end - clock.monotonic()))
        if left:
            raise ReceiptTimeout(left, timeout)

    def stats(self) -> Stats:
        """How it goes."""
        writer, sending = self._ready(), self._sending
        assert sending is not None
        error = str(writer.failure or "") or (self._hub.last_error if self._hub else "")
        return Stats(writer.recorded, writer.segments, sending.acknowledged, sending.waiting, sending.aside, sending.bytes_waiting, error)

    @property
    def is_open(self) -> bool:
        return not self._closed

    def close(self, timeout: float = 10.0) -> None:
        """Everything on disk, what can be sent is sent, `agent.stop` recorded. What has no receipt stays for the next start."""
        with self._guard:
            if self._closed:
                return
            if self._writer is not None:
                self._beat("agent.stop")
            self._closed = True
            if self._writer is None or self._sending is None or self._hub is None:
                return
            if self._heart is not None:
                self._heart.set()
            self._writer.close(timeout)
            self._sending.wait_idle(min(timeout, 2.0))
            leave_hub(self.settings.kafka, self._hub, self._sending)
            self._sending.close()

    def _ready(self) -> Writer:
        """The writer of this process."""
        if self._closed:
            raise RecorderClosed(self.settings.agent)
        if self._writer is not None:
            return self._writer
        with self._guard:
            if self._writer is None:
                self._start()
            assert self._writer is not None
            return self._writer

    def _start(self) -> None:
        directory = Path(self.settings.spool_dir)
        sending = Sending(self.settings, Spool(directory, durable=False))
        hubs: list[Hub] = []

        def committed(segments: Any) -> None:
            sending.added(segments)
            if hubs:
                hubs[0].wake()

        writer = Writer(self.settings, Spool(directory), self._key, lambda: sending.seen, lambda: sending.bytes_waiting, committed)
        sending.own(writer.run)
        sending.adopt(clock.monotonic())
        self._writer, self._sending = writer, sending
        self._hub = join_hub(self.settings.kafka, sending)
        hubs.append(self._hub)
        self._beat("agent.start")
        self._heart = threading.Event()
        threading.Thread(target=self._beats, args=(self._heart,), name="tallystick-heartbeat", daemon=True).start()

    def _beats(self, stop: threading.Event) -> None:
        while not stop.wait(self.settings.heartbeat_s):
            try:
                self._beat("agent.heartbeat")
            except Exception as error:  # noqa: BLE001 - a missed heartbeat is itself what others will notice
                log.warning("no heartbeat: %s", error)

    def _beat(self, action: str) -> None:
        assert self._writer is not None
        assert self._sending is not None
        counters = {"waiting": str(self._sending.waiting), "aside": str(self._sending.aside), "pid": str(os.getpid())}
        self._writer.put(self.encode(action, self._actor, Resource("agent", self.settings.agent), attrs=counters))

    def _after_fork(self) -> None:
        """The parent's threads are not here: begin anew at the first record."""
        self._guard = threading.RLock()
        if self._writer is not None:
            self._writer.abandon()
        self._writer = self._sending = self._hub = self._heart = None
        self._salts = []


_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _recorders_after_fork() -> None:
    for recorder in list(_recorders):
        recorder._after_fork()


os.register_at_fork(after_in_child=_recorders_after_fork)

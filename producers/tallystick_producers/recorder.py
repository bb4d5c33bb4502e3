"""Recorder: what an application calls. `record()` makes the event's bytes and hands them to the writer; everything else happens behind it."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import threading
import time as clock
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from tallystick_schemas.bulk import first_malformed
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.headers import AGENT_PATTERN
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.settings_check import mistakes_of
from tallystick_schemas.vocabulary import Outcome

from .access import Access, access
from .encoding import Encoder
from .errors import InvalidEvent, ProducerError, ReceiptTimeout, RecorderClosed, SegmentsRefused
from .forking import forget_in_children, keep_forever
from .kafka_password import with_password
from .keyfile import load_key
from .leaving import close_when_leaving
from .parts import Parts, start_parts
from .questions import check_question
from .writer import Writer

if TYPE_CHECKING:
    from .enforcement.sdk import LockCache, LockState

log: Final = logging.getLogger(__name__)
_LAST_RECEIPTS_S: Final = 3.0


@dataclass(frozen=True)
class Stats:
    """Counters of this process since the recorder was opened. All but `recorded` (events) and `spool_bytes` are segments.

    `sent`: Kafka has them, counted again when sent again; `acknowledged`: confirmed by the history; `waiting`: not yet;
    `aside`: refused for good and kept in the spool, those of earlier runs included; `last_error`: what is wrong now, or empty.
    """

    recorded: int
    segments: int
    sent: int
    acknowledged: int
    waiting: int
    aside: int
    spool_bytes: int
    last_error: str


class Recorder:
    """Thread-safe; safe after fork (the child begins a run of its own). Use as a context manager, or call `close`."""

    def __init__(self, settings: AgentSettings) -> None:
        if mistakes := mistakes_of(settings):
            raise SettingsError(mistakes)
        if not AGENT_PATTERN.fullmatch(settings.agent):
            raise SettingsError([f"agent {settings.agent!r} is not 1 to 128 of the characters A-Z a-z 0-9 . _ : @ / -"])
        self._key = load_key(Path(settings.key_file))
        self.settings = dataclasses.replace(settings, kafka=with_password(settings.kafka))
        self._guard = threading.RLock()
        self._closed = False
        self._writer: Writer | None = None
        self._parts: Parts | None = None
        self._locks: LockCache | None = None
        self._encode = Encoder().encode
        self._heart = threading.Event()
        self._actor = Actor(settings.agent, "service")
        forget_in_children(self)
        close_when_leaving(self)

    @classmethod
    def open(cls, settings: AgentSettings) -> "Recorder":
        """A recorder that takes events at once, whether Kafka can be reached or not. KeyFileError, SettingsError or SpoolFailed."""
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
        """Record one event; `agent/run/seq`. With `durable` it is on disk, signed, when this returns.

        InvalidEvent, RecorderClosed; SpoolFull or SpoolFailed when the bound is reached and `when_full` is "raise". A durable event meets
        SpoolFailed in any case: at once while the disk refuses (it was not taken in), or when the disk refuses this one (it is tried again).
        """
        raw = self._encode(action, actor, resource, outcome, why, usage, source, attrs, time)
        writer = self._writer or self._ready()
        seq = writer.put(raw, durable=durable)
        if durable:
            writer.wait(seq, None)
        return f"{self.settings.agent}/{writer.run}/{seq}"

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str:
        """`record` for coroutines: the event loop never waits for the disk, and any number of callers share one commit."""
        raw = self.encode(action, **fields)
        writer = self._writer
        if writer is None:
            writer = await asyncio.to_thread(self._ready)
        offered = writer.offer(raw, durable=durable)
        seq: int = await asyncio.to_thread(writer.put, raw, durable=durable) if offered is None else offered
        if durable:
            await _on_disk(writer, seq)
        return f"{self.settings.agent}/{writer.run}/{seq}"

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
        """The event's bytes for `record_batch_at`, made once and checked as the notary will; `time` in the format's form, now by default."""
        return self._encode(action, actor, resource, outcome, why, usage, source, attrs, time)

    def check(
        self,
        action: str,
        *,
        actor: Actor,
        resource: Resource,
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing when `record` would take this; else InvalidEvent or RecorderClosed, before the work that it is about."""
        if self._closed:
            raise RecorderClosed(self.settings.agent)
        self._encode(action, actor, resource, "allowed", why, usage, source, attrs, None)

    def access(
        self, action: str, *, actor: Actor, resource: Resource, why: Why | None = None, source: Source | None = None
    ) -> AbstractContextManager[Access]:
        """`with recorder.access("artifact.read", actor=…, resource=…) as a: … a.usage(bytes=n)`: one event when the block ends."""
        return access(self, action, actor=actor, resource=resource, why=why, source=source)

    def record_batch_at(self, source: str, place: str, events: Sequence[bytes | Mapping[str, Any]]) -> None:
        """Events and the place in `source` that follows them: one transaction, on disk on return, so that each line counts once.

        An event is what `encode` made, or its arguments. While the disk refuses, this waits: half of it is never recorded. InvalidEvent: bytes that
        are no event would take all others of their segment with them.
        """
        if not isinstance(source, str) or not isinstance(place, str):
            raise InvalidEvent(f"a source and a place are text, not {source!r} and {place!r}")
        encoded = [one if isinstance(one, bytes) else self.encode(**one) for one in events]
        if (wrong := first_malformed(encoded)) is not None:
            raise InvalidEvent(f"event {wrong[0]} of the batch: {wrong[1]}")
        self._ready().put_at(source, place, encoded)

    def place(self, source: str) -> str | None:
        """Where the source was left; None at the beginning."""
        self._ready()
        return self._started().spool.place(source)

    def unconfirmed(self) -> list[bytes]:
        """The signed segments that are on disk and that the history has not confirmed yet, as they travel."""
        self._ready()
        return self._started().spool.unconfirmed()

    def flush(self, timeout: float = 10.0) -> None:
        """Until everything recorded so far is on disk. SpoolFailed when the disk refuses."""
        writer = self._ready()
        if writer.recorded:
            writer.wait(writer.recorded - 1, timeout)

    def wait_receipts(self, timeout: float = 30.0) -> None:
        """Until the history has confirmed everything recorded so far. ReceiptTimeout (and then nothing is lost either), SegmentsRefused."""
        end = clock.monotonic() + timeout
        self.flush(timeout)
        sending = self._started().sending
        left = sending.wait_idle(max(0.0, end - clock.monotonic()))
        if left:
            raise ReceiptTimeout(left, timeout)
        if sending.refused:
            raise SegmentsRefused(self.settings.agent, sending.refused)

    def stats(self) -> Stats:
        """How it goes; after closing, how it went."""
        parts = self._parts
        if parts is None:
            self._ready()
            parts = self._started()
        writer, sending, hub = parts.writer, parts.sending, parts.hub
        trouble = str(writer.trouble or "") or sending.last_error or hub.last_error
        return Stats(
            writer.recorded,
            writer.segments,
            sending.sent,
            sending.acknowledged,
            sending.waiting,
            sending.aside,
            parts.spool.held,
            trouble,
        )

    def is_locked(self, principal: str, credential: str | None = None, *, issued: float | None = None, wait_s: float = 5.0) -> "LockState":
        """Whether `principal` or its `credential` is locked now, or that cannot be known: true in a condition, with the sentence to show.

        The first call makes this process an enforcement point: it reads the locks from then on, says that it is there and acknowledges each lock.
        It waits `wait_s` at the most until it knows; later calls look into memory. Once so long has passed without a word of the responder, the
        answer (locked, not known) comes at once, until one is heard. `issued` (Unix seconds): when the credential was issued, which
        passes a step-up of before. InvalidQuestion for what is no principal, credential or time; RecorderClosed.
        """
        check_question(principal, credential, issued, wait_s)
        locks = self._locks or self._start_locks()
        return locks.check(principal, credential, issued, wait_s)

    def _start_locks(self) -> "LockCache":
        from .enforcement.sdk import LockCache
        from .keyring import signer_of

        self._ready()
        with self._guard:
            if self._closed:
                raise RecorderClosed(self.settings.agent)
            if self._locks is None:
                self._locks = LockCache(self.settings, signer_of(self.settings, self._key), self.record)
            return self._locks

    @property
    def is_open(self) -> bool:
        return not self._closed

    def close(self, timeout: float = 10.0) -> None:
        """Everything on disk, `agent.stop` recorded, what Kafka takes at once is sent. What has no receipt stays for the next start.

        SpoolFailed when the disk did not take everything in `timeout` seconds: what is still in memory is lost, and the error says how much.
        """
        with self._guard:
            locks, self._locks = self._locks, None
        if locks is not None:
            locks.close()
        with self._guard:
            if self._closed:
                return
            if self._writer is not None:
                with contextlib.suppress(ProducerError):
                    self._beat("agent.stop", self._started())
            self._closed = True
            self._heart.set()
            if self._parts is not None:
                self._parts.close(timeout, _LAST_RECEIPTS_S)

    def _ready(self) -> Writer:
        """The writer of this process."""
        if self._closed:
            raise RecorderClosed(self.settings.agent)
        with self._guard:
            if self._writer is None:
                self._parts = parts = start_parts(self.settings, self._key)
                self._beat("agent.start", parts)
                self._heart = threading.Event()
                threading.Thread(target=self._beats, args=(self._heart, parts), name="tallystick-heartbeat", daemon=True).start()
                self._writer = parts.writer
            return self._writer

    def _started(self) -> Parts:
        assert self._parts is not None
        return self._parts

    def _beats(self, stop: threading.Event, parts: Parts) -> None:
        while not stop.wait(self.settings.heartbeat_s):
            if parts.writer.trouble is not None:
                log.warning("no heartbeat of %s: %s", self.settings.agent, parts.writer.trouble)
                continue
            with contextlib.suppress(RecorderClosed):
                self._beat("agent.heartbeat", parts)

    def _beat(self, action: str, parts: Parts) -> None:
        """An event of the agent about itself. It ignores the bound: a full spool must not hold up start and stop."""
        counters = {"waiting": str(parts.sending.waiting), "aside": str(parts.sending.aside), "pid": str(os.getpid())}
        parts.writer.put(self.encode(action, self._actor, Resource("agent", self.settings.agent), attrs=counters), forced=True)

    def forget(self) -> None:
        """In a forked child: the parent's threads, salts and connections are not ours; begin anew at the first record."""
        if self._parts is not None:
            self._parts.forget()
            keep_forever(self._parts)
        if self._locks is not None:
            self._locks.forget()
        self._locks = None
        self._guard = threading.RLock()
        self._writer = self._parts = None
        self._encode = Encoder().encode


async def _on_disk(writer: Writer, seq: int) -> None:
    """Until event `seq` is on disk; what `Writer.wait` raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: ProducerError | None) -> None:
        if future.done():
            return  # the caller gave up
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def told(error: ProducerError | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the caller with it
            loop.call_soon_threadsafe(settle, error)

    writer.watch(seq, told)
    await future

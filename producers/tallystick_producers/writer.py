"""The writer: one thread a run that closes segments, signs them and puts them on disk. Callers only append to its queue."""

import contextlib
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.headers import MAX_SEGMENT_EVENTS, Seen
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import MAX_BODY_BYTES
from tallystick_schemas.segments import SegmentSigner, SignedSegment
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.signing import wire_time

from .errors import ProducerError, RecorderClosed, SpoolFailed, SpoolFull
from .spool import Spool

log: Final = logging.getLogger(__name__)
QUEUE_BYTES: Final = 32 << 20
"""Events in memory at the most, whatever the spool's bound is."""
_GROUP: Final = 16
"""Segments in one transaction, at the most."""
_AGAIN_S: Final = 0.2
_LOOK_S: Final = 0.05
_AFTER_REST_S: Final = 0.002

Committed = Callable[[Sequence[SignedSegment]], None]
Signed = tuple[SignedSegment, int]
"""A segment, and the bytes of its events."""
Watcher = Callable[[ProducerError | None], None]


class Writer:
    """One run of one process. `put` is cheap; `wait` and `watch` are for callers that must know it is on disk."""

    def __init__(
        self, settings: AgentSettings, spool: Spool, key: Ed25519PrivateKey, seen: Callable[[], Seen | None], committed: Committed
    ) -> None:
        self._settings, self._spool, self._seen, self._committed = settings, spool, seen, committed
        self.key = key_id(key.public_key().public_bytes_raw())
        self.run, self._run_lock = spool.begin_run(int(time.time() * 1000), os.urandom(8), self.key)
        # If we crash here, the run has no segments, and whoever finds its lock free ends it.
        self._signer = SegmentSigner(settings.agent, key, self.run)
        self._queue: deque[bytes] = deque()
        self._places: dict[str, str] = {}
        self._changed = threading.Condition(threading.Lock())
        self._on_disk = threading.Condition(threading.Lock())
        self._watchers: deque[tuple[int, Watcher]] = deque()
        self._next, self._urgent = 0, 0
        self._safe, self._places_given, self._places_safe = 0, 0, 0
        self._queued = 0
        """Bytes taken in that are not on disk."""
        self._first_at = 0.0
        """When the oldest event of the queue came."""
        self._taken_at = -math.inf
        """When events were last taken from the queue."""
        self._closing, self._gave_up = False, False
        self._said_full = False
        self.failure: SpoolFailed | None = None
        self.segments = 0
        self.room = 0
        """Bytes that may be taken in; `put` looks closer only when they are used up."""
        self._reckon()
        self._thread = threading.Thread(target=self._run, name=f"tallystick-{settings.agent}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def recorded(self) -> int:
        """Events taken in so far."""
        return self._next

    def put(self, raw: bytes, *, durable: bool = False, forced: bool = False) -> int:
        """The event's sequence number in the run. Blocks or raises SpoolFull when the bound is reached, as configured.

        `durable`: somebody will wait for it; SpoolFailed at once while the disk refuses. `forced`: the bound does not matter.
        """
        with self._changed:
            if (self._queued >= self.room or durable) and not forced:
                self._admit(durable=durable)
            elif self._closing:
                raise RecorderClosed(self._settings.agent)
            return self._append(raw, durable=durable)

    def offer(self, raw: bytes, *, durable: bool = False) -> int | None:
        """`put` for callers that must not block: None when it would."""
        with self._changed:
            if self._queued >= self.room and not self._closing and self.failure is None and self._settings.when_full == "block":
                return None
            self._admit(durable=durable)
            return self._append(raw, durable=durable)

    def put_at(self, source: str, place: str, events: Sequence[bytes]) -> None:
        """Events and the place that follows them, in one transaction, on disk on return. While the disk refuses, it waits: it is never half done."""
        with self._changed:
            self._admit(durable=False)
            for raw in events:
                self._append(raw, durable=False)
            self._places[source] = place
            self._places_given += 1
            ticket = self._places_given
            self._urgent = max(self._urgent, self._next)
            self._changed.notify()
        with self._on_disk:
            while self._places_safe < ticket:
                self._check_alive()
                self._on_disk.wait(0.2)

    def _append(self, raw: bytes, *, durable: bool) -> int:
        seq = self._next
        self._next = seq + 1
        queue = self._queue
        queue.append(raw)
        self._queued += len(raw)
        count = len(queue)
        if durable:
            self._urgent = seq + 1
            self._changed.notify()
        elif count == 1:
            self._first_at = time.monotonic()
            self._changed.notify()
        elif count == MAX_SEGMENT_EVENTS or self._queued >= MAX_BODY_BYTES > self._queued - len(raw):
            self._changed.notify()
        return seq

    def _admit(self, *, durable: bool) -> None:
        """Until there is room, or the error that says why there is none. Called with `_changed` held."""
        while True:
            if self._closing:
                raise RecorderClosed(self._settings.agent)
            if durable and self.failure is not None:
                raise self.failure
            if self._queued < self.room:
                if self._said_full:
                    self._said_full = False
                    log.warning("the spool of %s has room again", self._settings.agent)
                return
            trouble = self.failure or SpoolFull(str(self._spool.path), self._spool.held + self._queued, self._settings.spool_max_bytes)
            if self._settings.when_full == "raise":
                raise trouble
            if not self._said_full:
                self._said_full = True
                log.error("recording of %s waits: %s", self._settings.agent, trouble)
            self._changed.wait(_LOOK_S)
            with contextlib.suppress(SpoolFailed):
                self._spool.look()  # another process of this agent may have made room
            self._reckon()

    @property
    def trouble(self) -> ProducerError | None:
        """Why nothing can be taken in now."""
        if self.failure is not None:
            return self.failure
        if self._queued >= self.room:
            return SpoolFull(str(self._spool.path), self._spool.held + self._queued, self._settings.spool_max_bytes)
        return None

    def freed(self) -> None:
        """The spool's sender made room."""
        if self._said_full or self.room < QUEUE_BYTES:
            with self._changed:
                self._reckon()
                self._changed.notify_all()

    def _reckon(self) -> None:
        self.room = min(QUEUE_BYTES, self._settings.spool_max_bytes - self._spool.held)

    def wait(self, seq: int, timeout_s: float | None) -> None:
        """Until event `seq` is on disk. SpoolFailed when the disk refuses it; it is kept and tried again all the same."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if self._safe > seq:
            return
        with self._changed:
            self._urgent = max(self._urgent, seq + 1)
            self._changed.notify()
        with self._on_disk:
            while self._safe <= seq:
                if self.failure is not None:
                    raise self.failure
                if deadline is not None and time.monotonic() >= deadline:
                    raise SpoolFailed(str(self._spool.path), f"not on disk after {timeout_s:.1f} s")
                self._check_alive()
                self._on_disk.wait(0.2 if deadline is None else max(0.0, min(0.2, deadline - time.monotonic())))

    def watch(self, seq: int, told: Watcher) -> None:
        """Call `told`, from the writer's thread, once event `seq` is on disk or the disk refused it."""
        with self._on_disk:
            if self._safe <= seq and self.failure is None and self._thread.is_alive():
                self._watchers.append((seq, told))
                return
            failure = None if self._safe > seq else self.failure or RecorderClosed(self._settings.agent)
        told(failure)

    def _check_alive(self) -> None:
        if not self._thread.is_alive():
            raise self.failure or RecorderClosed(self._settings.agent)

    def close(self, timeout_s: float) -> None:
        """Put everything on disk and end the thread. SpoolFailed when the disk did not take it in time: those events are lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._gave_up = True
            self._thread.join(2 * _AGAIN_S + 1)
        lost = self._next - self._safe
        if lost:
            reason = str(self.failure) if self.failure else "the disk is slow"
            raise SpoolFailed(str(self._spool.path), f"{lost} events were not written down when the recorder closed ({reason})")

    def release(self) -> None:
        """Nobody sends this run's segments any more: whoever comes next may. Not while our thread could still write some."""
        if not self._thread.is_alive():
            self._run_lock.close(remove=self._spool_ended())

    def _spool_ended(self) -> bool:
        try:
            return self._spool.end_run(self.run)
        except SpoolFailed:
            return False

    def forget(self) -> None:
        """In a forked child: the run belongs to the parent."""
        self._closing = True
        self._run_lock.close()

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            log.exception("the writer of %s stopped", self._settings.agent)
            self.failure = SpoolFailed(str(self._spool.path), f"its writer stopped: {error!r}")
            with self._changed:
                self._closing = True
            raise
        finally:
            with self._on_disk:
                watchers, self._watchers = self._watchers, deque()
                self._on_disk.notify_all()
            for seq, told in watchers:
                told(None if seq < self._safe else self.failure or RecorderClosed(self._settings.agent))

    def _loop(self) -> None:
        while True:
            with self._changed:
                if not self._await_work():
                    return
                places, self._places = self._places, {}
                ticket = self._places_given
                groups = self._take(everything=bool(places))
            signed = [(self._signer.sign(group, wire_time(time.time()), self._seen()), sum(map(len, group))) for group in groups]
            if self._store([segment for segment, _ in signed], places, again=False):
                self._stored(signed, ticket)
            elif not self._store_later(signed, places, ticket):
                return

    def _store_later(self, signed: Sequence[Signed], places: Mapping[str, str], ticket: int) -> bool:
        """Store what the disk refused, as soon as it takes it; False when the recorder closed before. One by one, for a disk that has room for a few:
        all at once only where a place says what they follow."""
        for some in [signed] if places else [[one] for one in signed]:
            while not self._store([segment for segment, _ in some], places, again=True):
                if self._gave_up:
                    return False
                time.sleep(_AGAIN_S)
            self._stored(some, ticket)
        return True

    def _await_work(self) -> bool:
        """Until a segment may be closed: it is full, the linger time is over, or somebody waits for it. False at the end."""
        while not self._queue and self._places_given == self._places_safe:
            if self._closing:
                return False
            self._changed.wait(1.0)
        while len(self._queue) < MAX_SEGMENT_EVENTS and self._queued < MAX_BODY_BYTES and not self._hurry():
            self._changed.wait(max(0.0, self._due() - time.monotonic()))
        return True

    def _hurry(self) -> bool:
        """Whether a segment that is not full must be closed now."""
        return self._urgent > self._safe or self._closing or time.monotonic() >= self._due()

    def _due(self) -> float:
        """When the queue's events are a segment, full or not. What comes after a rest waits for those of the same moment alone: nothing follows it."""
        linger = self._settings.linger_ms / 1000
        rested = self._first_at - self._taken_at >= linger
        return self._first_at + (min(_AFTER_REST_S, linger) if rested else linger)

    def _take(self, *, everything: bool) -> list[list[bytes]]:
        """The events of the next transaction's segments. A place goes in with all the events before it."""
        groups: list[list[bytes]] = []
        self._taken_at = time.monotonic()
        queue, partly = self._queue, everything or self._hurry()
        while queue and (everything or len(groups) < _GROUP):
            group: list[bytes] = []
            size = 0
            while queue and len(group) < MAX_SEGMENT_EVENTS and size + 4 + len(queue[0]) <= MAX_BODY_BYTES:
                raw = queue.popleft()
                size += 4 + len(raw)
                group.append(raw)
            if not partly and not queue and len(group) < MAX_SEGMENT_EVENTS and groups:
                # It may still grow until the linger time is over. `_first_at` stays: too early is better than too late.
                queue.extendleft(reversed(group))
                break
            groups.append(group)
        if not queue or partly:
            self._first_at = time.monotonic()
        return groups

    def _store(self, segments: Sequence[SignedSegment], places: Mapping[str, str], *, again: bool) -> bool:
        """Whether they are on disk. A commit that was reported as failed may have happened all the same."""
        try:
            if not (again and segments and self._spool.has(self.run, segments[-1].n)):
                self._spool.put(self.run, segments, places)
        except SpoolFailed as error:
            if self.failure is None:
                log.error("%s", error)
            with self._on_disk:
                self.failure = error
                watchers, self._watchers = self._watchers, deque()
                self._on_disk.notify_all()
            for _, told in watchers:
                told(error)
            return False
        if self.failure is not None:
            log.warning("the spool of %s takes segments again", self._settings.agent)
        return True

    def _stored(self, signed: Sequence[Signed], places_ticket: int) -> None:
        """Tell everybody. The events are no longer in memory."""
        segments = [segment for segment, _ in signed]
        self._committed(segments)
        self.segments += len(segments)
        ready: list[Watcher] = []
        with self._on_disk:
            self.failure = None
            self._places_safe = places_ticket
            if segments:
                self._safe = segments[-1].first + segments[-1].count
            while self._watchers and self._watchers[0][0] < self._safe:
                ready.append(self._watchers.popleft()[1])
            self._on_disk.notify_all()
        for told in ready:
            told(None)
        with self._changed:
            self._queued -= sum(size for _, size in signed)
            self._reckon()
            if self._said_full:
                self._changed.notify_all()

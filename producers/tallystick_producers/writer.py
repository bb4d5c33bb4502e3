"""The writer: one thread a run that closes segments, signs them and puts them on disk. Callers only append to its queue."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.headers import MAX_SEGMENT_EVENTS, Seen
from tallystick_schemas.records import MAX_BODY_BYTES
from tallystick_schemas.segments import SegmentSigner, SignedSegment
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.signing import wire_time

from .errors import RecorderClosed, SpoolFailed, SpoolFull
from .spool import RunLock, Spool, Waiting

log: Final = logging.getLogger(__name__)
MAX_QUEUED: Final = 65_536
_GROUP: Final = 16
"""Segments in one transaction, at the most."""
_AGAIN_S: Final = 0.5


class Writer:
    """One run of one process. `put` is cheap; `wait` is for callers that must know it is on disk."""

    def __init__(
        self,
        settings: AgentSettings,
        spool: Spool,
        key: Ed25519PrivateKey,
        seen: Callable[[], Seen | None],
        used: Callable[[], int],
        committed: Callable[[list[Waiting]], None],
    ) -> None:
        self._settings, self._spool, self._seen, self._used, self._committed = settings, spool, seen, used, committed
        self.run = spool.begin_run(int(time.time() * 1000), os.urandom(8))
        self._run_lock = RunLock(spool.directory, self.run)
        self._run_lock.take()
        self._signer = SegmentSigner(settings.agent, key, self.run)
        self._queue: deque[bytes] = deque()
        self._places: dict[str, str] = {}
        self._changed = threading.Condition()
        self._on_disk = threading.Condition()
        self._next, self._safe, self._urgent = 0, 0, 0
        self._closing = False
        self.failure: SpoolFailed | None = None
        self.segments = 0
        self._thread = threading.Thread(target=self._loop, name=f"tallystick-{settings.agent}", daemon=True)
        self._thread.start()

    @property
    def recorded(self) -> int:
        """Events taken in so far."""
        return self._next

    def put(self, raw: bytes, *, durable: bool = False) -> int:
        """The event's sequence number in the run. Blocks or raises SpoolFull when the bound is reached, as configured."""
        with self._changed:
            while len(self._queue) >= MAX_QUEUED or self._used() >= self._settings.spool_max_bytes:
                if self._closing:
                    raise RecorderClosed(self._settings.agent)
                if self._settings.when_full == "raise":
                    raise SpoolFull(str(self._spool.path), self._used(), self._settings.spool_max_bytes)
                self._changed.wait(0.05)
            if self._closing:
                raise RecorderClosed(self._settings.agent)
            seq = self._next
            self._next += 1
            self._queue.append(raw)
            if durable:
                self._urgent = self._next
                self._changed.notify()
            elif len(self._queue) == 1 or len(self._queue) == MAX_SEGMENT_EVENTS:
                self._changed.notify()
            return seq

    def put_at(self, source: str, place: str, events: list[bytes]) -> int:
        """Events and the collector's place that follows them, in one transaction, on disk on return; the last sequence number."""
        last = -1
        for raw in events:
            last = self.put(raw)
        with self._changed:
            # The writer takes places only when everything before them is taken: see _take.
            self._places[source] = place
            self._urgent = self._next
            self._changed.notify()
        self.wait(last, None, places=True)
        return last

    def wait(self, seq: int, timeout_s: float | None, *, places: bool = False) -> None:
        """Until event `seq` is on disk. SpoolFailed when the disk refuses it for longer than the caller can wait."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            self._urgent = max(self._urgent, seq + 1)
            self._changed.notify()
        with self._on_disk:
            while self._safe <= seq or (places and self._places):
                if self.failure is not None and not places:
                    raise self.failure
                if deadline is not None and time.monotonic() >= deadline:
                    raise self.failure or SpoolFailed(str(self._spool.path), f"not on disk after {timeout_s:.1f} s")
                if not self._thread.is_alive():
                    raise RecorderClosed(self._settings.agent)
                self._on_disk.wait(0.2 if deadline is None else max(0.0, min(0.2, deadline - time.monotonic())))

    def close(self, timeout_s: float) -> None:
        """Put everything on disk and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._run_lock.close()

    def abandon(self) -> None:
        """In a forked child: the run belongs to the parent."""
        self._closing = True
        self._run_lock.close()

    def _loop(self) -> None:
        pending: list[SignedSegment] = []
        while True:
            if not pending:
                with self._changed:
                    if not self._await_work():
                        return
                    places = dict(self._places)
                    groups = self._take(places)
                pending = [self._signer.sign(group, wire_time(time.time()), self._seen()) for group in groups]
            if self._store(pending, places):
                pending = []
            elif self._closing:
                log.error("%s closes with %d segments that the disk did not take", self._settings.agent, len(pending))
                return
            else:
                time.sleep(_AGAIN_S)

    def _await_work(self) -> bool:
        """Until a segment may be closed: it is full, the linger time is over, or somebody waits for it. False at the end."""
        while not self._queue and not self._places:
            if self._closing:
                return False
            self._changed.wait(1.0)
        deadline = time.monotonic() + self._settings.linger_ms / 1000
        while len(self._queue) < MAX_SEGMENT_EVENTS and self._urgent <= self._safe and not self._closing:
            left = deadline - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                break
        return True

    def _take(self, places: dict[str, str]) -> list[list[bytes]]:
        """What the next transaction holds. A place goes in only with the last of the events before it."""
        groups: list[list[bytes]] = []
        queue = self._queue
        limit = _GROUP if not places else 1 << 30
        while queue and len(groups) < limit:
            group: list[bytes] = []
            size = 0
            while queue and len(group) < MAX_SEGMENT_EVENTS and size + 4 + len(queue[0]) <= MAX_BODY_BYTES:
                raw = queue.popleft()
                size += 4 + len(raw)
                group.append(raw)
            groups.append(group)
        self._changed.notify_all()
        return groups

    def _store(self, segments: list[SignedSegment], places: dict[str, str]) -> bool:
        try:
            # A commit that was reported as failed may have happened all the same.
            if not (segments and self.failure and self._spool.has(self.run, segments[-1].n)):
                self._spool.put(self.run, segments, places)
        except SpoolFailed as error:
            if self.failure is None:
                log.error("%s", error)
            with self._on_disk:
                self.failure = error
                self._on_disk.notify_all()
            return False
        self.segments += len(segments)
        self._committed([Waiting(self.run, s.n, len(s.record)) for s in segments])
        with self._on_disk:
            self.failure = None
            if segments:
                self._safe = segments[-1].first + segments[-1].count
            for source, place in places.items():
                if self._places.get(source) == place:
                    del self._places[source]
            self._on_disk.notify_all()
        return True

"""The sending half of a recorder: what the spool holds goes to Kafka, and leaves the spool when its receipt comes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from kafka.partitioner import murmur2

from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.headers import Seen
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.segments import SignedSegment
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.topics import RECEIPT_PARTITIONS
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.vouching import vouch

from .errors import SpoolFailed
from .runlock import RunLock
from .sender_core import Answer, Key, SenderCore
from .spool import Spool, Waiting

log: Final = logging.getLogger(__name__)
_ADOPT_EVERY_S: Final = 10.0
_FRESH_BYTES: Final = 4 << 20
_TURN_BYTES: Final = 1 << 20
"""What one recorder sends before the next one's turn."""


class Outlet(Protocol):
    """Where records go."""

    def room(self) -> int:
        """Bytes that may be handed over now."""

    def send(self, record: bytes, done: Callable[[Exception | None], None]) -> None:
        """Hand one over. `done` is called later, from any thread: None when Kafka has it."""


class Sending:
    """Driven by the hub's threads; `added` by the writer's. `_lock` guards the core and is never held while the disk works."""

    def __init__(self, settings: AgentSettings, spool: Spool, freed: Callable[[], None]) -> None:
        self._settings, self._spool, self._freed = settings, spool, freed
        self.agent = settings.agent
        # As the notary's producer chooses it: Kafka's default partitioner by key.
        self.partition = (murmur2(self.agent.encode()) & 0x7FFFFFFF) % RECEIPT_PARTITIONS
        self._changed = threading.Condition(threading.Lock())
        self._core = SenderCore(settings.resend_s)
        self._fresh: dict[Key, bytes] = {}
        self._fresh_bytes = 0
        self._adopted: dict[str, RunLock] = {}
        self._own = ""
        self._next_adoption = 0.0
        self._to_free: list[Key] = []
        self._to_set_aside: list[tuple[str, int, int]] = []
        self._finishing = threading.Lock()
        self.sent = self.acknowledged = self.refused = 0
        self.last_error = ""
        self.seen: Seen | None = None
        self.aside_before = spool.usage()[1]

    @property
    def waiting(self) -> int:
        """Segments without a receipt."""
        with self._changed:
            return self._core.waiting

    @property
    def bytes_waiting(self) -> int:
        with self._changed:
            return self._core.bytes_waiting

    @property
    def unanswered(self) -> bool:
        """Whether Kafka has had segments again and again, and no receipt comes."""
        with self._changed:
            return self._core.unanswered

    @property
    def aside(self) -> int:
        """Segments in the spool that were refused for good, as far as this process knows."""
        return self.aside_before + self.refused

    def own(self, run: str, key: str) -> None:
        """The run that this process signs."""
        self._own = run
        with self._changed:
            self._core.open_lane(run, key)

    def added(self, segments: Sequence[SignedSegment]) -> None:
        """New segments of our own run are on disk."""
        with self._changed:
            for segment in segments:
                size = len(segment.record)
                self._core.added(Waiting(self._own, segment.n, size))
                if self._fresh_bytes < _FRESH_BYTES:
                    self._fresh[(self._own, segment.n)] = segment.record
                    self._fresh_bytes += size

    def adopt(self, now: float) -> None:
        """Take over what dead processes of this agent left, under the runs that signed it; forget their finished runs."""
        self._next_adoption = now + _ADOPT_EVERY_S
        for run, key in self._spool.runs():
            if run == self._own or run in self._adopted:
                continue
            lock = RunLock(self._spool.directory, run)
            if not lock.take():
                continue
            segments, size = self._spool.left(run)
            if not segments:
                lock.close(remove=self._spool.end_run(run))
                continue
            with self._changed:
                self._adopted[run] = lock
                self._core.open_lane(run, key, segments, size)
            log.info("%s: sending %d segments that an earlier run left (%s)", self.agent, segments, run)

    def send_due(self, outlet: Outlet) -> float:
        """Send what is due; seconds until there may be more."""
        now = time.monotonic()
        try:
            if now >= self._next_adoption:
                self.adopt(now)
            self._load()
            keys, wait = self._choose(now, outlet)
        except SpoolFailed as error:
            self._trouble(str(error))
            return 1.0
        for place, key in enumerate(keys):
            try:
                self._send(outlet, key)
            except Exception as error:
                # What was chosen and not handed over does not fly.
                for left in keys[place:]:
                    self._done(left, error)
                raise
        self.settle()
        return wait

    def _choose(self, now: float, outlet: Outlet) -> tuple[list[Key], float]:
        room = min(_TURN_BYTES, outlet.room())
        with self._changed:
            keys = self._core.due(now, room) if room > 0 else []
            return keys, 0.0 if keys else self._core.next_due(now)

    def _load(self) -> None:
        """Bring the numbers of segments that only the spool knows into the core."""
        with self._changed:
            wanted = self._core.wanted()
        for run, after, limit in wanted:
            found = self._spool.waiting(run, after, limit)
            with self._changed:
                self._core.loaded(run, limit, found)

    def _send(self, outlet: Outlet, key: Key) -> None:
        with self._changed:
            record = self._fresh.pop(key, None)
            if record is not None:
                self._fresh_bytes -= len(record)
        if record is None:
            record = self._spool.record(*key)
        if record is None:
            # Another process of this agent had its receipt: as good as ours.
            self._take([Receipt(self.agent, key[0], key[1], Verdict.SEEN, 0, 0, "", "")])
            return
        outlet.send(record, lambda error: self._done(key, error))

    def _done(self, key: Key, error: Exception | None) -> None:
        """Kafka's answer, from any thread."""
        with self._changed:
            if error is None:
                self.sent += 1
                self._core.landed(key, time.monotonic())
            else:
                self._core.failed(key)

    def take_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Free, keep or set aside, as the verdict says."""
        self._take(receipts)
        self.settle()

    def _take(self, receipts: Sequence[Receipt]) -> None:
        now = time.monotonic()
        refused: list[tuple[str, int, int]] = []
        with self._changed:
            for receipt in receipts:
                key = (receipt.run, receipt.n)
                answer = self._core.receipt(receipt.run, receipt.n, receipt.verdict, now)
                if answer is Answer.FREE:
                    self._to_free.append(key)
                elif answer is Answer.ASIDE:
                    refused.append((*key, receipt.verdict))
                if answer is not None and (record := self._fresh.pop(key, None)) is not None:
                    self._fresh_bytes -= len(record)
                if answer is Answer.KEEP:
                    self._trouble("the key is not enrolled yet; segments wait and are tried again")
            self._to_set_aside += refused
        for run, n, verdict in refused:
            log.error("segment %s/%d of %s was refused (%s); it is kept aside", run, n, self.agent, _label(verdict))

    def settle(self) -> None:
        """Put down in the spool what receipts said. When the disk refuses, it is tried again with the next ones."""
        with self._finishing:
            with self._changed:
                freed, self._to_free = self._to_free, []
                aside, self._to_set_aside = self._to_set_aside, []
            if not freed and not aside:
                return
            try:
                self._spool.finish(freed, aside)
                # If we crash before, they are sent once more, and the notary has seen them.
            except SpoolFailed as error:
                self._trouble(str(error))
                with self._changed:
                    self._to_free = freed + self._to_free
                    self._to_set_aside = aside + self._to_set_aside
                return
            with self._changed:
                self.acknowledged += len(freed)
                self.refused += len(aside)
                if self.last_error and freed:
                    self.last_error = ""
                self._changed.notify_all()
        self._freed()

    def _trouble(self, text: str) -> None:
        if text != self.last_error:
            self.last_error = text
            log.warning("%s: %s", self.agent, text)

    def take_checkpoint(self, origin: str, note: bytes) -> None:
        """The newest root checkpoint that the sealer signed: the next segments say that we saw it."""
        log_settings = self._settings.log
        if origin != log_settings.root_origin:
            return
        try:
            seen = vouch(note, log_settings)
        except (ParseError, VerificationError) as error:
            log.warning("a root checkpoint that does not verify: %s", error)
            return
        if self.seen is None or seen.size > self.seen.size:
            self.seen = seen
        elif seen.size == self.seen.size and seen.root != self.seen.root:
            log.error("two root checkpoints of size %d differ: %s and %s; the history was forked", seen.size, self.seen.root, seen.root)

    def wait_idle(self, timeout_s: float) -> int:
        """Segments that were in the spool when this was called and still have no receipt after `timeout_s` at the most."""
        with self._changed:
            mark = self._core.mark()
            self._changed.wait_for(lambda: not self._core.before(mark) and not self._to_free, timeout_s)
            return self._core.before(mark)

    def close(self) -> None:
        """Give adopted runs back; finished ones leave nothing behind."""
        self.settle()
        for run, lock in self._adopted.items():
            try:
                ended = self._spool.end_run(run)
            except SpoolFailed:
                ended = False
            lock.close(remove=ended)
        self._adopted = {}

    def forget(self) -> None:
        """In a forked child: the adopted runs are the parent's."""
        for lock in self._adopted.values():
            lock.close()


def _label(verdict: int) -> str:
    try:
        return Verdict(verdict).label
    except ValueError:
        return f"verdict {verdict}"

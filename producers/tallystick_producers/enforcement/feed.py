"""Reads topic `locks` for an enforcement point: from the beginning, then as it grows, for ever. A thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from kafka import TopicPartition

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Lock, LockHeartbeat, parse_lock
from tallystick_schemas.topics import LOCKS

from ..errors import LockFeedBroken
from ..following import POLL_MS, follow
from ..instants import now as clock
from .table import LockTable

log: Final = logging.getLogger(__name__)
PARTITION: Final = TopicPartition(LOCKS, 0)
_SILENT_S: Final = 3.0
"""Heartbeats come each second: after so long without one, Kafka may have been away, and what it tells next may be old."""


class Listener(Protocol):
    """Who wants to know what the feed did, from its thread: must not wait."""

    def applied(self, lock: Lock) -> None:
        """The table holds this lock, or no longer holds the one that this lifts."""

    def heard(self, at: str) -> None:
        """A heartbeat of the responder, live; everything before it is in the table."""


class LockFeed:
    """Keeps a LockTable up to date until closed. When Kafka is away the table grows stale, and the gateway denies.

    A heartbeat counts only when it was written after we looked where the topic ends: one from before may be days old, and no clock of another machine
    can tell. Records stand in one order, so with it every lock before it has been applied.
    """

    def __init__(self, table: LockTable, connect: Callable[[], Any], listener: Listener | None = None) -> None:
        self._table, self._connect, self._listener = table, connect, listener
        self._caught_up = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallystick-locks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, without waiting for that."""
        self._stopping.set()

    def close(self, timeout: float = 5.0) -> None:
        """End the thread; one that hangs in a connection is left behind after `timeout` seconds."""
        self.stop()
        self._thread.join(timeout)

    def _run(self) -> None:
        follow("locks", self._connect, self._read, self._stopping)

    def _read(self, consumer: Any) -> None:
        consumer.assign([PARTITION])
        consumer.seek_to_beginning(PARTITION)
        end = _end(consumer)
        last = time.monotonic()
        self._caught_up = False
        while not self._stopping.is_set():
            records = consumer.poll(timeout_ms=POLL_MS).get(PARTITION, [])
            now = time.monotonic()
            if records:
                last = now
            elif now - last > _SILENT_S:
                end, last = _end(consumer), now
                if consumer.position(PARTITION) > end:
                    raise LockFeedBroken("the topic is shorter than what was read of it")
            for record in records:
                beat = self._apply(record, live=record.offset >= end)
                if beat is not None and record.offset >= end:
                    self._table.heartbeat(now)
                    self._tell_heard(beat)

    def _tell_heard(self, beat: LockHeartbeat) -> None:
        """With the first live heartbeat all that stood in the topic before is applied; only then is it told, each subject once."""
        if self._listener is None:
            return
        if not self._caught_up:
            self._caught_up = True
            for lock in self._table.locked(clock()):
                self._listener.applied(lock)
        self._listener.heard(beat.at)

    def _apply(self, record: Any, *, live: bool) -> LockHeartbeat | None:
        """The heartbeat, if this was one."""
        key = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            self._table.forget(key)
            return None
        try:
            value = parse_lock(record.key, record.value)
        except ParseError as error:
            log.error("topic %s, offset %d: %s", LOCKS, record.offset, error)
            if key.startswith(("principal:", "credential:")):
                self._table.apply_unreadable(key)
            return None
        if isinstance(value, Lock):
            self._table.apply(value)
            log.info("%s is %s (command %s)", value.subject, value.state, value.command)
            if live and self._listener is not None:
                self._listener.applied(value)
            return None
        return value


def _end(consumer: Any) -> int:
    end: int = consumer.end_offsets([PARTITION])[PARTITION]
    return end

"""Reads topic `locks` for an enforcement point: from the beginning, then as it grows, for ever. A thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from kafka import TopicPartition

from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.locks import Held, LockTopic, Lost, in_force
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, LockHeartbeat
from tallystick_schemas.times import seconds_of
from tallystick_schemas.topics import LOCKS

from ..errors import LockFeedBroken
from ..following import POLL_MS, follow
from ..instants import now as clock
from ..keyring import read_roles
from ..refused import Refused
from .table import LockTable

log: Final = logging.getLogger(__name__)
PARTITION: Final = TopicPartition(LOCKS, 0)
_SILENT_S: Final = 3.0
"""Heartbeats come each second: after so long without one, Kafka may have been away, and what it tells next may be old."""
_AMISS: Final = "finds that topic locks lost or holds back what the responder wrote there"


class Listener(Protocol):
    """Who wants to know what the feed did, from its thread: must not wait."""

    def applied(self, lock: Lock, *, stood: bool = False) -> None:
        """The table holds this lock, or no longer holds the one that this lifts. `stood`: it was on the topic before the feed began to follow it."""

    def heard(self, at: str) -> None:
        """A heartbeat of the responder, live and believed; everything before it is in the table."""


class LockFeed:
    """Keeps a LockTable up to date until closed, by what a responder signed. When Kafka is away the table grows stale, and the gateway denies.

    A heartbeat counts only when it was written after we looked where the topic ends, when it is of now by our own clock, and when what was read before
    it is what it says: as many locks, the same ones, the same roles. Records stand in one order, so with it every lock before it has been applied.
    What was once held stays held when the topic is read again, is cut, made anew or deleted: only a signed word lifts it.
    """

    def __init__(self, table: LockTable, topic: LockTopic, connect: Callable[[], Any], listener: Listener | None = None) -> None:
        self._table, self._topic, self._connect, self._listener = table, topic, connect, listener
        self._caught_up = False
        self.refused, self.lost, self.differs = Refused(LOCKS), Refused(LOCKS), Refused(LOCKS)
        """Values that were nobody's word; tombstones of locks that hold; heartbeats that speak of another topic than was read."""
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
        # Roles first: compaction may leave one behind what its holder signed.
        read_roles(consumer, self._topic.opener.keyring, self.refused)
        consumer.seek_to_beginning(PARTITION)
        end, last, expected = _end(consumer), time.monotonic(), 0
        self._caught_up = False
        while not self._stopping.is_set():
            records = consumer.poll(timeout_ms=POLL_MS).get(PARTITION, [])
            now = time.monotonic()
            if records:
                last = now
            elif now - last > _SILENT_S:
                end, last = _end(consumer), now
                if consumer.position(PARTITION) > end:
                    self._broken()
            if records and records[0].offset < expected:
                self._broken()
            for record in _telling(records, end):
                self._apply(record, live=record.offset >= end)
            expected = records[-1].offset + 1 if records else expected

    def _broken(self) -> None:
        self._table.doubt(_AMISS)
        raise LockFeedBroken("the topic is shorter than what was read of it")

    def _apply(self, record: Any, *, live: bool) -> None:
        """One value. Whatever no responder signed changes nothing."""
        try:
            taken = self._topic.take(record.key, record.value)
            if isinstance(taken, Held):
                self._hold(taken.lock)
            elif isinstance(taken, LockHeartbeat) and live:
                self._hear(taken)
            elif isinstance(taken, Lost):
                self.lost.note(record.key, "a tombstone, which lifts nothing: the topic lost a lock that holds")
        except OldMessage as error:
            # What is read again after a reconnect was heard before, and is nobody's replay.
            if live:
                self.refused.note(record.key, error)
        except ParseError as error:
            self.refused.note(record.key, error)

    def _hold(self, lock: Lock) -> None:
        self._table.apply(lock)
        log.info("%r is %s (command %s)", lock.subject, lock.state, lock.command)
        if self._caught_up and self._listener is not None:
            self._listener.applied(lock)

    def _hear(self, beat: LockHeartbeat) -> None:
        self._tell_standing()
        if not self._topic.agrees(beat):
            count, _ = self._topic.standing()
            self.differs.note(HEARTBEAT_KEY, f"{count} locks were read and the responder wrote {beat.count}, or other ones, or other roles")
            self._table.doubt(_AMISS)
        elif self._table.heartbeat(seconds_of(beat.at), clock()) and self._listener is not None:
            self._listener.heard(beat.at)

    def _tell_standing(self) -> None:
        """With the first live heartbeat all that stood in the topic before is applied; only then is it told, each subject once."""
        if self._caught_up or self._listener is None:
            return
        self._caught_up, now = True, clock()
        for held in list(self._topic.held.values()):
            if held.lock.state == "unlocked" or in_force(held.lock, now.wall):
                self._listener.applied(held.lock, stood=True)


def _telling(records: list[Any], end: int) -> Iterator[Any]:
    """All but heartbeats of before `end` that another one follows at once: each would be checked for its number alone, which the next one raises."""
    for at, record in enumerate(records, 1):
        followed = at < len(records) and records[at].key == HEARTBEAT_KEY
        if not (followed and record.key == HEARTBEAT_KEY and record.offset < end):
            yield record


def _end(consumer: Any) -> int:
    end: int = consumer.end_offsets([PARTITION])[PARTITION]
    return end

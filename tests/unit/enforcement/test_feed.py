"""The feed on a topic in memory: order, what counts as a heartbeat of now, and what happens when Kafka goes away."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from tallystick_producers import following
from tallystick_producers.enforcement import feed as lock_feed
from tallystick_producers.enforcement.feed import PARTITION, LockFeed
from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.instants import Instant
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, LockHeartbeat, encode_json

AT = "2026-01-01T00:00:00.000000Z"


class Topic:
    """Partition 0 of `locks`; consumers of it get an error while `away`."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.away = False
        self.consumers: list[Consumer] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        self.records.append(SimpleNamespace(offset=len(self.records), key=key, value=value))

    def lock(self, subject: str, state: Any = "locked") -> None:
        self.put(subject.encode(), encode_json(Lock(subject=subject, state=state, command="c", reason="r", by="b", at=AT)))

    def beat(self) -> None:
        self.put(HEARTBEAT_KEY, encode_json(LockHeartbeat(AT)))

    def connect(self) -> "Consumer":
        if self.away:
            raise KafkaTimeoutError("no broker")
        self.consumers.append(Consumer(self))
        return self.consumers[-1]


class Consumer:
    def __init__(self, topic: Topic) -> None:
        self._topic, self._at, self.closed = topic, 0, False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def assign(self, partitions: list[Any]) -> None:
        assert partitions == [PARTITION]

    def seek_to_beginning(self, partition: Any) -> None:
        self._at = 0

    def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        if self._topic.away:
            raise KafkaTimeoutError("no broker")
        return {PARTITION: len(self._topic.records)}

    def position(self, partition: Any) -> int:
        return self._at

    def poll(self, timeout_ms: int) -> dict[Any, list[Any]]:
        found = [] if self._topic.away else self._topic.records[self._at :]
        self._at += len(found)
        if not found:
            try:
                self._wake.get(timeout=0.005)
            except queue.Empty:
                return {}
        return {PARTITION: found}

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def table() -> LockTable:
    return LockTable(stale_s=1e6)


@pytest.fixture
def feed(topic: Topic, table: LockTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], LockFeed]]:
    monkeypatch.setattr(lock_feed, "_SILENT_S", 0.02)
    monkeypatch.setattr(following, "_AGAIN_S", 0.005)
    feeds: list[LockFeed] = []

    def start() -> LockFeed:
        feeds.append(LockFeed(table, topic.connect))
        return feeds[-1]

    yield start
    for each in feeds:
        each.close()
    assert all(consumer.closed for consumer in topic.consumers)


def now() -> Instant:
    return Instant(0.0, time.monotonic())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def is_locked(table: LockTable, name: str) -> bool:
    return any(lock.subject == f"principal:{name}" for lock in table.locked(now()))


def test_locks_of_before_and_later_are_applied_in_order(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    topic.lock("principal:b")
    topic.lock("principal:a", "unlocked")
    feed()
    until(lambda: is_locked(table, "b"))
    assert not is_locked(table, "a")
    topic.lock("principal:c")
    until(lambda: is_locked(table, "c"))
    topic.put(b"principal:c", None)
    until(lambda: not is_locked(table, "c"))


def test_a_heartbeat_of_before_is_not_one_of_now(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.beat()
    topic.lock("principal:a")
    feed()
    until(lambda: is_locked(table, "a"))
    assert table.age_s(now()) is None

    def heard() -> bool:
        # One alone may be taken for an old one, when it comes just as the end of the silent topic is looked up. The responder goes on beating.
        topic.beat()
        return table.age_s(now()) is not None

    until(heard)


def test_what_was_written_while_kafka_was_away_is_not_of_now(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    until(lambda: bool(topic.consumers))
    topic.away = True
    until(lambda: topic.consumers[0].closed)
    topic.beat()
    topic.lock("principal:a")
    topic.away = False
    until(lambda: is_locked(table, "a"))
    assert table.age_s(now()) is None


def test_a_record_that_cannot_be_read_locks_its_subject(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    for key, value in (
        (b"principal:a", b"\xff"),
        (b"nonsense", b"{}"),
        (HEARTBEAT_KEY, b"[]"),
        (b"principal:b", b'{"subject":"principal:c"}'),
    ):
        topic.put(key, value)
    topic.lock("principal:last")
    feed()
    until(lambda: is_locked(table, "last"))
    assert {lock.subject for lock in table.locked(now())} == {"principal:a", "principal:b", "principal:last"}
    topic.lock("principal:a", "unlocked")
    until(lambda: not is_locked(table, "a"))


def test_a_topic_made_anew_is_read_from_its_beginning(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    for name in "abc":
        topic.lock(f"principal:{name}")
    feed()
    until(lambda: is_locked(table, "c"))
    topic.records.clear()
    topic.lock("principal:new")
    until(lambda: is_locked(table, "new"))
    assert is_locked(table, "a")  # nobody said that it is lifted

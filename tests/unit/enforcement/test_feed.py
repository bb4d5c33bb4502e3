"""The feed on a topic in memory: order, what counts as a heartbeat of now, whose word counts, and what happens when Kafka or its topic goes away."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from tests.support.signing import OPERATORS, Speaker, directive, role_key

from tallystick_producers import following
from tallystick_producers.enforcement import feed as lock_feed
from tallystick_producers.enforcement.feed import PARTITION, LockFeed
from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.instants import now
from tallystick_producers.keyring import opener_of
from tallystick_schemas.envelope import Number
from tallystick_schemas.locks import UNREADABLE, LockTopic
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, encode_json
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, LOCKS

AT = "2026-01-01T00:00:00.000000Z"
LOG = LogSettings("test", operator_keys=OPERATORS)
STALE_S = 1e6


def word(subject: str, state: Any = "locked", command: str = "c") -> bytes:
    return encode_json(Lock(subject=subject, state=state, command=command, reason="r", by="b", at=AT))


class Topic:
    """Partition 0 of `locks` with a responder that writes it and keeps its own book; consumers of it get an error while `away`."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.away = self.rewinds = False
        """`rewinds`: a reader whose place is gone begins anew, as Kafka's client does by itself."""
        self.consumers: list[Consumer] = []
        self.responder = Speaker("responder", fence=2)
        self.book = LockTopic(opener_of(LOG))
        self.role("responder")

    def put(self, key: bytes | None, value: bytes | None) -> None:
        """Anybody's value: the topic takes whatever comes."""
        self.records.append(SimpleNamespace(offset=len(self.records), key=key, value=value))

    def role(self, agent: str, **more: Any) -> None:
        raw = directive(agent, **more)
        self.book.opener.keyring.take(raw)
        self.put(role_key(agent, more.get("key", "")), raw)

    def say(self, key: bytes, body: bytes) -> bytes:
        """The responder's word: in its book, and on the topic."""
        value = self.responder.says(LOCKS, key, body)
        self.book.take(key, value)
        self.put(key, value)
        return value

    def lock(self, subject: str, state: Any = "locked", command: str = "c") -> bytes:
        return self.say(subject.encode(), word(subject, state, command))

    def beat(self, at: float | None = None) -> bytes:
        return self.say(HEARTBEAT_KEY, encode_json(self.book.heartbeat(wire_time(time.time() if at is None else at))))

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
        if self._topic.rewinds and self._at > len(self._topic.records):
            self._at = 0
        found = [] if self._topic.away else [record for record in self._topic.records if record.offset >= self._at]
        if not found:
            try:
                self._wake.get(timeout=0.005)
            except queue.Empty:
                return {}
        self._at = found[-1].offset + 1
        return {PARTITION: found}

    def close(self) -> None:
        self.closed = True


@dataclass
class Heard:
    """A listener that keeps what it is told."""

    applied_: list[tuple[str, str, bool]] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)

    def applied(self, lock: Lock, *, stood: bool = False) -> None:
        self.applied_.append((lock.subject, lock.state, stood))

    def heard(self, at: str) -> None:
        self.beats.append(at)


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def table() -> LockTable:
    return LockTable(stale_s=STALE_S)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def feed(topic: Topic, table: LockTable, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], LockFeed]]:
    monkeypatch.setattr(lock_feed, "_SILENT_S", 0.02)
    monkeypatch.setattr(following, "_AGAIN_S", 0.005)
    feeds: list[LockFeed] = []

    def start() -> LockFeed:
        feeds.append(LockFeed(table, LockTopic(opener_of(LOG)), topic.connect, heard))
        return feeds[-1]

    yield start
    for each in feeds:
        each.close()
    assert all(consumer.closed for consumer in topic.consumers)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def is_locked(table: LockTable, name: str) -> bool:
    return any(lock.subject == f"principal:{name}" for lock in table.locked(now()))


def open_(topic: Topic, table: LockTable) -> None:
    """The door opens: the responder beats until it does. One beat alone may be taken for an old one, when it comes as the topic's end is looked up."""

    def fresh() -> bool:
        topic.beat()
        return table.fresh(now())

    until(fresh)


def shut(topic: Topic, table: LockTable) -> str:
    """The door closes, though the responder beats; why."""

    def closed() -> bool:
        topic.beat()
        return not table.fresh(now())

    until(closed)
    denial = table.check("somebody", None, now())
    assert denial is not None
    assert denial.command is None
    return denial.text


def read_all(topic: Topic, table: LockTable) -> None:
    """Until what stands on the topic now was read: a lock after it is applied."""
    topic.lock(f"principal:mark-{len(topic.records)}")
    mark = topic.records[-1].key.decode().removeprefix("principal:")
    until(lambda: is_locked(table, mark))


def test_locks_of_before_and_later_are_applied_in_order(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    topic.lock("principal:b")
    topic.lock("principal:a", "unlocked")
    feed()
    until(lambda: is_locked(table, "b"))
    assert not is_locked(table, "a")
    topic.lock("principal:c")
    until(lambda: is_locked(table, "c"))
    topic.lock("principal:c", "unlocked")
    until(lambda: not is_locked(table, "c"))


def test_a_fresh_deployment_is_opened_by_a_signed_empty_book(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    until(lambda: bool(topic.consumers))
    assert not table.fresh(now()), "an empty topic says nothing"
    open_(topic, table)
    assert table.check("somebody", None, now()) is None


def test_a_heartbeat_of_before_is_not_one_of_now(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.beat()
    topic.lock("principal:a")
    feed()
    until(lambda: is_locked(table, "a"))
    assert not table.fresh(now())
    open_(topic, table)


def test_what_was_written_while_kafka_was_away_is_not_of_now(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    until(lambda: bool(topic.consumers))
    topic.away = True
    until(lambda: topic.consumers[0].closed)
    topic.beat()
    topic.lock("principal:a")
    topic.away = False
    until(lambda: is_locked(table, "a"))
    assert not table.fresh(now())


def forged(topic: Topic, subject: str = "principal:a", state: str = "unlocked") -> dict[str, bytes | None]:
    """Words about a subject that no responder signed for this place."""
    key, body = subject.encode(), word(subject, state)
    return {
        "unsigned": body,
        "garbage": b"\xff",
        "a tombstone": None,
        "a stranger's": Speaker("responder", fence=9, key="mallory").says(LOCKS, key, body),
        "another role's": Speaker("detectors", fence=9).says(LOCKS, key, body),
        "another subject's": Speaker("responder", fence=9).says(LOCKS, b"principal:z", body),
        "another topic's": Speaker("responder", fence=9).says(DECISIONS, key, body),
        "another deployment's": Speaker("responder", fence=9, deployment="other").says(LOCKS, key, body),
        "changed": topic.responder.signer.sign(LOCKS, key, Number(9, 0), body)[:-1] + b" ",
    }


@pytest.mark.parametrize("what", sorted(forged(Topic())))
def test_what_no_responder_signed_lifts_nothing_and_locks_nobody(
    topic: Topic, table: LockTable, feed: Callable[[], LockFeed], what: str
) -> None:
    for agent in ("detectors", "outbox"):
        topic.role(agent)
    topic.lock("principal:a")
    running = feed()
    open_(topic, table)
    topic.put(b"principal:a", forged(topic)[what])
    topic.put(b"principal:b", forged(topic, "principal:b", "locked")[what])
    read_all(topic, table)
    assert is_locked(table, "a")
    assert not is_locked(table, "b")
    assert running.refused.count + running.lost.count == (1 if what == "a tombstone" else 2)
    open_(topic, table)


def test_a_stranger_opens_no_door(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    until(lambda: bool(topic.consumers))
    beat = encode_json(topic.book.heartbeat(wire_time(time.time())))
    for _ in range(3):
        topic.put(HEARTBEAT_KEY, beat)
        topic.put(HEARTBEAT_KEY, Speaker("responder", fence=9, key="mallory").says(LOCKS, HEARTBEAT_KEY, beat))
        topic.put(HEARTBEAT_KEY, Speaker("responder", fence=9, deployment="other").says(LOCKS, HEARTBEAT_KEY, beat))
        read_all(topic, table)
    assert not table.fresh(now())


def test_a_signed_word_that_cannot_be_read_locks_its_subject(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.say(b"principal:a", b'{"state":"quarantined"}')
    feed()
    open_(topic, table)
    denial = table.check("a", None, now())
    assert denial is not None
    assert denial.command == UNREADABLE
    topic.lock("principal:a", "unlocked")
    until(lambda: not is_locked(table, "a"))


def test_an_old_word_is_not_the_newest_one_again(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    locked = topic.lock("principal:b")
    lifted = [topic.lock("principal:a", "unlocked"), topic.lock("principal:b", "unlocked")]
    topic.lock("principal:a")
    running = feed()
    open_(topic, table)
    for key, value in ((b"principal:a", lifted[0]), (b"principal:b", locked), (b"principal:b", lifted[1])):
        topic.put(key, value)
    read_all(topic, table)
    assert is_locked(table, "a")
    assert not is_locked(table, "b")
    assert running.refused.count == 3


def test_words_of_an_owner_who_was_replaced_are_old(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    feed()
    open_(topic, table)
    topic.put(b"principal:a", Speaker("responder", fence=1).says(LOCKS, b"principal:a", word("principal:a", "unlocked"), Number(1, 10_000)))
    read_all(topic, table)
    assert is_locked(table, "a")


def test_a_heartbeat_that_is_said_again_is_none(topic: Topic, table: LockTable, feed: Callable[[], LockFeed], heard: Heard) -> None:
    feed()
    open_(topic, table)
    replayed = topic.records[-1].value
    read_all(topic, table)
    beats = len(heard.beats)
    for _ in range(3):
        topic.put(HEARTBEAT_KEY, replayed)
    read_all(topic, table)
    assert len(heard.beats) == beats


@pytest.mark.parametrize(("off_s", "side"), [(-STALE_S - 10, "behind"), (STALE_S + 10, "ahead of")])
def test_a_heartbeat_of_another_time_closes_the_door(
    topic: Topic, table: LockTable, feed: Callable[[], LockFeed], off_s: float, side: str
) -> None:
    feed()
    open_(topic, table)
    topic.beat(time.time() + off_s)
    until(lambda: not table.fresh(now()))
    denial = table.check("somebody", None, now())
    assert denial is not None
    assert f"{side} its own clock" in denial.text
    open_(topic, table)


def test_a_lock_that_was_dropped_from_the_topic_closes_a_new_door_and_holds_at_an_old_one(
    topic: Topic, table: LockTable, feed: Callable[[], LockFeed]
) -> None:
    topic.lock("principal:a")
    feed()
    open_(topic, table)
    # Compaction after a tombstone: whoever reads now finds nothing.
    topic.records = [record for record in topic.records if record.key != b"principal:a"]
    open_(topic, table)
    assert is_locked(table, "a")

    new = LockTable(STALE_S)
    other = LockFeed(new, LockTopic(opener_of(LOG)), topic.connect)
    try:
        topic.beat()
        assert "lost or holds back" in shut_new(topic, new)
        topic.lock("principal:a")
        open_(topic, new)
        assert is_locked(new, "a"), "the responder said it again"
    finally:
        other.close()


def shut_new(topic: Topic, table: LockTable) -> str:
    """Until a new door says why it stays closed."""
    why = [""]

    def told() -> bool:
        topic.beat()
        denial = table.check("somebody", None, now())
        assert denial is not None
        why[0] = denial.text
        return "not heard" not in why[0]

    until(told)
    return why[0]


def test_a_lock_that_is_held_back_closes_the_door(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    open_(topic, table)
    topic.book.take(b"principal:a", held := topic.responder.says(LOCKS, b"principal:a", word("principal:a")))
    assert "lost or holds back" in shut(topic, table)
    # It comes after the heartbeats that were written after it: out of its order it is nobody's word any more.
    topic.put(b"principal:a", held)
    read_all(topic, table)
    assert not is_locked(table, "a")
    assert not table.fresh(now())
    topic.lock("principal:a")
    open_(topic, table)
    assert is_locked(table, "a")


def test_a_role_that_is_held_back_closes_the_door(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    feed()
    open_(topic, table)
    topic.book.opener.keyring.take(raw := directive("outbox"))
    assert "lost or holds back" in shut(topic, table)
    topic.put(role_key("outbox"), raw)
    open_(topic, table)


def test_a_role_that_compaction_left_behind_its_words_is_known_first(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    topic.records = [SimpleNamespace(offset=at, key=r.key, value=r.value) for at, r in enumerate(reversed(topic.records))]
    running = feed()
    open_(topic, table)
    assert is_locked(table, "a")
    assert running.refused.count == 0


def test_who_was_revoked_lifts_nothing_any_more(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    feed()
    open_(topic, table)
    topic.put(role_key("responder"), directive("responder", n=2, revoked=True))
    topic.lock("principal:a", "unlocked")
    topic.put(role_key("responder.b"), directive("responder.b", ["responder"]))
    second = Speaker("responder.b", fence=3)
    topic.put(b"principal:last", second.says(LOCKS, b"principal:last", word("principal:last")))
    until(lambda: is_locked(table, "last"))
    assert is_locked(table, "a"), "its locks hold, its liftings do not count"


@pytest.mark.parametrize("rewinds", [False, True])
def test_a_topic_made_anew_keeps_what_was_held_and_closes_until_the_responder_agrees(
    topic: Topic, table: LockTable, feed: Callable[[], LockFeed], rewinds: bool
) -> None:
    for name in "abc":
        topic.lock(f"principal:{name}")
    feed()
    open_(topic, table)
    read_all(topic, table)
    topic.rewinds, topic.records = rewinds, topic.records[:1]
    until(lambda: topic.consumers[0].closed)
    topic.lock("principal:new")
    until(lambda: is_locked(table, "new"))
    assert not table.fresh(now())
    assert all(is_locked(table, name) for name in "abc"), "nobody said that they are lifted"
    open_(topic, table)


def test_what_is_read_again_is_nobodys_replay(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    topic.lock("principal:a")
    topic.lock("principal:b")
    topic.lock("principal:b", "unlocked")
    running = feed()
    open_(topic, table)
    topic.away = True
    until(lambda: topic.consumers[-1].closed)
    topic.away = False
    until(lambda: len(topic.consumers) > 1)
    open_(topic, table)
    read_all(topic, table)
    assert running.refused.count == 0
    assert is_locked(table, "a")
    assert not is_locked(table, "b")


def test_who_listens_hears_of_each_word_that_stood_and_of_each_that_comes(
    topic: Topic, table: LockTable, feed: Callable[[], LockFeed], heard: Heard
) -> None:
    topic.lock("principal:a")
    topic.lock("principal:b")
    topic.lock("principal:b", "unlocked")
    feed()
    open_(topic, table)
    until(lambda: bool(heard.beats))
    assert heard.applied_ == [("principal:a", "locked", True), ("principal:b", "unlocked", True)]
    topic.lock("principal:a", "unlocked")
    until(lambda: len(heard.applied_) == 3)
    assert heard.applied_[2] == ("principal:a", "unlocked", False)


def test_a_run_of_old_heartbeats_is_checked_once(topic: Topic, table: LockTable, feed: Callable[[], LockFeed]) -> None:
    """An hour of silence is thousands of them, and each signature costs."""
    for _ in range(50):
        topic.beat()
    checked: list[bytes] = []
    book = LockTopic(opener_of(LOG))
    take = book.take
    book.take = lambda key, value: (checked.append(key or b""), take(key, value))[1]  # type: ignore[method-assign]  # counts
    one = LockFeed(table, book, topic.connect)
    try:
        topic.lock("principal:a")
        until(lambda: is_locked(table, "a"))
        assert checked.count(HEARTBEAT_KEY) == 1
        assert book.newest >= Number(2, 49), "and a replay of any of them is seen"
    finally:
        one.close()

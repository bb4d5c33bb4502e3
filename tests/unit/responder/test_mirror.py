"""The responder's second look at its topic: what it sees of one that was made anew."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import TopicPartition
from msgspec.structs import replace
from tests.support.signing import DEPLOYMENT, OPERATORS, Speaker, directive, key_of, opener, role_key

from tallystick_schemas.envelope import Number, Opener, Signer
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, LockHeartbeat, encode_json
from tallystick_schemas.roles import Keyring
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import LOCKS
from tallystick_stream_jobs.responder.mirror import Mirror, Seen

PARTITION = TopicPartition(LOCKS, 0)
LOCK = Lock(subject="principal:eve", state="locked", command="c1", reason="stolen", by="ana", at=wire_time(1_795_406_400.0))


@dataclass(frozen=True)
class Record:
    offset: int
    key: bytes
    value: bytes


@dataclass
class Topic:
    """Kafka's topic as consumers without a group find it; they go back to the beginning by themselves when it is shorter than their place."""

    records: list[Record] = field(default_factory=list)
    connected: int = 0

    def put(self, key: bytes, value: bytes) -> None:
        self.records = [*self.records, Record(len(self.records), key, value)]


class Consumer:
    def __init__(self, topic: Topic) -> None:
        self._topic, self._at = topic, 0
        topic.connected += 1

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == [PARTITION]

    def seek_to_beginning(self, _: TopicPartition) -> None:
        self._at = 0

    def end_offsets(self, _: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PARTITION: len(self._topic.records)}

    def position(self, _: TopicPartition) -> int:
        return self._at

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        records = self._topic.records
        if self._at > len(records):
            self._at = 0
        found, self._at = records[self._at :], len(records)
        return {PARTITION: found} if found else {}

    def close(self) -> None: ...


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def mirror(topic: Topic) -> Iterator[Mirror]:
    made = Mirror(opener(), lambda: Consumer(topic))
    yield made
    made.close()


def until(condition: Any) -> None:
    for _ in range(2_000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come")


def beat(topic: Topic, speaker: Speaker) -> None:
    topic.put(HEARTBEAT_KEY, speaker.says(LOCKS, HEARTBEAT_KEY, encode_json(LockHeartbeat(wire_time(1_795_406_401.0), 1, "", ""))))


def test_what_stood_on_a_topic_that_was_made_anew_is_lacking(topic: Topic, mirror: Mirror) -> None:
    speaker = Speaker("responder")
    held = Held(LOCK, Number(1, 0), "responder", "")
    topic.put(b"principal:eve", speaker.says(LOCKS, b"principal:eve", encode_json(LOCK)))
    beat(topic, speaker)
    beat(topic, speaker)
    until(lambda: mirror.seen is not None and mirror.seen.newest == Number(1, 2))
    assert mirror.seen is not None
    assert mirror.seen.lacking([held]) == []
    topic.records = []
    beat(topic, speaker)
    until(lambda: mirror.seen is not None and mirror.seen.newest == Number(1, 3) and topic.connected > 1)
    assert mirror.seen.lacking([held]) == [held]


def test_a_role_that_compaction_left_behind_its_words_makes_none_of_them_lacking(topic: Topic) -> None:
    speaker = Speaker("responder")
    topic.put(b"principal:eve", speaker.says(LOCKS, b"principal:eve", encode_json(LOCK)))
    beat(topic, speaker)
    topic.put(role_key("responder"), directive("responder"))
    mirror = Mirror(Opener(DEPLOYMENT, Keyring.of(OPERATORS)), lambda: Consumer(topic))
    try:
        until(lambda: mirror.seen is not None)
        assert mirror.seen is not None
        assert mirror.seen.newest == Number(1, 1)
        assert mirror.seen.lacking([Held(LOCK, Number(1, 0), "responder", "")]) == []
    finally:
        mirror.close()


def word(state: str, fence: int, n: int) -> tuple[bytes, bytes]:
    """Eve's lock or its lifting, as a responder's value of that number."""
    lock = replace(LOCK, state=state)
    return b"principal:eve", Signer(DEPLOYMENT, "responder", key_of("responder")).sign(
        LOCKS, b"principal:eve", Number(fence, n), encode_json(lock)
    )


LIFTING = Held(replace(LOCK, state="unlocked"), Number(1, 4), "responder", "")
FIRST, SECOND = word("locked", 1, 1), word("locked", 1, 3)
OLD, NEW = word("unlocked", 1, 2), word("unlocked", 1, 4)
BEAT = (
    HEARTBEAT_KEY,
    Signer(DEPLOYMENT, "responder", key_of("responder")).sign(
        LOCKS, HEARTBEAT_KEY, Number(1, 9), encode_json(LockHeartbeat(wire_time(1_795_406_401.0), 0, "", ""))
    ),
)


@pytest.mark.parametrize(
    ("values", "lacking"),
    [
        ([FIRST, OLD, SECOND, NEW, BEAT], False),
        ([FIRST, OLD, SECOND, BEAT], True),
        ([FIRST, OLD, SECOND, NEW, BEAT, FIRST], True),
        ([FIRST, OLD, SECOND, NEW, BEAT, OLD], False),
        ([FIRST, OLD, SECOND, (b"principal:eve", None), BEAT], True),
        ([BEAT], False),
        ([FIRST, OLD, SECOND], False),
        ([NEW, word("locked", 2, 0)], False),
    ],
    ids=[
        "it is there",
        "it is gone",
        "an older lock was put behind it",
        "an older lifting was put behind it",
        "it and its lock were deleted, and who reads all finds the lock",
        "all of it is gone",
        "it is under way",
        "somebody with the turn locked since",
    ],
)
def test_a_lifting_is_lacking_where_an_older_lock_is_found(values: list[tuple[bytes, bytes | None]], lacking: bool) -> None:
    seen = Seen(opener())
    for value in values:
        seen.take(*value)
    assert seen.lacking([LIFTING]) == ([LIFTING] if lacking else [])

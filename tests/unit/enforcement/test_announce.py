"""A point's announcements on a topic in memory: acknowledged once in the history, kept while Kafka or the recorder refuse, signed off at the end."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tallystick_producers.enforcement import announce
from tallystick_producers.enforcement.announce import Announcer, Identity, _take_own
from tallystick_producers.errors import SpoolFull
from tallystick_schemas.messages import Lock, LockAck, Point, encode_json, parse_message

AT = "2026-01-01T00:00:00.000000Z"


def lock(name: str = "a", command: str = "c1", **more: Any) -> Lock:
    return Lock(subject=f"principal:{name}", state="locked", command=command, reason="r", by="b", at=AT, **more)


class Topic:
    """Topic `enforcement`. `away`: nothing is taken. `refuse`: how often the recorder refuses."""

    def __init__(self) -> None:
        self.values: dict[str, bytes | None] = {}
        self.sent: list[str] = []
        self.away, self.refuse = False, 0
        self.events: list[dict[str, Any]] = []
        self.known: dict[str, str] = {}

    def connect(self) -> "Topic":
        if self.away:
            raise OSError("no broker")
        return self

    def own(self, point: str) -> Mapping[str, str]:
        assert point == "door"
        return self.known

    def send(self, key: str, value: bytes | None) -> None:
        if self.away:
            raise OSError("no broker")
        self.values[key] = value
        self.sent.append(key)

    def record(self, action: str, **fields: Any) -> str:
        if self.refuse:
            self.refuse -= 1
            raise SpoolFull("spool", 1, 1)
        self.events.append({"action": action, **fields})
        return "door/run/1"

    def close(self) -> None:
        """Nothing is held."""

    def ack(self, name: str) -> LockAck | None:
        value = self.values.get(f"door\0principal:{name}")
        return parse_message(LockAck, value) if value else None


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(announce, "_AGAIN_S", 0.005)
    monkeypatch.setattr(announce, "BEAT_S", 0.01)
    return Topic()


@pytest.fixture
def point(topic: Topic) -> Iterator[Callable[[], Announcer]]:
    made: list[Announcer] = []

    def start() -> Announcer:
        made.append(Announcer(Identity("door", "gateway", "http://127.0.0.1:1/probe"), topic.connect, topic.record))
        return made[-1]

    yield start
    for one in made:
        one.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def test_it_says_that_it_is_there_and_acknowledges_each_lock(topic: Topic, point: Callable[[], Announcer]) -> None:
    one = point()
    one.heard(AT)
    one.applied(lock(drill="run-1", level="step-up"))
    until(lambda: topic.events)
    ack, registered = topic.ack("a"), parse_message(Point, topic.values["door"] or b"")
    assert ack is not None
    assert (ack.point, ack.command, ack.state) == ("door", "c1", "locked")
    assert (registered.kind, registered.probe) == ("gateway", "http://127.0.0.1:1/probe")
    began = registered.started
    assert began is not None
    assert began <= registered.at
    [event] = topic.events
    assert event["attrs"] == {
        "command": "c1",
        "point": "door",
        "applied_at": ack.applied_at,
        "state": "locked",
        "level": "step-up",
        "drill": "run-1",
    }
    beats = topic.sent.count("door")
    until(lambda: topic.sent.count("door") > beats)
    until(lambda: parse_message(Point, topic.values["door"] or b"").known_until == AT)
    assert parse_message(Point, topic.values["door"] or b"").started == began
    one.close()
    assert topic.values["door"] is None, "who was stopped is not silent"


def test_a_command_that_it_acknowledged_before_is_acknowledged_again_but_not_recorded(topic: Topic, point: Callable[[], Announcer]) -> None:
    topic.known = {"principal:a": "c1", "principal:b": "c0"}
    one = point()
    one.applied(lock("a", "c1"))
    one.applied(lock("b", "c2"))
    until(lambda: topic.ack("a") and topic.events)
    assert [event["attrs"]["command"] for event in topic.events] == ["c2"]


def test_while_kafka_is_away_the_newest_word_of_each_subject_waits(topic: Topic, point: Callable[[], Announcer]) -> None:
    topic.away = True
    one = point()
    for command in ("c1", "c2"):
        one.applied(lock("a", command))
    one.applied(lock("b", "c3"))
    topic.away = False
    until(lambda: len(topic.events) == 2)
    assert [event["attrs"]["command"] for event in topic.events] == ["c2", "c3"]


def test_what_the_recorder_refuses_is_recorded_later_and_once(topic: Topic, point: Callable[[], Announcer]) -> None:
    topic.refuse = 3
    point().applied(lock())
    until(lambda: topic.events)
    assert len(topic.events) == 1
    assert topic.ack("a") is not None


def test_what_waits_is_bounded(topic: Topic, point: Callable[[], Announcer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announce, "_MAX_WAITING", 10)
    topic.away = True
    one = point()
    for number in range(50):
        one.applied(lock(f"p{number}", f"c{number}"))
    topic.away = False
    until(lambda: len(topic.events) == 10)
    assert topic.events[0]["attrs"]["command"] == "c40"


def test_its_own_words_are_told_from_others() -> None:
    known: dict[str, str] = {}
    told = encode_json(LockAck(point="door", subject="principal:a", command="c1", state="locked", applied_at=AT))
    for key in (b"door\0principal:a", b"other\0principal:b", b"door", b"door\xff\0principal:c"):
        _take_own(known, "door", key, told)
    assert known == {"principal:a": "c1"}
    _take_own(known, "door", b"door\0principal:a", None)
    assert known == {}

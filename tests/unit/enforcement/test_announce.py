"""A point's announcements on a topic in memory: acknowledged once in the history, kept while Kafka or the recorder refuse, signed off at the end."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.signing import Speaker, opener

from tallystick_producers.enforcement import announce
from tallystick_producers.enforcement.announce import Announcer, Identity, Own
from tallystick_producers.errors import SpoolFull
from tallystick_schemas.enforcement import Enforcement, PointKey
from tallystick_schemas.envelope import Number, Opened
from tallystick_schemas.errors import OldMessage
from tallystick_schemas.messages import Lock, LockAck, Point, encode_json, parse_message
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT, LOCKS

AT = "2026-01-01T00:00:00.000000Z"
NAME = "gateway"
SIGNER = Speaker("gateway").signer


def lock(name: str = "a", command: str = "c1", state: Any = "locked", **more: Any) -> Lock:
    return Lock(subject=f"principal:{name}", state=state, command=command, reason="r", by="b", at=AT, **more)


def told(name: str, command: str, state: Any = "locked") -> tuple[bytes, bytes]:
    """Key and body of an acknowledgement."""
    ack = LockAck(point=NAME, subject=f"principal:{name}", command=command, state=state, applied_at=AT)
    return f"{NAME}\0principal:{name}".encode(), encode_json(ack)


class Topic:
    """Topic `enforcement`. `away`: nothing is taken. `refuse`: how often the recorder refuses."""

    def __init__(self) -> None:
        self.values: dict[bytes, Opened] = {}
        self.sent: list[bytes] = []
        self.raw: list[tuple[bytes, bytes]] = []
        self.before: list[tuple[bytes, bytes]] = []
        """What stands on it."""
        self.away, self.refuse = False, 0
        self.events: list[dict[str, Any]] = []

    def connect(self) -> "Topic":
        if self.away:
            raise OSError("no broker")
        return self

    def own(self, own: Own) -> None:
        for key, value in self.before:
            own.take(key, value)

    def said_before(self, name: str, command: str, fence: int = 1) -> None:
        """An earlier process of the point acknowledged this."""
        key, body = told(name, command)
        self.before.append((key, Speaker("gateway", fence).says(ENFORCEMENT, key, body)))

    def send(self, key: bytes, value: bytes) -> None:
        if self.away:
            raise OSError("no broker")
        self.values[key] = opener().open(ENFORCEMENT, key, value)
        self.sent.append(key)
        self.raw.append((key, value))

    def record(self, action: str, **fields: Any) -> str:
        if self.refuse:
            self.refuse -= 1
            raise SpoolFull("spool", 1, 1)
        self.events.append({"action": action, **fields})
        return "gateway/run/1"

    def close(self) -> None:
        """Nothing is held."""

    def ack(self, name: str) -> LockAck | None:
        value = self.values.get(PointKey(NAME, f"principal:{name}").encode())
        return parse_message(LockAck, value.body) if value else None

    def point(self) -> Point:
        return parse_message(Point, self.values[NAME.encode()].body)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(announce, "_AGAIN_S", 0.005)
    monkeypatch.setattr(announce, "BEAT_S", 0.01)
    return Topic()


@pytest.fixture
def point(topic: Topic) -> Iterator[Callable[[], Announcer]]:
    made: list[Announcer] = []

    def start() -> Announcer:
        made.append(Announcer(Identity(NAME, "gateway", "http://127.0.0.1:1/probe"), SIGNER, topic.connect, topic.record))
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
    ack, registered = topic.ack("a"), topic.point()
    assert ack is not None
    assert (ack.point, ack.command, ack.state) == (NAME, "c1", "locked")
    assert (registered.kind, registered.probe, registered.left) == ("gateway", "http://127.0.0.1:1/probe", False)
    began = registered.started
    assert began is not None
    assert began <= registered.at
    [event] = topic.events
    assert event["attrs"] == {
        "command": "c1",
        "point": NAME,
        "applied_at": ack.applied_at,
        "state": "locked",
        "level": "step-up",
        "drill": "run-1",
    }
    beats = topic.sent.count(b"gateway")
    until(lambda: topic.sent.count(b"gateway") > beats)
    until(lambda: topic.point().known_until == AT)
    assert topic.point().started == began
    one.close()
    assert topic.point().left, "who was stopped is not silent"


def test_its_numbers_rise_over_its_words_its_connections_and_its_starts(topic: Topic, point: Callable[[], Announcer]) -> None:
    ahead = int(time.time() * 1000) + 10**9
    topic.said_before("a", "c0", fence=ahead)
    one = point()
    until(lambda: topic.sent.count(b"gateway") > 2)
    first = topic.values[b"gateway"].number
    assert first.fence == ahead + 1, "the clock was ahead at the last start, and is not now"
    topic.away = True
    one.applied(lock("b"))
    topic.away = False
    until(lambda: topic.ack("b") is not None)
    assert topic.values[b"gateway\0principal:b"].number > first
    one.close()
    topic.before = [(b"gateway", Speaker("gateway").says(ENFORCEMENT, b"gateway", topic.values[b"gateway"].body, Number(ahead + 1, 999)))]
    point().close()
    assert topic.values[b"gateway"].number.fence == ahead + 2


def test_a_command_that_it_acknowledged_before_is_acknowledged_again_but_not_recorded(topic: Topic, point: Callable[[], Announcer]) -> None:
    topic.said_before("a", "c1")
    topic.said_before("b", "c0")
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


def test_a_lifting_is_acknowledged_and_recorded_as_a_lock_is(topic: Topic, point: Callable[[], Announcer]) -> None:
    one = point()
    one.applied(lock("a", "c1"))
    until(lambda: len(topic.events) == 1)
    one.applied(lock("a", "c2", "unlocked"))
    until(lambda: len(topic.events) == 2)
    ack = topic.ack("a")
    assert ack is not None
    assert (ack.command, ack.state) == ("c2", "unlocked")
    assert [(event["attrs"]["command"], event["attrs"]["state"]) for event in topic.events] == [("c1", "locked"), ("c2", "unlocked")]


def test_a_lifting_that_it_missed_is_told_where_it_had_acknowledged_the_lock(topic: Topic, point: Callable[[], Announcer]) -> None:
    topic.said_before("a", "c1")
    topic.said_before("b", "c2")
    one = point()
    for name, command in (("a", "c3"), ("b", "c2"), ("c", "c4")):
        one.applied(lock(name, command, "unlocked"), stood=True)
    one.applied(lock("last", "c5"), stood=True)
    until(lambda: len(topic.events) == 2)
    assert [event["attrs"]["command"] for event in topic.events] == ["c3", "c5"]
    assert (topic.ack("b"), topic.ack("c")) == (None, None), "the one was told before, the other was never held here"


def test_its_own_words_are_told_from_others() -> None:
    own = Own(SIGNER, NAME)
    key, body = told("a", "c1")
    signed = Speaker("gateway", 5).says(ENFORCEMENT, key, body)
    other_name = b"gateway@host:1\0principal:a"
    for place, value in (
        (key, body),
        (key, b"\xff"),
        (key, None),
        (None, signed),
        (b"gateway\xff\0principal:a", signed),
        (b"gateway\0principal:b", signed),
        (key, Speaker("gateway", key="mallory").says(ENFORCEMENT, key, body)),
        (key, Speaker("outbox").says(ENFORCEMENT, key, body)),
        (key, Speaker("gateway", deployment="other").says(ENFORCEMENT, key, body)),
        (key, Speaker("gateway").says(LOCKS, key, body)),
        (key, Speaker("gateway").says(ENFORCEMENT, key, b"{}")),
        (other_name, Speaker("gateway").says(ENFORCEMENT, other_name, body)),
    ):
        own.take(place, value)
    assert (own.commands, own.newest.fence) == ({}, -1)
    own.take(key, signed)
    assert own.commands == {"principal:a": "c1"}
    own.take(key, None)
    assert own.commands == {"principal:a": "c1"}, "a tombstone takes no word back"


def test_of_its_own_words_the_newest_counts_whoever_says_an_old_one_again() -> None:
    own, speaker = Own(SIGNER, NAME), Speaker("gateway", 5)
    old, new = (speaker.says(ENFORCEMENT, *told("a", command)) for command in ("c1", "c2"))
    for value in (old, new, old):
        own.take(told("a", "")[0], value)
    assert own.commands == {"principal:a": "c2"}
    assert own.newest == (5, 1)


def test_who_spoke_in_its_name_and_left_does_not_make_it_unseen(
    topic: Topic, point: Callable[[], Announcer], caplog: pytest.LogCaptureFixture
) -> None:
    """Two gateways of one name: the second one's signing off is the newest word, and the first one's beats were old ones for ever."""
    point()
    until(lambda: topic.sent)
    enforcement, now = Enforcement(opener()), time.time()
    for key, value in topic.raw:
        enforcement.take(key, value, now)
    assert NAME in enforcement.points
    second = Speaker("gateway", fence=int(time.time() * 1000) + 60_000)
    left = encode_json(Point(name=NAME, kind="gateway", version="1", at=wire_time(now), left=True))
    gone = (NAME.encode(), second.says(ENFORCEMENT, NAME.encode(), left))
    enforcement.take(*gone, now)
    assert NAME not in enforcement.points
    topic.before.append(gone)
    seen = len(topic.raw)
    until(lambda: len(topic.raw) > seen + 3)
    for key, value in topic.raw[seen:]:
        with contextlib.suppress(OldMessage):  # one beat was on its way
            enforcement.take(key, value, now)
    assert NAME in enforcement.points
    assert "give each point an agent and a name of its own" in caplog.text

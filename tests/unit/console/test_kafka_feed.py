"""The console's feed on topics in memory that come in the worst order: no genuine word stays unseen, whenever its role becomes known."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition
from tests.support.console import LOG, Simulator, theft_finding
from tests.support.console_topics import Topics
from tests.support.signing import Speaker, directive, role_key

from tallystick_dashboard import kafka_feed
from tallystick_dashboard.health import health_strip
from tallystick_dashboard.hub import Hub
from tallystick_dashboard.kafka_feed import KafkaFeed
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_schemas.messages import Decision, Lock, LockAck, Point, VerifiedBatch, VerifiedSegment, encode_batch, encode_json
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, FINDINGS, LOCKS, VERIFIED

NOW = 1_795_406_400.0
LOCK = Lock(subject="credential:tok", state="locked", command="c1", reason="r", by="responder", at=wire_time(NOW))


class World:
    """Topics, the parts that write on them, and consoles that read."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.feeds: list[KafkaFeed] = []
        self._speakers: dict[str, Speaker] = {}

    def role(self, agent: str, key: str = "") -> None:
        self.topics.put(LOCKS, role_key(agent, key), directive(agent, key=key))

    def say(self, agent: str, topic: str, key: bytes, body: bytes, signing: str = "") -> None:
        speaker = self._speakers.setdefault(agent + signing, Speaker(agent, deployment=LOG.deployment, key=signing))
        self.topics.put(topic, key, speaker.says(topic, key, body))

    def find(self, name: str, signing: str = "") -> None:
        finding = msgspec.structs.replace(theft_finding(NOW, []), id=name)
        self.say("detectors", FINDINGS, b"p", encode_json(finding), signing)

    def console(self) -> Hub:
        hub = Hub(ConsoleSettings(secret_file="", state_dir=""), LOG, Simulator(), Simulator())
        feed = KafkaFeed(hub, KafkaSettings("nowhere"), self.topics.connect)
        self.feeds.append(feed)
        feed.start()
        assert feed.ready.wait(10)
        return hub


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(kafka_feed, "_MEASURE_EVERY_S", 0.0)
    made = World()
    yield made
    for feed in made.feeds:
        feed.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.002)


def known(hub: Hub) -> set[str]:
    return {finding.id for finding in hub.findings.newest()}


def refused(hub: Hub) -> tuple[str, str]:
    item = next(item for item in health_strip(hub.seen, NOW) if item.key == "unheard")
    return item.level, item.value


def give_roles(world: World) -> None:
    for agent in ("detectors", "responder", "gateway"):
        world.role(agent)


def say_all(world: World) -> None:
    there = Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW))
    ack = LockAck(point="gateway", subject=LOCK.subject, command="c1", state="locked", applied_at=wire_time(NOW))
    world.find("F-1")
    world.say(
        "responder", DECISIONS, b"s", encode_json(Decision(id="d1", at=wire_time(NOW), by="a", choice="note", subject="s", reason="r"))
    )
    world.say("gateway", ENFORCEMENT, b"gateway\0credential:tok", encode_json(ack))
    world.say("gateway", ENFORCEMENT, b"gateway", encode_json(there))
    world.say("responder", LOCKS, b"credential:tok", encode_json(LOCK))


def hears_all(hub: Hub) -> bool:
    told = hub.points.points.keys() | {name for name, _ in hub.points.acks}
    both = hub.points.points and hub.points.acks
    return bool(known(hub) == {"F-1"} and hub.decisions._by_id and both and told == {"gateway"} and hub.locks.get("credential:tok") == LOCK)


@pytest.mark.parametrize("first", [True, False], ids=["roles stand before", "compaction left roles behind"])
def test_every_start_of_a_console_shows_what_stands_on_the_topics(world: World, first: bool) -> None:
    steps = (give_roles, say_all)
    for step in steps if first else reversed(steps):
        step(world)
    for _ in range(2):
        hub = world.console()
        until(lambda hub=hub: hears_all(hub), "everything is shown")
        assert refused(hub) == ("good", "none")
        assert not any(one.count for one in world.feeds[-1].refused.values())


def test_a_word_that_came_before_its_role_is_heard_again(world: World) -> None:
    hub = world.console()
    say_all(world)
    until(lambda: refused(hub) == ("late", "5 words"), "the strip says that words are refused")
    give_roles(world)
    until(lambda: hears_all(hub), "everything is shown")
    until(lambda: refused(hub) == ("good", "none"), "nothing is refused any more")


def test_a_part_that_goes_on_under_another_key_is_heard(world: World) -> None:
    world.role("detectors")
    hub = world.console()
    world.find("F-1")
    until(lambda: known(hub) == {"F-1"}, "the old key's")
    world.find("F-2", signing="rotated")
    world.find("F-3")
    until(lambda: known(hub) == {"F-1", "F-3"} and refused(hub) == ("late", "1 word"), "the new key is nobody's yet")
    world.role("detectors", key="rotated")
    until(lambda: known(hub) == {"F-1", "F-2", "F-3"} and refused(hub) == ("good", "none"), "the new key's")


def test_only_a_new_role_makes_the_feed_read_again_and_never_the_tail(world: World) -> None:
    world.role("detectors")
    hub = world.console()
    hub.tail.look(time.time() + 60)
    until(lambda: hub.tail.beginnings == 1, "the tail is read")
    world.topics.seeks.clear()
    world.find("F-1", signing="mallory")
    world.say("notary", VERIFIED, b"", b"", signing="mallory")
    world.topics.put(FINDINGS, b"p", b"not signed at all")
    until(lambda: refused(hub) == ("late", "2 words"), "strangers'")
    world.topics.put(LOCKS, role_key("detectors"), directive("detectors"))
    world.topics.put(LOCKS, role_key("outbox"), b"no operator's")
    world.find("F-2")
    until(lambda: known(hub) == {"F-2"}, "read on")
    assert world.topics.seeks == []
    world.role("gateway")
    until(lambda: world.topics.seeks == [(FINDINGS, 0)], "once")
    world.find("F-3")
    until(lambda: known(hub) == {"F-2", "F-3"}, "read on")
    assert refused(hub) == ("late", "1 word"), "of the tail nothing is read again"


def test_the_tail_is_read_while_somebody_looks_and_from_shortly_before(world: World) -> None:
    """Each message costs a signature's check: under load a third of what the console took, for rows that nobody saw."""
    world.role("notary")
    world.role("detectors")
    hub = world.console()

    indexes = itertools.count()

    def verified(count: int) -> None:
        for _ in range(count):
            segment = VerifiedSegment(next(indexes), "a", "0" * 32, 0, 0, [(0, b"{}")])
            world.say("notary", VERIFIED, b"", encode_batch(VerifiedBatch(2, 0, [segment], [], 0)))

    verified(100)
    world.find("F-1")
    until(lambda: known(hub) == {"F-1"}, "the feed reads")
    assert hub.tail.total == 0
    hub.tail.look(hub.clock() + 60)
    until(lambda: hub.tail.total == kafka_feed._BEFORE, "the newest of what was")
    verified(1)
    until(lambda: hub.tail.total == kafka_feed._BEFORE + 1, "what comes")
    hub.tail.look(0)
    until(lambda: bool(world.topics.consumers[-1].paused), "nobody looks any more")
    verified(50)
    world.find("F-2")
    until(lambda: known(hub) == {"F-1", "F-2"}, "the feed reads on")
    assert hub.tail.total == kafka_feed._BEFORE + 1
    hub.tail.look(hub.clock() + 60)
    until(lambda: hub.tail.total == 2 * kafka_feed._BEFORE + 1, "the newest again, and not what came between")
    assert next(row.number for row in hub.tail.since(0, 500).rows) == kafka_feed._BEFORE + 2, (
        "rows of before do not stand beside what came later"
    )
    assert hub.tail.rate(hub.clock() + 3) == 0.0, "what was there before counts for no rate"


def test_what_was_there_before_is_shown_by_its_times_and_not_partition_by_partition() -> None:
    hub = Hub(ConsoleSettings(secret_file="", state_dir=""), LOG, Simulator(), Simulator())
    hub.opener.keyring.take(directive("notary"))
    feed, notary = KafkaFeed(hub, KafkaSettings("nowhere")), Speaker("notary", deployment=LOG.deployment)
    feed._ends = {TopicPartition(VERIFIED, part): 2 for part in (0, 1)}
    for part, offset, timestamp in ((0, 0, 10), (0, 1, 30), (1, 0, 20), (1, 1, 40), (0, 2, 50)):
        assert not hub.tail.total or timestamp == 50, "nothing is shown before all partitions are read up to where they ended"
        segment = VerifiedSegment(offset, "a", "0" * 32, 0, 0, [(0, b"%d" % timestamp)])
        value = notary.says(VERIFIED, None, encode_batch(VerifiedBatch(2, 0, [segment], [], part)))
        record = SimpleNamespace(topic=VERIFIED, partition=part, offset=offset, key=None, value=value, timestamp=timestamp)
        feed._take(TopicPartition(VERIFIED, part), record)
    assert [row.raw for row in hub.tail.since(0, 9).rows] == [b"10", b"20", b"30", b"40", b"50"]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(world: World) -> None:
    world.role("detectors")
    hub = world.console()
    for name in ("F-1", "F-2"):
        world.find(name)
    until(lambda: known(hub) == {"F-1", "F-2"}, "before")
    world.topics.records[FINDINGS] = []
    until(lambda: len(world.topics.consumers) == 2, "everything is read anew")
    world.find("F-3")
    until(lambda: known(hub) == {"F-1", "F-2", "F-3"}, "after")


def test_whatever_the_client_raises_the_feed_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyError of the library's ended the thread: the page stood still and looked as ever."""
    give_roles(world)
    say_all(world)
    begin, failed = KafkaFeed._begin, list[KeyError]()

    def once(self: KafkaFeed, consumer: Any, parts: Any) -> None:
        if not failed:
            failed.append(KeyError("events"))
            raise failed[0]
        begin(self, consumer, parts)

    monkeypatch.setattr(KafkaFeed, "_begin", once)
    hub = world.console()
    until(lambda: hears_all(hub), "everything is shown")
    assert failed

"""What every enforcement point must do, on a real broker: register, apply, acknowledge, deny, lift, deny in doubt, and all of it again after a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.enforcing import (
    LOG,
    POINTS,
    GatewayPoint,
    LockWriter,
    PointUnderTest,
    SdkPoint,
    read_events,
    running_point,
    until_answer,
)
from tests.support.recorder import agent_settings, wait_for
from tests.support.recorder_kafka import Broker, broker, give_roles

from tallystick_producers import Recorder
from tallystick_schemas.access import AGENT, POINT
from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.events import Event
from tallystick_schemas.messages import Lock
from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.responder.points import read_enforcement

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]
FREE = (False, None)
UNKNOWN = (True, None)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as one:
        give_roles(one.kafka, **{agent: ["point"] for agent in POINTS.values()})
        yield one


@pytest.fixture
def kafka(started: Broker) -> KafkaSettings:
    return started.kafka


@pytest.fixture
def writer(kafka: KafkaSettings) -> Iterator[LockWriter]:
    made = LockWriter(kafka)
    made.alive.set()
    yield made
    made.close()


@pytest.fixture(params=[GatewayPoint, SdkPoint], ids=["gateway", "sdk"])
def point(request: pytest.FixtureRequest, tmp_path: Path, started: Broker) -> Iterator[PointUnderTest]:
    with running_point(request.param, tmp_path / "point", started.role(POINT)) as running:
        yield running


def names(found: Enforcement, kind: str) -> list[str]:
    return [name for name, (point, _) in found.points.items() if point.kind == kind]


def acked(kafka: KafkaSettings, lock: Lock) -> list[str]:
    """The points that acknowledged this lock."""
    return [
        name
        for (name, subject), (ack, _) in read_enforcement(kafka, LOG).acks.items()
        if (subject, ack.command) == (lock.subject, lock.command)
    ]


def told(kafka: KafkaSettings, lock: Lock) -> list[Event]:
    """Events about this lock."""
    return [event for event in read_events(kafka) if (event.attrs or {}).get("command") == lock.command]


def test_it_registers_applies_acknowledges_denies_and_lifts(kafka: KafkaSettings, writer: LockWriter, point: PointUnderTest) -> None:
    until_answer(point, "ann", FREE, "it knows that nobody is locked")
    wait_for(lambda: bool(names(read_enforcement(kafka, LOG), point.kind)), "it registers", 30)
    [name] = names(read_enforcement(kafka, LOG), point.kind)
    registered, _ = read_enforcement(kafka, LOG).points[name]
    assert registered.version
    assert (registered.probe is not None) == (point.kind == "gateway")

    lock = writer.put("principal:ann", "locked")
    until_answer(point, "ann", (True, lock.command), "the lock denies")
    assert point.ask("bob-of-another-name") in (FREE, None)
    wait_for(lambda: acked(kafka, lock) == [name], "it acknowledges", 30)
    ack, append_s = read_enforcement(kafka, LOG).acks[name, lock.subject]
    assert ack.state == "locked"
    assert ack.applied_at >= lock.at, "one machine, one clock"
    assert append_s > 0
    wait_for(lambda: bool(told(kafka, lock)), "the history hears of it", 30)
    event = told(kafka, lock)[0]
    assert all(again == event for again in told(kafka, lock)), "nobody gives receipts here: the segment is sent again, and nothing else"
    assert (event.action, event.actor.principal, event.resource.id) == ("incident.update", name, "ann")
    assert (event.attrs or {})["applied_at"] == ack.applied_at

    lifted = writer.put("principal:ann", "unlocked")
    until_answer(point, "ann", FREE, "the unlock lets in")
    wait_for(lambda: acked(kafka, lifted) == [name], "it acknowledges the unlock too", 30)
    wait_for(lambda: bool(told(kafka, lifted)), "and the history hears of it", 30)
    assert (told(kafka, lifted)[0].attrs or {})["state"] == "unlocked"
    point.stop()
    wait_for(lambda: name not in read_enforcement(kafka, LOG).points, "it signs off", 30)


def test_silence_denies_everybody_and_ends(writer: LockWriter, point: PointUnderTest) -> None:
    until_answer(point, "carol", FREE, "it knows")
    writer.alive.clear()
    until_answer(point, "carol", UNKNOWN, "silence denies")
    writer.alive.set()
    until_answer(point, "carol", FREE, "a heartbeat ends it")


def test_a_restart_denies_from_its_first_answer_and_acknowledges_again(
    kafka: KafkaSettings, writer: LockWriter, point: PointUnderTest
) -> None:
    until_answer(point, "dora", FREE, "it knows")
    lock = writer.put("principal:dora", "locked")
    try:
        wait_for(lambda: len(acked(kafka, lock)) == 1, "it acknowledges", 30)
        [before] = acked(kafka, lock)
        first, _ = read_enforcement(kafka, LOG).acks[before, lock.subject]
        point.stop(kill=True)
        point.start()
        seen = until_answer(point, "dora", (True, lock.command), "the lock of before denies")
        assert FREE not in seen, "not once"

        def again() -> bool:
            acks = [ack for (_, subject), (ack, _) in read_enforcement(kafka, LOG).acks.items() if subject == lock.subject]
            return any(ack.command == lock.command and ack.applied_at > first.applied_at for ack in acks)

        wait_for(again, "the new process acknowledges", 30)
    finally:
        writer.put("principal:dora", "unlocked")


def test_a_lifting_that_it_slept_through_is_acknowledged_and_recorded_when_it_starts(
    kafka: KafkaSettings, writer: LockWriter, point: PointUnderTest
) -> None:
    until_answer(point, "fay", FREE, "it knows")
    lock = writer.put("principal:fay", "locked")
    wait_for(lambda: bool(acked(kafka, lock)), "it acknowledges", 30)
    point.stop(kill=True)
    lifted = writer.put("principal:fay", "unlocked")
    point.start()
    until_answer(point, "fay", FREE, "it lets in")
    if point.kind == "gateway":  # an application's next process is another point, and never held the lock
        wait_for(lambda: bool(acked(kafka, lifted)), "it acknowledges the lifting", 30)
        wait_for(lambda: bool(told(kafka, lifted)), "and the history hears of it", 30)


def test_a_step_up_denies_who_shows_nothing_newer(writer: LockWriter, point: PointUnderTest) -> None:
    until_answer(point, "eve", FREE, "it knows")
    lock = writer.put("principal:eve", "locked", "step-up")
    until_answer(point, "eve", (True, lock.command), "a step-up denies")
    writer.put("principal:eve", "unlocked")
    until_answer(point, "eve", FREE, "and is lifted")


def test_an_agent_that_is_no_point_gets_the_answers_and_is_not_shown(
    started: Broker, kafka: KafkaSettings, writer: LockWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer.put("principal:plain", "locked")
    with Recorder.open(agent_settings(tmp_path, "plain", started.role(AGENT))) as recorder:
        wait_for(lambda: recorder.is_locked("free").known, "it hears of the locks", 30)
        assert recorder.is_locked("plain").locked
        assert not recorder.is_locked("free").locked
        wait_for(lambda: "agent enrol NAME --role point" in caplog.text, "it says what it lacks", 30)
        assert not [name for name in read_enforcement(kafka, LOG).points if name.startswith("plain@")]

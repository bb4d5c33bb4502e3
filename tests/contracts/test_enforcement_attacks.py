"""What whoever can write topic `locks`, or runs its broker, may try on an enforcement point: each attack changes nothing, or closes the door.

Attack after attack meets the same running point. The last ones take the topic away.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from tests.support.enforcing import POINTS, Answer, GatewayPoint, LockWriter, PointUnderTest, SdkPoint, running_point, until_answer
from tests.support.recorder import wait_for
from tests.support.recorder_kafka import SHARDS, broker, give_roles
from tests.support.signing import Speaker

from tallystick_infra.kafka.topics import Topics
from tallystick_schemas.envelope import Number
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, encode_json
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, LOCKS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]
FREE = (False, None)
UNKNOWN = (True, None)
THIEF, KEY = "thief", b"principal:thief"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        give_roles(started.kafka, detectors=["detectors"], **{agent: ["point"] for agent in POINTS.values()})
        yield started.kafka


@pytest.fixture(scope="module")
def writer(kafka: KafkaSettings) -> Iterator[LockWriter]:
    made = LockWriter(kafka)
    made.alive.set()
    yield made
    made.close()


@pytest.fixture(scope="module", params=[GatewayPoint, SdkPoint], ids=["gateway", "sdk"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kafka: KafkaSettings, writer: LockWriter
) -> Iterator[PointUnderTest]:
    with running_point(request.param, tmp_path_factory.mktemp("point") / "point", kafka) as point:
        until_answer(point, "honest", FREE, "it knows that nobody is locked")
        yield point


@pytest.fixture
def point(running: PointUnderTest, writer: LockWriter) -> Iterator[PointUnderTest]:
    """One that knows, and lets everybody in again afterwards."""
    yield running
    writer.late_s = 0.0
    writer.alive.set()
    # The liftings too: who held one back may have held it back from us alone.
    for subject in list(writer.book.held):
        writer.put(subject, "unlocked")
    until_answer(running, "honest", FREE, "it opens again")


def locked(writer: LockWriter, point: PointUnderTest, name: str = THIEF) -> Answer:
    """Lock somebody; the answer that the point gives once it has read that."""
    wanted = (True, writer.put(f"principal:{name}", "locked").command)
    until_answer(point, name, wanted, "the lock denies")
    return wanted


def after(writer: LockWriter, point: PointUnderTest) -> None:
    """Once the point has read everything that stands on the topic now: a lock that comes last denies."""
    locked(writer, point, f"mark-{time.monotonic_ns()}")


def lifting() -> bytes:
    """A lifting as nobody signed it."""
    return encode_json(Lock(subject=KEY.decode(), state="unlocked", command="forged", reason="r", by="r", at=wire_time(time.time())))


FORGERS: dict[str, Callable[[], bytes | None]] = {
    "forge: unsigned": lifting,
    "forge: garbage": lambda: b"\xff" * 200,
    "forge: a stranger's key": lambda: Speaker("responder", 1 << 62, key="mallory").says(LOCKS, KEY, lifting()),
    "forge: another role's key": lambda: Speaker("detectors", 1 << 62).says(LOCKS, KEY, lifting()),
    "forge: for another topic": lambda: Speaker("responder", 1 << 62).says(DECISIONS, KEY, lifting()),
    "forge: for another subject": lambda: Speaker("responder", 1 << 62).says(LOCKS, b"principal:other", lifting()),
    "another deployment's": lambda: Speaker("responder", 1 << 62, deployment="other").says(LOCKS, KEY, lifting()),
    "roll back: an owner's who was replaced": lambda: Speaker("responder").says(LOCKS, KEY, lifting(), Number(1, 1 << 62)),
    "drop: a tombstone": lambda: None,
}


@pytest.mark.parametrize("forger", FORGERS.values(), ids=FORGERS)
def test_a_lifting_that_the_responder_did_not_sign_lifts_nothing(
    writer: LockWriter, point: PointUnderTest, forger: Callable[[], bytes | None]
) -> None:
    denied = locked(writer, point)
    for _ in range(3):
        writer.send(KEY, forger())
    after(writer, point)
    assert point.ask(THIEF) == denied
    assert point.ask("honest") == FREE, "and nobody else is kept out by it"


def test_replay_an_old_lifting_lifts_nothing_and_an_old_lock_locks_nobody(writer: LockWriter, point: PointUnderTest) -> None:
    with writer.guard:
        (_, old_lock), (_, old_lifting) = writer.word(KEY.decode(), "locked"), writer.word(KEY.decode(), "unlocked")
        for value in (old_lock, old_lifting):
            writer.send(KEY, value)
    denied = locked(writer, point)
    writer.send(KEY, old_lifting)
    after(writer, point)
    assert point.ask(THIEF) == denied
    writer.put(KEY.decode(), "unlocked")
    until_answer(point, THIEF, FREE, "the lifting lets in")
    writer.send(KEY, old_lock)
    after(writer, point)
    assert point.ask(THIEF) == FREE


def test_replay_heartbeats_keep_no_door_open_while_the_responder_is_away(writer: LockWriter, point: PointUnderTest) -> None:
    with writer.guard:
        writer.alive.clear()
        writer.send(HEARTBEAT_KEY, last := writer.heartbeat())

    def unknown() -> bool:
        writer.send(HEARTBEAT_KEY, last)
        writer.send(HEARTBEAT_KEY, Speaker("responder", 1 << 62, key="mallory").says(LOCKS, HEARTBEAT_KEY, last[-200:]))
        return point.ask("honest") == UNKNOWN

    wait_for(unknown, "silence denies, whatever is said again", 30)


def test_reorder_the_newest_number_stands(writer: LockWriter, point: PointUnderTest) -> None:
    denied = locked(writer, point)
    with writer.guard:
        (_, first), (_, second) = writer.word(KEY.decode(), "unlocked"), writer.word(KEY.decode(), "locked")
        for value in (second, first):
            writer.send(KEY, value)
    after(writer, point)
    answer = point.ask(THIEF)
    assert answer not in (FREE, None, denied)
    assert point.ask("honest") == FREE, "the lifting between two locks was missed, and is missed by nobody"


def test_delay_a_topic_that_comes_late_denies_everybody(writer: LockWriter, point: PointUnderTest) -> None:
    writer.late_s = 10.0
    until_answer(point, "honest", UNKNOWN, "the newest word is older than lock_stale_s")
    writer.late_s = 0.0
    until_answer(point, "honest", FREE, "it is of now again")
    writer.late_s = -10.0
    until_answer(point, "honest", UNKNOWN, "one from the future is none")


def test_drop_a_lock_that_is_held_back_denies_everybody(writer: LockWriter, point: PointUnderTest) -> None:
    writer.word(KEY.decode(), "locked")
    until_answer(point, "honest", UNKNOWN, "the heartbeat speaks of a lock that did not come")


def test_drop_a_lifting_that_is_held_back_denies_everybody(writer: LockWriter, point: PointUnderTest) -> None:
    denied = locked(writer, point)
    writer.word(KEY.decode(), "unlocked")
    until_answer(point, "honest", UNKNOWN, "the heartbeat speaks of fewer locks")
    assert point.ask(THIEF) == denied, "a known lock is the better answer"


def test_delete_the_topic_denies_everybody_and_forgets_nobody(kafka: KafkaSettings, writer: LockWriter, point: PointUnderTest) -> None:
    denied = locked(writer, point)
    with writer.guard:
        writer.alive.clear()
        delete(kafka)
    until_answer(point, "honest", UNKNOWN, "nobody can know")
    assert point.ask(THIEF) == denied
    make(kafka)
    writer.alive.set()
    until_answer(point, "honest", FREE, "the responder agrees with what this point holds")
    assert point.ask(THIEF) == denied


def test_delete_and_start_anew_a_point_that_never_read_the_lock_denies_everybody(
    kafka: KafkaSettings, writer: LockWriter, point: PointUnderTest
) -> None:
    locked(writer, point)
    with writer.guard:
        delete(kafka)
        make(kafka)
    point.stop(kill=True)
    point.start()
    after(writer, point)
    with writer.guard:
        writer.send(HEARTBEAT_KEY, writer.heartbeat())
    after(writer, point)
    assert point.ask("honest") == UNKNOWN, "the heartbeat speaks of a lock that is not there"
    assert point.ask(THIEF) == UNKNOWN
    said_again = locked(writer, point)
    until_answer(point, "honest", FREE, "once the responder has said it again")
    assert point.ask(THIEF) == said_again


def delete(kafka: KafkaSettings) -> None:
    admin = KafkaAdminClient(**kafka.client_kwargs())
    try:
        admin.delete_topics([LOCKS], timeout_ms=10_000)
        wait_for(lambda: LOCKS not in admin.list_topics(), "the topic is gone", 30)
    finally:
        admin.close()


def make(kafka: KafkaSettings) -> None:
    """The topic anew, with the roles, as a supervisor does it."""

    def made() -> bool:
        topics = Topics(kafka, SHARDS)
        try:
            topics.ensure()
            give_roles(kafka, detectors=["detectors"], **{agent: ["point"] for agent in POINTS.values()})
        except (KafkaError, UnknownTopicOrPartitionError):
            return False
        finally:
            topics.close()
        return True

    wait_for(made, "the topic is made anew", 30)

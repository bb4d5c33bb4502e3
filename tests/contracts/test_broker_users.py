"""The embedded broker as its users meet it: each does what its row of the table says, and nothing else; nobody else does anything."""

import contextlib
import dataclasses
import datetime as dt
import socket
import ssl
import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)
from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)
from kafka.protocol.consumer import FetchRequest
from kafka.structs import OffsetAndMetadata
from tests.support.recorder_kafka import Broker, broker

from tallystick_infra.deployment.broker_users import CertificateFiles
from tallystick_infra.kafka.tls import make_certificates
from tallystick_infra.kafka.users import User, Users
from tallystick_schemas.access import AGENT, CLI, PARTS, POINT, Access, access_of, access_table, agent_user, group_of
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS, LOCKS, RECEIPTS, topic_table
from tallystick_stream_jobs.notary.events_topic import KafkaEvents

pytestmark = pytest.mark.embedded
TOPICS = [spec.name for spec in topic_table(4)]
GROUPS = [row.group for row in access_table() if row.group]
ROWS = [pytest.param(row, id=row.role) for row in access_table()]
AT_ONCE = {"bootstrap_timeout_ms": 3_000}


@dataclass
class Guarded:
    """A broker with a user for each row of the table, and a message on each topic."""

    broker: Broker
    folder: Path
    ids: Mapping[str, Any]
    """Kafka's ids of the topics: who has got one by another way learns no more by it."""

    @property
    def settings(self) -> Callable[..., KafkaSettings]:
        return self.broker.role


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = Path(tmp_path_factory.mktemp("guarded"))
    with broker(folder / "kafka") as one:
        producer = KafkaProducer(**one.kafka.client_kwargs())
        for name in TOPICS:
            producer.send(name, key=b"key", value=b"value", partition=0).get(20)
        producer.close()
        admin = KafkaAdminClient(**one.kafka.client_kwargs())
        ids = {topic["name"]: uuid.UUID(str(topic["topic_id"])) for topic in admin.describe_topics(TOPICS)}
        admin.close()
        yield Guarded(one, folder, ids)


def reads(kafka: KafkaSettings, topic: str, topic_id: Any = None) -> bool:
    """Whether the broker hands out the topic's first record. A client library would not even ask for what it is not told of."""
    admin = KafkaAdminClient(**kafka.client_kwargs(), **AT_ONCE)
    part = FetchRequest.FetchTopic.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    named = {"topic_id": topic_id} if topic_id else {"topic": topic}
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        topics=[FetchRequest.FetchTopic(partitions=[part], **named)],
        **({"min_version": 13} if topic_id else {"max_version": 12}),
    )
    try:
        answer = admin._manager.run(admin._manager.send, request)
    finally:
        admin.close()
    found = answer.responses[0].partitions[0]
    assert found.error_code in (0, TopicAuthorizationFailedError.errno, UnknownTopicIdError.errno), found
    assert bool(found.records) == (found.error_code == 0)
    return bool(found.records)


def writes(kafka: KafkaSettings, topic: str) -> bool:
    """Whether the broker takes a record. A producer of its own: one that was refused once fails what it sends next."""
    producer = KafkaProducer(**kafka.client_kwargs(), acks="all", enable_idempotence=True, **AT_ONCE)
    try:
        producer.send(topic, key=b"key", value=b"value", partition=0).get(20)
    except TopicAuthorizationFailedError:
        return False
    finally:
        producer.close()
    return True


def asks(admin: Any, topic: str) -> bool:
    """Whether it is told of the topic's partitions."""
    try:
        (found,) = admin.describe_topics([topic])
    except TopicAuthorizationFailedError:
        return False
    assert found["error_code"] in (0, TopicAuthorizationFailedError.errno), found
    return not found["error_code"]


@pytest.mark.parametrize("row", ROWS)
def test_each_reads_writes_and_asks_as_its_row_says(guarded: Guarded, row: Access) -> None:
    kafka = guarded.settings(row.role)
    admin = KafkaAdminClient(**kafka.client_kwargs(), **AT_ONCE)
    found = {topic: (reads(kafka, topic), writes(kafka, topic), asks(admin, topic)) for topic in TOPICS}
    by_id = {topic: reads(kafka, topic, guarded.ids[topic]) for topic in TOPICS}
    admin.close()
    known = {*row.reads, *row.writes, *row.describes}
    assert found == {topic: (topic in row.reads, topic in row.writes, topic in known) for topic in TOPICS}
    assert by_id == {topic: topic in row.reads for topic in TOPICS}


def test_commands_are_told_what_doctor_asks_of_the_topic_of_events(guarded: Guarded) -> None:
    topic = KafkaEvents(guarded.settings(CLI), 4)
    assert topic.record(0, topic.bounds()[0].first).raw == b"value"


@pytest.mark.parametrize("row", ROWS)
def test_each_knows_its_own_group_alone(guarded: Guarded, row: Access) -> None:
    found = {group: _place(guarded.settings(row.role), group) for group in GROUPS}
    assert found == {group: ("commits" if group == row.group else "looks" if group in row.watches else "nothing") for group in GROUPS}


def _place(kafka: KafkaSettings, group: str) -> str:
    """What a user may do with a group's place: commit it, look at it, nothing."""
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=group, enable_auto_commit=False, **AT_ONCE)
    # A place is of a group on a topic, and is told to whoever may know of both.
    row = next(row for row in access_table() if row.group == group)
    part = TopicPartition(row.reads[0], 0)
    consumer.assign([part])
    try:
        consumer.committed(part)
        consumer.commit({part: OffsetAndMetadata(0, "", -1)})
    except GroupAuthorizationFailedError:
        return "looks" if _looks(kafka, group, part) else "nothing"
    except TopicAuthorizationFailedError:
        return "looks" if _looks(kafka, group, part) else "nothing"
    finally:
        consumer.close()
    return "commits"


def _looks(kafka: KafkaSettings, group: str, part: TopicPartition) -> bool:
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=group, enable_auto_commit=False, **AT_ONCE)
    try:
        consumer.committed(part)
    except AuthorizationError:
        return False
    finally:
        consumer.close()
    return True


def _grant(user: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, LOCKS)
    return ACL(f"User:{user}", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern)


RULING: dict[str, Callable[[Any, str], object]] = {
    "make a topic": lambda admin, _: admin.create_topics({"more": {"num_partitions": 1, "replication_factor": 1}}),
    "delete a topic": lambda admin, _: admin.delete_topics([LOCKS]),
    "delete records": lambda admin, _: admin.delete_records({TopicPartition(LOCKS, 0): 1}),
    "add partitions": lambda admin, _: admin.create_partitions({LOCKS: 2}),
    "list rules": lambda admin, _: admin.describe_acls(_everything()),
}


def _everything() -> Any:
    pattern = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    return ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)


@pytest.mark.parametrize("row", ROWS)
def test_what_no_row_speaks_of_is_closed(guarded: Guarded, row: Access) -> None:
    """A topic that somebody made beside ours, and a group that nobody has: without any rule they are nobody's, not everybody's."""
    other, kafka = "beside-ours", guarded.settings(row.role)
    admin = KafkaAdminClient(**guarded.broker.kafka.client_kwargs())
    with contextlib.suppress(TopicAlreadyExistsError):
        admin.create_topics({other: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    assert not reads(kafka, other)
    assert not writes(kafka, other)
    # Somebody who may read a topic may not do so as any group.
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id="beside-ours", enable_auto_commit=False, **AT_ONCE)
    part = TopicPartition(next(iter(row.reads)), 0)
    consumer.assign([part])
    with pytest.raises(GroupAuthorizationFailedError):
        consumer.commit({part: OffsetAndMetadata(0, "", -1)})
    consumer.close()


@pytest.mark.parametrize("row", ROWS)
def test_nobody_changes_topics_rules_or_users(guarded: Guarded, row: Access) -> None:
    admin = KafkaAdminClient(**guarded.settings(row.role).client_kwargs(), **AT_ONCE)
    try:
        for act in RULING.values():
            # A topic that somebody may not know of is not there for him.
            with pytest.raises((AuthorizationError, UnknownTopicOrPartitionError)):
                act(admin, row.role)
        assert [error.__name__ for error in admin.create_acls([_grant(row.role)])["failed"]] == ["ClusterAuthorizationFailedError"]
        told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(CLI, "SCRAM-SHA-512", "known", iterations=4096)])
        assert told[CLI] is not None
    finally:
        admin.close()
    assert reads(guarded.settings(CLI), LOCKS), "the password is what it was"


def _anothers(one: Guarded) -> KafkaSettings:
    """The right names, signed by somebody else; the broker's own authority is trusted."""
    files = CertificateFiles(one.folder / "other")
    make_certificates(files, dt.datetime.now(dt.UTC))
    return dataclasses.replace(one.broker.kafka, ssl_certfile=str(files.admin), ssl_keyfile=str(files.admin))


WRONG: dict[str, Callable[[Guarded], KafkaSettings]] = {
    "no credentials": lambda one: KafkaSettings(one.broker.clients),
    "a wrong password": lambda one: one.settings(CLI, "wrong"),
    "an empty password": lambda one: dataclasses.replace(one.settings(CLI), sasl_password=""),
    "a user who is not": lambda one: one.settings("nobody", "wrong"),
    "another's password": lambda one: one.settings("responder", one.broker.passwords[AGENT]),
    "PLAIN": lambda one: dataclasses.replace(one.settings(CLI), sasl_mechanism="PLAIN"),
    "the weaker SCRAM": lambda one: dataclasses.replace(one.settings(CLI), sasl_mechanism="SCRAM-SHA-256"),
    "plain text where a certificate is asked for": lambda one: KafkaSettings(one.broker.kafka.bootstrap),
    "a password where a certificate is asked for": lambda one: dataclasses.replace(one.settings(CLI), bootstrap=one.broker.kafka.bootstrap),
    "no certificate": lambda one: dataclasses.replace(one.broker.kafka, ssl_certfile=None, ssl_keyfile=None),
    "another authority's certificate": _anothers,
    "TLS where a password is asked for": lambda one: dataclasses.replace(one.broker.kafka, bootstrap=one.broker.clients),
}


@pytest.mark.parametrize("how", WRONG)
def test_who_is_not_known_gets_nowhere(guarded: Guarded, how: str) -> None:
    with pytest.raises((KafkaError, OSError)):
        KafkaConsumer(**WRONG[how](guarded).client_kwargs(), group_id=None, bootstrap_timeout_ms=1_500)


def _answers(port: int, wrap: Callable[[socket.socket], socket.socket]) -> bool:
    """Whether ApiVersions is answered, as it is to whoever was let in: length, then our number."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    with contextlib.suppress(ConnectionError, ssl.SSLError), socket.create_connection(("127.0.0.1", port), 10) as raw, wrap(raw) as talk:
        talk.sendall(struct.pack(">i", len(request)) + request)
        return talk.recv(8)[4:] == struct.pack(">i", 1)
    return False


@pytest.mark.parametrize("door", ["controller_port", "admin_port"])
def test_the_controller_lets_in_who_has_a_certificate_alone(guarded: Guarded, door: str) -> None:
    port, files = getattr(guarded.broker.settings, door), guarded.broker.settings.certificates
    context = ssl.create_default_context(cafile=files.authority)

    def tls(raw: socket.socket) -> socket.socket:
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    assert not _answers(port, lambda raw: raw)
    assert not _answers(port, tls)
    context.load_cert_chain(files.admin)
    assert _answers(port, tls)


def test_rules_and_users_become_what_is_wanted(guarded: Guarded) -> None:
    """A row that changed, one that is gone, somebody else's rule, a new password: all of it after one call."""
    more = {**guarded.broker.users(), agent_user("a/b:c@d.e"): User("first", access_of(POINT).rules())}
    with Users(guarded.broker.kafka) as users:
        users.reconcile(more)
        assert reads(guarded.settings(agent_user("a/b:c@d.e"), "first"), RECEIPTS)
        less = {**guarded.broker.users(), agent_user("a/b:c@d.e"): User("second", access_of("notary").rules())}
        users._admin.create_acls([_grant(AGENT)])
        users.reconcile(less)
        now = guarded.settings(agent_user("a/b:c@d.e"), "second")
        assert not reads(now, RECEIPTS)
        assert not writes(guarded.settings(AGENT), LOCKS)
        with pytest.raises(KafkaError):
            KafkaConsumer(**guarded.settings(agent_user("a/b:c@d.e"), "first").client_kwargs(), group_id=None, bootstrap_timeout_ms=1_500)
        users.reconcile(guarded.broker.users())
        with pytest.raises(KafkaError):
            KafkaConsumer(**now.client_kwargs(), group_id=None, bootstrap_timeout_ms=1_500)
        assert users._grants() == {grant for grant in users._grants() if grant.principal.removeprefix("User:") in guarded.broker.passwords}


def test_one_more_user_changes_nobody_else(guarded: Guarded) -> None:
    with Users(guarded.broker.kafka) as users:
        before = users._grants()
        users.add({"agent/new": User("secret", access_of(AGENT).rules())})
        admin = KafkaAdminClient(**guarded.settings("agent/new", "secret").client_kwargs(), **AT_ONCE)
        assert asks(admin, EVENTS)
        users.remove(["agent/new"])
        # The connection is there still, and is good for nothing.
        assert not asks(admin, EVENTS)
        admin.close()
        assert users._grants() == before
        users.add(guarded.broker.users())
        assert users._grants() == before
    assert reads(guarded.settings("responder"), LOCKS)


def test_the_table_names_every_job_once() -> None:
    assert len({row.role for row in access_table()}) == len(access_table())
    assert {row.group for row in PARTS} - {None} == {group_of(row.role) for row in PARTS if row.group}

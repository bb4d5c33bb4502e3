"""Attacks on a running deployment: a broker that has gone bad writes what it likes onto the topics, and a door that is asked all the time meanwhile."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.deployment import cli

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.supervisor import Supervisor
from tallystick_producers.keyring import opener_of
from tallystick_schemas.access import group_of
from tallystick_schemas.envelope import Number, Signer
from tallystick_schemas.topics import LOCKS, topic_table
from tallystick_stream_jobs.responder.client import read_findings
from tallystick_stream_jobs.responder.lock_topic import ReadTopic, read_lock_topic

FILE = "models/m/weights.bin"
ABOVE = Number(1 << 62, 1)
"""Above every number that a part gives."""


def until(supervisor: Supervisor, condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition, the supervisor at work meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        supervisor.watch()
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Broker:
    """The broker itself, gone bad: reads and writes every topic, and has no key of any part."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.kafka = deployment.kafka_admin().client_kwargs()

    def put(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """One message onto a topic: it is there when this returns."""
        producer = KafkaProducer(**self.kafka, acks="all")
        try:
            producer.send(topic, key=key, value=value, partition=partition).get(20)
        finally:
            producer.close()

    def values(self, topic: str, partition: int = 0) -> list[tuple[bytes | None, bytes | None]]:
        """(key, value) of everything in one partition."""
        consumer, part = KafkaConsumer(**self.kafka, group_id=None), TopicPartition(topic, partition)
        found: list[tuple[bytes | None, bytes | None]] = []
        try:
            consumer.assign([part])
            consumer.seek_to_beginning(part)
            end = consumer.end_offsets([part])[part]
            while consumer.position(part) < end:
                found += [(one.key, one.value) for one in consumer.poll(timeout_ms=200).get(part, [])]
        finally:
            consumer.close()
        return found

    def forgeries(self, topic: str, key: bytes | None, body: bytes, part: str) -> list[bytes]:
        """Values with this body that no `part` signed: the bare body; one in its name by a stranger's key, with its true key's id or not; and one
        by an agent that is enrolled and has another role."""
        deployment, stranger = self.deployment.log().deployment, Ed25519PrivateKey.generate()
        other = Signer(deployment, "one", read_key(self.deployment.agent_key("one")))
        named = Signer(deployment, part, stranger).sign(topic, key, ABOVE, body)
        true_id = Signer(deployment, part, read_key(self.deployment.agent_key(part))).key.encode()
        return [body, named, named.replace(Signer(deployment, part, stranger).key.encode(), true_id), other.sign(topic, key, ABOVE, body)]

    def read_by(self, part: str, topic: str) -> bool:
        """Whether a part has read a topic of one partition to its end, and is through with what it read."""
        admin, consumer, place = KafkaAdminClient(**self.kafka), KafkaConsumer(**self.kafka, group_id=None), TopicPartition(topic, 0)
        try:
            reached = admin.list_group_offsets({group_of(part): [place]})[group_of(part)].get(place)
            return reached is not None and reached.offset >= consumer.end_offsets([place])[place]
        finally:
            admin.close()
            consumer.close()

    def make_anew(self, topic: str) -> None:
        """Delete a topic with all that it holds, and make it again as it was made."""
        admin = KafkaAdminClient(**self.kafka)
        spec = next(one for one in topic_table(self.deployment.log().shards) if one.name == topic)
        try:
            admin.delete_topics([topic])
            while topic in admin.list_topics():
                time.sleep(0.05)
            admin.create_topics({topic: {"num_partitions": spec.partitions, "replication_factor": 1, "configs": dict(spec.config)}})
        finally:
            admin.close()


class Door:
    """The gateway as one person finds it."""

    def __init__(self, supervisor: Supervisor, principal: str, token: str = "") -> None:
        """`token`: the person's; a new one where he has none."""
        self._url = f"http://127.0.0.1:{supervisor._ports['gateway']}/files/{FILE}"
        self._token = token or str(cli(supervisor, "token", "add", principal)["token"])

    def status(self) -> int:
        """What the person is answered; 0 when nobody does."""
        try:
            return httpx.get(self._url, headers={"authorization": f"Bearer {self._token}"}, timeout=30).status_code
        except httpx.TransportError:
            return 0

    @contextmanager
    def watched(self) -> Iterator[set[int]]:
        """Ask all the time; the answers so far."""
        answers, ended = set[int](), threading.Event()

        def ask() -> None:
            while not ended.wait(0.02):
                answers.add(self.status())

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield answers
        finally:
            ended.set()
            thread.join(60)


def read_topic(deployment: Deployment) -> ReadTopic:
    """Topic `locks` as a door reads it that begins now."""
    return read_lock_topic(deployment.kafka(), opener_of(deployment.log()))


def locked(deployment: Deployment) -> set[str]:
    """Who is locked by the responder's words on the topic."""
    return {lock.subject for lock in read_topic(deployment).topic.locked(time.time())}


def finding_ids(deployment: Deployment, detector: str) -> set[str]:
    """Ids of findings that a part signed."""
    return {one.id for one in read_findings(deployment.kafka(), deployment.log()) if one.detector == detector}


def said_of_locks(deployment: Deployment) -> str:
    """What `tallystick locks` prints."""
    command = [sys.executable, "-m", "tallystick_infra.cli", "locks", "--data", str(deployment.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def carried(broker: Broker, subject: str) -> bool:
    """Whether the newest value under a lock's key is the responder's word, which locks."""
    newest = next((value for key, value in reversed(broker.values(LOCKS)) if key == subject.encode()), None)
    held = read_topic(broker.deployment).topic.held.get(subject)
    return (
        newest is not None and held is not None and newest[4:20] == held.number.fence.to_bytes(8, "big") + held.number.n.to_bytes(8, "big")
    )

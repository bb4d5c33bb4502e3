"""Topics on any cluster: made from the one table, compared with it, and announced in the history when they are new (SPEC section 5)."""

import time
from collections.abc import Callable
from typing import Any

from clickhouse_connect.driver.client import Client
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError

from tallystick_producers.consumer import Consumer
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Generation, Kind, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import parse_record
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.stored_bytes import ACCEPTED_GENERATION
from tallystick_schemas.topics import EVENTS, TopicSpec, topic_table

from ..errors import TopicsDiffer

_FIRST_S = 20.0


class Topics:
    """The topics of one deployment on one cluster."""

    def __init__(self, kafka: KafkaSettings, shards: int, replication: int = 1) -> None:
        self._kafka, self._table, self._replication = kafka, topic_table(shards), replication
        self._admin = KafkaAdminClient(**kafka.client_kwargs())

    def close(self) -> None:
        self._admin.close()

    def ensure(self) -> list[str]:
        """Names of the topics that were made now."""
        existing = set(self._admin.list_topics())
        missing = [spec for spec in self._table if spec.name not in existing]
        for spec in missing:
            try:
                self._admin.create_topics({spec.name: self._options(spec)}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue  # somebody else was quicker, and came from the same table
        return [spec.name for spec in missing]

    def _options(self, spec: TopicSpec) -> dict[str, Any]:
        return {"num_partitions": spec.partitions, "replication_factor": self._replication, "configs": dict(spec.config)}

    def check(self) -> None:
        """TopicsDiffer with every difference between the table and the cluster."""
        found = {topic["name"]: topic for topic in self._admin.describe_topics([spec.name for spec in self._table])}
        differences = []
        for spec in self._table:
            topic = found.get(spec.name)
            if topic is None or topic.get("error_code"):
                differences.append(f"{spec.name} is missing")
            elif len(topic["partitions"]) != spec.partitions:
                differences.append(f"{spec.name} has {len(topic['partitions'])} partitions, not {spec.partitions}")
        if differences:
            raise TopicsDiffer(differences)

    def topic_id(self) -> str:
        """Kafka's id of `events` as it is now."""
        return str(self._admin.describe_topics([EVENTS])[0]["topic_id"])

    def announce(self, client: Client, operator: Ed25519PrivateKey, clock: Callable[[], float] = time.time) -> int:
        """Write a generation record as the first of each partition that has none; nobody else may write yet. How many were written.

        TopicsDiffer when something else was first.
        """
        topic_id = self.topic_id()
        shards = range(next(spec.partitions for spec in self._table if spec.name == EVENTS))
        newest = {shard: _newest(client, shard) for shard in shards}
        unknown = [shard for shard in shards if newest[shard][1] != topic_id]
        first = first_records(self._kafka, EVENTS, unknown) if unknown else {}
        if foreign := [shard for shard, record in first.items() if not _announces(record, operator, topic_id)]:
            raise TopicsDiffer(
                [
                    f"{EVENTS} partition {shard} was written to before it was announced; delete the topic and start again"
                    for shard in foreign
                ]
            )
        missing = [shard for shard in unknown if shard not in first]
        producer = KafkaProducer(**self._kafka.client_kwargs(), acks="all", enable_idempotence=True, linger_ms=0)
        try:
            for shard in missing:
                generation, _, last_index = newest[shard]
                header = Generation(1, key_id(_public(operator)), wire_time(clock()), generation + 1, topic_id, shard, last_index)
                # If we crash here, the next start finds the record as the first of its partition and leaves it.
                producer.send(EVENTS, partition=shard, value=sign_record(header, operator)).get(timeout=30)
        finally:
            producer.close(timeout=5)
        return len(missing)


def first_records(kafka: KafkaSettings, topic: str, partitions: list[int]) -> dict[int, bytes]:
    """The first record of each of these partitions that has one; KafkaTimeoutError when the broker does not give it."""
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, enable_auto_commit=False)
    try:
        every = [TopicPartition(topic, partition) for partition in partitions]
        ends = consumer.end_offsets(every)
        waiting = {one for one in every if ends[one] > 0}
        found: dict[int, bytes] = {}
        consumer.assign(sorted(waiting))
        if waiting:
            consumer.seek_to_beginning()
        deadline = time.monotonic() + _FIRST_S
        while waiting and time.monotonic() < deadline:
            for partition, records in consumer.poll(timeout_ms=200).items():
                found.setdefault(partition.partition, records[0].value or b"")
                waiting.discard(partition)
        if waiting:
            raise KafkaTimeoutError(f"no answer to what is first in {topic}, partitions {sorted(p.partition for p in waiting)}")
        return found
    finally:
        consumer.close()


def _announces(record: bytes, operator: Ed25519PrivateKey, topic_id: str) -> bool:
    """Whether a record is our announcement of this topic; the notary checks its signature."""
    try:
        header = parse_record(record).header
    except ParseError:
        return False
    return isinstance(header, Generation) and header.topic_id == topic_id and header.key == key_id(_public(operator))


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _newest(client: Client, shard: int) -> tuple[int, str, int]:
    """(newest generation or -1, its topic id, last index or -1) of a shard, from the ledger."""
    parameters = {"shard": shard}
    tip = client.query(
        "SELECT max(toInt64(index)), count() FROM ledger_entries WHERE shard = {shard:UInt32}", parameters=parameters
    ).result_rows
    last = int(tip[0][0]) if tip[0][1] else -1
    where = f"shard = {{shard:UInt32}} AND {ACCEPTED_GENERATION} ORDER BY index DESC LIMIT 1"
    query = f"SELECT hex(entry) FROM ledger_entries WHERE {where}"  # noqa: S608  # constants alone
    found = client.query(query, parameters=parameters).result_rows
    if not found:
        return -1, "", last
    header = parse_header(Kind.GENERATION, parse_entry(bytes.fromhex(found[0][0])).header)
    assert isinstance(header, Generation)
    return header.generation, header.topic_id, last

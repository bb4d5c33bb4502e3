"""Kafka as we use it: the embedded broker and one in a container give the same topics, order, times and answers."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.containers import kafka_container
from tests.support.history import private_key
from tests.support.recorder_kafka import broker

from tallystick_infra.errors import TopicsDiffer
from tallystick_infra.kafka.topics import Topics, first_records
from tallystick_producers.answering import ask, of_kafka
from tallystick_producers.kafka_link import Producer
from tallystick_schemas.headers import Generation
from tallystick_schemas.records import parse_record
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS, LOCKS, RECEIPTS, topic_table

SHARDS = 4
OPERATOR = private_key("operator")
KINDS = [pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("container", marks=pytest.mark.containers)]


@pytest.fixture(scope="module", params=KINDS)
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    if request.param == "embedded":
        with broker(Path(tmp_path_factory.mktemp("kafka"))) as embedded:
            yield embedded.kafka
        return
    with kafka_container() as settings:
        yield settings


@pytest.fixture
def topics(kafka: KafkaSettings) -> Iterator[Topics]:
    made = Topics(kafka, SHARDS)
    made.ensure()
    yield made
    made.close()


class EmptyLedger:
    """What an empty store answers."""

    def query(self, sql: str, **_: Any) -> Any:
        return SimpleNamespace(result_rows=[(0, 0)] if "count()" in sql else [])


def test_topics_are_made_once_and_are_as_the_table_says(topics: Topics) -> None:
    assert topics.ensure() == []
    topics.check()


def test_each_partition_is_announced_once_by_its_first_record(topics: Topics, kafka: KafkaSettings) -> None:
    first = topics.announce(EmptyLedger(), OPERATOR)  # type: ignore[arg-type]
    assert first == SHARDS
    # The ledger has not got the records yet: what is first in Kafka tells.
    assert topics.announce(EmptyLedger(), OPERATOR) == 0  # type: ignore[arg-type]
    headers = {shard: parse_record(raw).header for shard, raw in first_records(kafka, EVENTS, list(range(SHARDS))).items()}
    for shard, header in headers.items():
        assert isinstance(header, Generation)
        assert (header.shard, header.generation, header.last_index, header.topic_id) == (shard, 0, -1, topics.topic_id())
    # Another deployment's operator finds a log that is not its own.
    with pytest.raises(TopicsDiffer, match="written to before it was announced"):
        topics.announce(EmptyLedger(), private_key("somebody else"))  # type: ignore[arg-type]


def test_records_keep_their_order_and_have_the_brokers_time(topics: Topics, kafka: KafkaSettings) -> None:
    assert topics.ensure() == []
    began, sent = time.time() * 1000, []
    producer = Producer(kafka)
    done: list[Exception | None] = []
    for number in range(300):
        sent.append(b"%d" % number)
        producer.send(b"agent-1", sent[-1], done.append)
    producer.close(20)
    assert done == [None] * 300
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(EVENTS, shard) for shard in range(SHARDS)])
    found: list[Any] = []
    deadline = time.monotonic() + 30
    while sum(record.key == b"agent-1" for record in found) < 300 and time.monotonic() < deadline:
        found += [record for records in consumer.poll(timeout_ms=200).values() for record in records]
    consumer.close()
    mine = [record for record in found if record.key == b"agent-1"]
    assert [record.value for record in mine] == sent
    assert len({record.partition for record in mine}) == 1
    assert all(record.timestamp_type == 1 and record.timestamp >= began - 1 for record in mine)


def test_a_message_beyond_the_topics_bound_is_refused(topics: Topics, kafka: KafkaSettings) -> None:
    assert topics.ensure() == []
    producer = KafkaProducer(**kafka.client_kwargs(), max_request_size=32 << 20)
    largest = max(int(spec.config.get("max.message.bytes", 1 << 20)) for spec in topic_table(SHARDS))
    assert producer.send(RECEIPTS, value=bytes(900_000)).get(timeout=20).offset >= 0
    with pytest.raises(Exception, match=r"MessageSizeTooLarge|RecordTooLarge|too large|RecordListTooLarge"):
        producer.send(LOCKS, value=bytes(largest * 3)).get(timeout=20)
    producer.close()


def test_other_settings_are_named(kafka: KafkaSettings, topics: Topics) -> None:
    assert topics.ensure() == []
    other = Topics(kafka, SHARDS + 1)
    try:
        with pytest.raises(TopicsDiffer, match="events has 4 partitions, not 5"):
            other.check()
    finally:
        other.close()


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(OSError, match=r"nobody answers at 127\.0\.0\.1:1"):
        ask(of_kafka(KafkaSettings("127.0.0.1:1")))


def test_a_cluster_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's tool reads an id that begins with a dash as an option: one start in 64 failed."""
    import uuid

    from tallystick_infra.kafka import broker as module

    ids = iter([uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=bytes(16))])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(ids))
    assert module._cluster_id() == "A" * 22

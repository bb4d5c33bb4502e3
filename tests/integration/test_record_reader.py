"""Single records of `events` on a real broker: what a finding or an order rests on is read where it stands, whatever lies beside it."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from aiokafka.errors import LeaderNotAvailableError, OffsetOutOfRangeError
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from tests.support.recorder_kafka import Broker, broker

from tallystick_infra.kafka.broker import free_port
from tallystick_producers.consumer import Consumer
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS
from tallystick_stream_jobs.notary import events_topic
from tallystick_stream_jobs.notary.events_topic import Bounds, KafkaEvents
from tallystick_stream_jobs.responder import record_reader
from tallystick_stream_jobs.responder.record_reader import RecordReader, record_in
from tallystick_stream_jobs.shell import Outlet

pytestmark = pytest.mark.embedded
VALUES = [*(b"%d of one batch" % n for n in range(40)), b"large" * 180_000, b"small", *(b"%d" % n * 3000 for n in range(20))]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        producer = KafkaProducer(**started.kafka.client_kwargs(), linger_ms=300, batch_size=1 << 20, max_request_size=1 << 20, acks="all")
        for group in (VALUES[:40], VALUES[40:41], VALUES[41:]):
            for value in group:
                producer.send(EVENTS, value, partition=1)
            producer.flush()
        producer.close()
        yield started


def test_each_record_is_read_where_it_stands_in_any_order(one: Broker) -> None:
    reader = RecordReader(one.kafka)
    reader.warm(4)
    places = [*range(len(VALUES)), *reversed(range(len(VALUES))), 7, 7, 40, 3]
    assert [reader.read(1, offset) for offset in places] == [VALUES[offset] for offset in places]


def test_a_place_that_is_not_there_is_said_and_the_next_is_read(one: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_reader, "_RECORD_S", 1.0)
    reader = RecordReader(one.kafka)
    for shard, offset in ((1, len(VALUES)), (1, 10**9), (2, 0)):
        with pytest.raises(KafkaTimeoutError, match=f"offset {offset}"):
            reader.read(shard, offset)
        assert reader.read(1, 5) == VALUES[5]


def test_the_outlets_connection_gives_the_same_records(one: Broker) -> None:
    """Without another thread: for who waits for a lock. A place that is not there is an error, and the next is read."""

    async def read() -> list[bytes]:
        outlet = Outlet(one.kafka)
        try:
            places = [*range(len(VALUES)), 7, 40, 3]
            found = [record_in(await outlet.fetch(EVENTS, 1, offset), offset) for offset in places]
            for partition, offset, error in (
                (1, len(VALUES), KafkaTimeoutError),
                (1, 10**9, OffsetOutOfRangeError),
                (77, 0, LeaderNotAvailableError),
            ):
                with pytest.raises(error):
                    record_in(await outlet.fetch(EVENTS, partition, offset), offset)
            return [*found, record_in(await outlet.fetch(EVENTS, 1, 5), 5)]
        finally:
            await outlet.close()

    assert asyncio.run(read()) == [*VALUES, VALUES[7], VALUES[40], VALUES[3], VALUES[5]]


def test_a_notary_asks_for_the_topic_its_bounds_and_what_stands_at_one_place(one: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = KafkaEvents(one.kafka, 4)
    assert topic.id() == topic.id() != ""
    assert topic.bounds()[1] == Bounds(0, len(VALUES))
    places = (0, 39, 40, len(VALUES) - 1)
    found = [topic.record(1, offset) for offset in places]
    assert [one.raw for one in found] == [VALUES[offset] for offset in places]
    assert {abs(time.time() - one.append_ms / 1000) < 600 for one in found} == {True}, "the broker's time, in milliseconds"
    monkeypatch.setattr(events_topic, "_RECORD_S", 1.0)
    with pytest.raises(KafkaTimeoutError, match=f"offset {len(VALUES)}"):
        topic.record(1, len(VALUES))


def test_a_consumer_that_finds_no_broker_leaves_no_thread_behind() -> None:
    """The library starts one before it looks for a broker, with sockets that it holds: an outage of two hours took all descriptors of a part."""
    kafka, before = KafkaSettings(f"127.0.0.1:{free_port()}"), threading.active_count()
    for _ in range(3):
        with pytest.raises(KafkaError):
            Consumer(**kafka.client_kwargs(), bootstrap_timeout_ms=200)
    assert threading.active_count() == before


def test_who_warms_holds_up_nobody_who_reads(one: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer held it for 30 s, and each lock waited."""
    monkeypatch.setattr(record_reader, "_RECORD_S", 0.5)
    reader = RecordReader(one.kafka)
    with reader._guard:
        reader.warm(4)
        began = time.monotonic()
        with pytest.raises(KafkaTimeoutError, match="others still wait"):
            reader.read(1, 0)
    assert time.monotonic() - began >= 0.5
    monkeypatch.setattr(record_reader, "_consumer", lambda _: 1 / 0)
    reader.warm(4)
    with pytest.raises(ZeroDivisionError):
        reader.read(1, 0)


def test_a_broker_that_is_away_costs_a_reader_its_connection_and_no_more(one: Broker) -> None:
    reader = RecordReader(one.kafka)
    reader.warm(4)
    one.kill()
    try:
        reader.warm(4)
    finally:
        one.start()
    assert reader.read(1, 2) == VALUES[2]

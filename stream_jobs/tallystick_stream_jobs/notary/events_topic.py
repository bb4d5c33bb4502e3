"""What Kafka says of topic `events` beside its stream: which making it is, where partitions begin and end, and what stands at one place."""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple, Protocol

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaTimeoutError

from tallystick_producers.consumer import Consumer
from tallystick_schemas.entries import Entry, is_about
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS

_RECORD_S: Final = 10.0


class Bounds(NamedTuple):
    """Of a partition: the offset of its oldest record, and the one after its newest."""

    first: int
    end: int


class Appended(NamedTuple):
    """A record as it stands in Kafka: the broker's append time in ms since 1970, and its bytes."""

    append_ms: int
    raw: bytes


def is_made_of(entry: Entry, appended: Appended) -> bool:
    """Whether an entry is about this very record, taken in at this time."""
    return entry.append_ms == appended.append_ms and is_about(entry, appended.raw)


class EventsTopic(Protocol):
    """What a notary asks Kafka. Each call may block for seconds, and raises what the client raises."""

    def id(self) -> str: ...
    def bounds(self) -> Mapping[int, Bounds]: ...
    def record(self, shard: int, offset: int) -> Appended: ...


class KafkaEvents:
    """The port on a broker."""

    def __init__(self, kafka: KafkaSettings, shards: int) -> None:
        self._kafka, self._shards = kafka, shards

    def id(self) -> str:
        """Kafka's id of the topic as it is now: another one means that it was deleted and made again."""
        with closing(KafkaAdminClient(**self._kafka.client_kwargs())) as admin:
            return str(admin.describe_topics([EVENTS])[0]["topic_id"])

    def bounds(self) -> Mapping[int, Bounds]:
        """Of each partition that the broker knows."""
        with_all = [TopicPartition(EVENTS, shard) for shard in range(self._shards)]
        with closing(_consumer(self._kafka)) as consumer:
            first, ends = consumer.beginning_offsets(with_all), consumer.end_offsets(with_all)
        return {place.partition: Bounds(int(first[place]), int(end)) for place, end in ends.items()}

    def record(self, shard: int, offset: int) -> Appended:
        """The record at one place within the bounds; KafkaTimeoutError when it does not come."""
        with closing(_consumer(self._kafka)) as consumer:
            return record_at(consumer, shard, offset)


def _consumer(kafka: KafkaSettings) -> Consumer:
    return Consumer(**kafka.client_kwargs(), group_id=None, enable_auto_commit=False)


def record_at(consumer: Any, shard: int, offset: int) -> Appended:
    """The record at one place; KafkaTimeoutError when it does not come, as for a place that no longer is or never was."""
    place, deadline = TopicPartition(EVENTS, shard), time.monotonic() + _RECORD_S
    consumer.assign([place])
    consumer.seek(place, offset)
    while time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=200, max_records=1).get(place, []):
            if record.offset == offset:
                return Appended(record.timestamp, bytes(record.value or b""))
            raise KafkaTimeoutError(f"{EVENTS} has no offset {offset} in partition {shard}")
    raise KafkaTimeoutError(f"no answer to what {EVENTS} has at offset {offset} of partition {shard}")

"""Kafka, as far as the outbox needs it: states read back, decisions followed from where the last process was, values written for sure."""

from collections.abc import Iterator
from typing import Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from tallystick_schemas.settings import KafkaSettings

GROUP: Final = "tallystick-outbox"
_SENT_S: Final = 30.0


def read_newest(kafka: KafkaSettings, topic: str) -> dict[bytes, tuple[bytes, int]]:
    """Key -> its newest value and the broker's time of it in ms, for a topic of one partition up to its end as it is now; removed ones are left out."""
    newest: dict[bytes, tuple[bytes, int]] = {}
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek_to_beginning(partition)
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                if record.key is not None:
                    newest[record.key] = record.value or b"", record.timestamp
    finally:
        consumer.close()
    return {key: found for key, found in newest.items() if found[0]}


class Feed:
    """Follows topics of one partition. Those in `resumed` go on where `commit` was last called; those in `whole` are read from the beginning."""

    def __init__(self, kafka: KafkaSettings, resumed: tuple[str, ...], whole: tuple[str, ...]) -> None:
        self._consumer = KafkaConsumer(
            **kafka.client_kwargs(), group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=500
        )
        self._resumed = [TopicPartition(topic, 0) for topic in resumed]
        rest = [TopicPartition(topic, 0) for topic in whole]
        self._consumer.assign([*self._resumed, *rest])
        if rest:
            self._consumer.seek_to_beginning(*rest)
        self._reached: dict[TopicPartition, int] = {}

    def poll(self, wait_ms: int) -> Iterator[tuple[str, int, int, bytes | None, bytes]]:
        """(topic, offset, broker's time in ms, key, value) of what came within `wait_ms`."""
        for partition, records in self._consumer.poll(timeout_ms=wait_ms).items():
            for record in records:
                yield partition.topic, record.offset, record.timestamp, record.key, record.value or b""
                if partition in self._resumed:
                    self._reached[partition] = record.offset + 1

    def commit(self) -> None:
        """Everything that was polled has had its effect. If we crash before, it comes again and changes nothing."""
        if self._reached:
            self._consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self._reached.items()})
            self._reached = {}

    def close(self) -> None:
        self._consumer.close()


class Pen:
    """Writes for sure: `write` returns when the broker has it."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = KafkaProducer(**kafka.client_kwargs(), enable_idempotence=True, acks="all", linger_ms=0, compression_type=None)

    def write(self, topic: str, key: str, value: bytes | None) -> None:
        """One message; an exception when nobody knows whether the broker has it."""
        self._producer.send(topic, key=key.encode(), value=value).get(timeout=_SENT_S)

    def close(self) -> None:
        self._producer.close(timeout=5)

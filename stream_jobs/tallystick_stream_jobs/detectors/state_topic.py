"""Topic `detector-state` as one process reads and claims it, in whatever thread calls."""

import threading
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from kafka import KafkaProducer, TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import DETECTOR_STATE

Value = tuple[bytes | None, bytes | None]
"""(key, value)."""
_SEND_S: Final = 30.0


class StatePort(Protocol):
    """What the keeper needs of the topic. All of it blocks."""

    def read(self, partition: int, first: int) -> tuple[list[Value], int]:
        """Values from offset `first` to the end as it is now, in order, and the offset after them."""
        ...

    def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The offset after the last value of each."""
        ...

    def claim(self, partition: int, key: bytes, value: bytes) -> None:
        """Write one value; the broker has it on return."""
        ...


class StateTopic:
    """The port on Kafka; `close` when nobody asks any more."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._lock = threading.Lock()
        self._consumer: Any = None

    def read(self, partition: int, first: int) -> tuple[list[Value], int]:
        assigned, found = TopicPartition(DETECTOR_STATE, partition), list[Value]()
        with self._lock:
            consumer = self._connected()
            consumer.assign([assigned])
            end = consumer.end_offsets([assigned])[assigned]
            consumer.seek(assigned, first)
            while consumer.position(assigned) < end:
                found += [(one.key, one.value) for one in consumer.poll(timeout_ms=500).get(assigned, [])]
            return found, max(end, consumer.position(assigned))

    def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        with self._lock:
            found = self._connected().end_offsets([TopicPartition(DETECTOR_STATE, number) for number in partitions])
        return {one.partition: end for one, end in found.items()}

    def claim(self, partition: int, key: bytes, value: bytes) -> None:
        producer = KafkaProducer(**self._kafka.client_kwargs(), acks="all", linger_ms=0)
        try:
            producer.send(DETECTOR_STATE, key=key, value=value, partition=partition).get(_SEND_S)
        finally:
            producer.close(timeout=5)

    def close(self) -> None:
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _connected(self) -> Any:
        if self._consumer is None:
            self._consumer = Consumer(
                **self._kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=16 << 20
            )
        return self._consumer

"""kafka-python's consumer, for everything of ours that reads Kafka: it reads batches within bounds (`batches`).

Only this class does so: the application that the SDK is part of may have consumers of its own, whose batches are no business of ours.
"""

from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import KafkaTimeoutError
from kafka.record import MemoryRecords

from .batches import Batches
from .refused import Refused


class Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """Replaces what the fetcher takes the records of one fetch from, and an error that no caller waits for."""

    def __init__(self, *topics: str, **settings: Any) -> None:
        try:
            super().__init__(*topics, **settings)
        except BaseException:
            # The library starts a thread before it looks for a broker, and leaves it behind, with its sockets, when there is none.
            if (client := getattr(self, "_client", None)) is not None:
                client.close()
            raise
        self._refused: dict[str, Refused] = {}
        # The fetcher asks itself for the class, so its own attribute comes first. A test with a broker fails when it no longer does.
        self._fetcher.PartitionRecords = self._records

    def end_offsets(self, partitions: Iterable[TopicPartition], **settings: Any) -> dict[TopicPartition, int]:
        """As the library's, a topic at a time: asked for a topic that it knows and one that it does not, it forgets the second and lets a KeyError out.

        KafkaTimeoutError where an answer leaves a partition out all the same.
        """
        return self._offsets(super().end_offsets, partitions, settings)

    def beginning_offsets(self, partitions: Iterable[TopicPartition], **settings: Any) -> dict[TopicPartition, int]:
        """As `end_offsets`."""
        return self._offsets(super().beginning_offsets, partitions, settings)

    def _offsets(
        self, ask: Callable[..., Any], partitions: Iterable[TopicPartition], settings: dict[str, Any]
    ) -> dict[TopicPartition, int]:
        by_topic: dict[str, list[TopicPartition]] = {}
        for partition in partitions:
            by_topic.setdefault(partition.topic, []).append(partition)
        found: dict[TopicPartition, int] = {}
        try:
            for some in by_topic.values():
                found |= ask(some, **settings)
        except KeyError as error:
            raise KafkaTimeoutError(f"the broker did not say where {error.args[0]} begins or ends") from error
        return found

    def _records(self, fetch_offset: int, partition: TopicPartition, records: MemoryRecords, **settings: Any) -> Any:
        refused = self._refused.setdefault(partition.topic, Refused(partition.topic))
        return Fetcher.PartitionRecords(fetch_offset, partition, Batches(records._buffer, MemoryRecords, refused), **settings)

"""Topics in memory for the console's feed: the quick twin of a broker and its consumer, with the order of partitions as bad as it can be."""

import time
from collections import defaultdict
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition

from tallystick_schemas.topics import LOCKS


class Topics:
    """One partition each. Whoever reads several hears of `locks` last, and only when nothing else is left."""

    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = defaultdict(list)
        self.seeks: list[tuple[str, int]] = []
        self.consumers: list[TwinConsumer] = []

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        offset = len(self.records[topic])
        self.records[topic].append(SimpleNamespace(topic=topic, partition=0, offset=offset, key=key, value=value, timestamp=0))

    def connect(self, _settings: Any) -> "TwinConsumer":
        self.consumers.append(TwinConsumer(self))
        return self.consumers[-1]


class TwinConsumer:
    """As much of kafka-python's consumer as the feed uses."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def assign(self, parts: Iterable[TopicPartition]) -> None:
        self._at = dict.fromkeys(parts, 0)
        self.paused = set()

    def pause(self, *parts: TopicPartition) -> None:
        self.paused |= set(parts)

    def resume(self, *parts: TopicPartition) -> None:
        self.paused -= set(parts)

    def seek_to_beginning(self, *parts: TopicPartition) -> None:
        self._at.update(dict.fromkeys(parts, 0))

    def seek_to_end(self, *parts: TopicPartition) -> None:
        self._at.update(self.end_offsets(parts))

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._topics.seeks.append((part.topic, offset))
        self._at[part] = offset

    def position(self, part: TopicPartition) -> int:
        return self._at[part]

    def end_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {part: len(self._topics.records[part.topic]) for part in parts}

    def beginning_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, 0)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        for part in sorted(self._at.keys() - self.paused, key=lambda one: one.topic == LOCKS):
            records = self._topics.records[part.topic]
            if self._at[part] > len(records):
                self._at[part] = 0  # its place is gone: a client begins anew by itself
            if found := records[self._at[part] :]:
                self._at[part] = len(records)
                return {part: found}
        time.sleep(min(timeout_ms, 2) / 1000)
        return {}

    def close(self) -> None:
        """Nothing is held."""

"""Where a partition ends: an answer that leaves one out is an error of Kafka's, which every reader tries again, and no end of its thread."""

from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

from tallystick_producers.consumer import Consumer

PART = TopicPartition("events", 0)


@pytest.mark.parametrize("ask", ["end_offsets", "beginning_offsets"])
def test_an_answer_without_a_partition_is_a_time_out(monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    def lacking(*_: Any, **__: Any) -> dict[TopicPartition, int]:
        return {}[PART]

    consumer = Consumer.__new__(Consumer)
    monkeypatch.setattr(KafkaConsumer, ask, lacking)
    with pytest.raises(KafkaTimeoutError, match=r"did not say where .*topic='events', partition=0"):
        getattr(consumer, ask)([PART])
    monkeypatch.setattr(KafkaConsumer, ask, lambda *_, **__: {PART: 7})
    assert getattr(consumer, ask)([PART]) == {PART: 7}


def test_topics_are_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[TopicPartition]] = []

    def ends(_: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        asked.append(partitions)
        return dict.fromkeys(partitions, 7)

    monkeypatch.setattr(KafkaConsumer, "end_offsets", ends)
    other = TopicPartition("locks", 0)
    assert Consumer.__new__(Consumer).end_offsets([PART, other, TopicPartition("events", 1)]) == {
        PART: 7,
        TopicPartition("events", 1): 7,
        other: 7,
    }
    assert asked == [[PART, TopicPartition("events", 1)], [other]]

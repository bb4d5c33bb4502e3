"""A batch that is fetched over the outlet's connection: what a broker that lies or fails answers is an error of Kafka, and nothing else."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, LeaderNotAvailableError, OffsetOutOfRangeError, UnknownError

from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell import Outlet


def fetch(topics: Any, leader: int | None = 0) -> bytes:
    """What `fetch` makes of an answer about offset 7 of partition 2 of topic events."""

    async def send(_node: int, _request: Any) -> Any:
        return SimpleNamespace(topics=topics)

    async def partitions(_topic: str) -> set[int]:
        return {0, 1, 2}

    async def play() -> bytes:
        outlet = Outlet(KafkaSettings())
        client = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda _: leader), send=send)
        outlet._producer = cast(AIOKafkaProducer, SimpleNamespace(partitions_for=partitions, client=client))
        return await outlet.fetch("events", 2, 7)

    return asyncio.run(play())


def partition(number: int, code: int, records: bytes | None) -> tuple[Any, ...]:
    """As FetchResponse has it from version 5 on."""
    return (number, code, 9, 9, 0, None, records)


@pytest.mark.parametrize(
    ("topics", "leader", "error"),
    [
        pytest.param([], 0, UnknownError, id="no topic"),
        pytest.param(None, 0, UnknownError, id="no list"),
        pytest.param([("events", [])], 0, UnknownError, id="no partition"),
        pytest.param([("verified", [partition(2, 0, b"x")])], 0, UnknownError, id="another topic"),
        pytest.param([("events", [partition(1, 0, b"x")])], 0, UnknownError, id="another partition"),
        pytest.param([("events", [partition(2, 1, b"")])], 0, OffsetOutOfRangeError, id="a place that is gone"),
        pytest.param([("events", [partition(2, 0, b"x")])], -1, LeaderNotAvailableError, id="no leader"),
        pytest.param([("events", [partition(2, 0, b"x")])], None, LeaderNotAvailableError, id="nobody knows a leader"),
    ],
)
def test_a_strange_answer_is_an_error_of_kafka(topics: Any, leader: int | None, error: type[KafkaError]) -> None:
    with pytest.raises(error):
        fetch(topics, leader)


def test_the_partitions_records_are_given_as_they_came() -> None:
    assert fetch([("verified", [partition(2, 0, b"no")]), ("events", [partition(0, 0, b"no"), partition(2, 0, b"batch")])]) == b"batch"
    assert fetch([("events", [partition(2, 0, None)])]) == b""

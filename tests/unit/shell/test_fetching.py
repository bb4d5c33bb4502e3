"""When the consumer fetches: once the job asks, and nothing before, so that one fetch brings all that waits."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from tallystick_stream_jobs.shell.faust_app import _PatientThread

PARTITIONS = {TopicPartition("verified", number) for number in range(4)}


def test_partitions_are_fetched_while_the_job_waits_for_them_and_not_between(monkeypatch: pytest.MonkeyPatch) -> None:
    during: list[Any] = []

    async def records(_: Any, consumer: Any, *given: Any, **more: Any) -> Any:
        during.append((consumer._subscription.paused_partitions(), given, more))
        if len(during) == 2:
            raise RuntimeError("the broker is gone")
        return {"records": len(during)}

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", records)

    async def fetch() -> list[Any]:
        positions = SubscriptionState(loop=asyncio.get_running_loop())
        positions.subscribe(topics={"verified"})
        positions.assign_from_subscribed(PARTITIONS)
        consumer, thread = SimpleNamespace(_subscription=positions), object.__new__(_PatientThread)
        seen = [await thread._fetch_records(consumer, None, timeout=1.0, max_records=5), positions.paused_partitions()]
        with pytest.raises(RuntimeError, match="gone"):
            await thread._fetch_records(consumer, None)
        seen.append(positions.paused_partitions())
        return [*seen, await thread._fetch_records(consumer, None)]

    assert asyncio.run(fetch()) == [{"records": 1}, PARTITIONS, PARTITIONS, {"records": 3}]
    assert during == [(set(), (None,), {"timeout": 1.0, "max_records": 5}), (set(), (None,), {}), (set(), (None,), {})]

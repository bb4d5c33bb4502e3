"""A job that takes long fetches less often, and never fetches the quiet partitions alone."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from faust.transport.drivers import aiokafka as driver

from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app
from tallystick_stream_jobs.shell.runner import MOST_PAUSE_S, Came, _Lane


class Slow:
    """A job whose batches take so long."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.batches = seconds, 0

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        time.sleep(self.seconds)
        self.batches += 1
        return None


def pause_after(seconds: float) -> float:
    job: Any = Slow(seconds)
    lane = _Lane(job, 8, 8, 0.001)

    async def play() -> None:
        gathering = asyncio.create_task(lane.gather(lambda _: True))
        for number in range(3):
            await lane._waiting.put(Came(Message(0, number, 0, None, b""), 1, None))
        while not job.batches:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        gathering.cancel()

    assert lane.pause_s == 0.0, "the first fetch waits for nothing"
    asyncio.run(play())
    return lane.pause_s


def test_the_pause_grows_with_what_a_batch_took_up_to_its_bound() -> None:
    quick, long, longest = pause_after(0.0), pause_after(0.004), pause_after(0.2)
    assert quick < long <= longest == MOST_PAUSE_S


def test_each_fetch_asks_for_the_pause() -> None:
    asked: list[float] = []

    async def positions(*_: Any) -> dict[Any, int]:
        return {}

    def pause() -> float:
        asked.append(0.0)
        return 0.0

    app = make_app("test", KafkaSettings(), Hooks(positions, pause, lambda _: None))
    consumer = app.transport.Consumer.__new__(app.transport.Consumer)

    async def fetched(*_: Any) -> tuple[None, None]:
        return None, None

    consumer._wait_next_records = fetched
    consumer.app = app

    async def fetch() -> list[Any]:
        return [one async for one in consumer.getmany(1.0)]

    assert asyncio.run(fetch()) == []
    assert asked == [0.0]


def test_the_fetcher_waits_for_the_job_before_it_asks_for_quiet_partitions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def positions(*_: Any) -> dict[Any, int]:
        return {}

    app = make_app("test", KafkaSettings(), Hooks(positions, lambda: 0.0, lambda _: None))
    consumer = app.transport.Consumer.__new__(app.transport.Consumer)
    fetcher = SimpleNamespace(_prefetch_backoff=0.1, _fetch_task=None)

    async def started(thread: Any) -> None:
        thread._consumer = SimpleNamespace(_fetcher=fetcher, _client=SimpleNamespace(_sync_task=None), _coordinator=None)

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", started)
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "__init__", lambda *_, **__: None)
    consumer.loop = consumer.beacon = None
    asyncio.run(consumer._new_consumer_thread().on_start())
    assert fetcher._prefetch_backoff >= 1.5, "as long as the broker may take to say that nothing came"
    assert "backoff=self._prefetch_backoff" in inspect.getsource(Fetcher), "aiokafka calls it otherwise now"

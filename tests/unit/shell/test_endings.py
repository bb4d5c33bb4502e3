"""A consumer or a producer that ended by itself ends its job: one that stays in its group and reads nothing looks well and does nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers import aiokafka as driver

from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell import outlet as outlet_module
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app
from tallystick_stream_jobs.shell.outlet import Outlet

TASKS = ("_fetch_task", "_sync_task", "_coordination_task")


async def thread_of(monkeypatch: pytest.MonkeyPatch, tasks: dict[str, Any], told: list[BaseException]) -> Any:
    """A started consumer's thread, whose client runs these tasks."""

    async def positions(*_: Any) -> dict[Any, int]:
        return {}

    async def started(thread: Any) -> None:
        fetcher = SimpleNamespace(_prefetch_backoff=0.1, _fetch_task=tasks["_fetch_task"])
        coordinator = SimpleNamespace(_coordination_task=tasks["_coordination_task"])
        client = SimpleNamespace(_sync_task=tasks["_sync_task"])
        thread._consumer = SimpleNamespace(_fetcher=fetcher, _client=client, _coordinator=coordinator)
        thread.parent_loop = asyncio.get_running_loop()

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", started)
    app = make_app("test", KafkaSettings(), Hooks(positions, lambda: 0.0, told.append))
    consumer = app.transport.Consumer.__new__(app.transport.Consumer)
    consumer.loop = consumer.beacon = None
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "__init__", lambda thread, *_, **more: setattr(thread, "made_with", more))
    thread = consumer._new_consumer_thread()
    await thread.on_start()
    return thread


async def ends() -> None:
    raise ValueError("Server sent wrong signature!")


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("dies", TASKS)
def test_what_ends_in_a_consumer_ends_its_job(monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    told: list[BaseException] = []

    async def life() -> None:
        forever = asyncio.Event()
        tasks = {name: asyncio.create_task(ends() if name == dies else forever.wait()) for name in TASKS}  # type: ignore[arg-type]  # either is a coroutine
        await thread_of(monkeypatch, tasks, told)
        await turns()
        assert [str(error) for error in told] == ["Server sent wrong signature!"]
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await turns()

    asyncio.run(life())
    assert len(told) == 1, "what was told to stop did not end by itself"


def test_a_loop_that_is_closed_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException] = []

    async def life() -> None:
        tasks = {name: asyncio.create_task(ends()) for name in TASKS}
        thread = await thread_of(monkeypatch, tasks, told)
        thread.parent_loop = SimpleNamespace(is_closed=lambda: True)
        await turns()

    asyncio.run(life())
    assert told == []


def test_no_process_waits_for_the_consumers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def life() -> Any:
        return await thread_of(monkeypatch, dict.fromkeys(TASKS), [])

    worker = asyncio.run(life()).made_with["Worker"](SimpleNamespace(_start_thread=lambda: None))
    assert worker.daemon


def test_a_producer_that_learns_nothing_more_ends_its_job() -> None:
    told: list[BaseException] = []

    async def life() -> None:
        outlet = Outlet(KafkaSettings())
        outlet.failed = told.append
        for task in (asyncio.create_task(ends()), asyncio.create_task(asyncio.Event().wait())):
            task.add_done_callback(outlet._ended)
            await turns()
            task.cancel()
        await turns()

    asyncio.run(life())
    assert [str(error) for error in told] == ["Server sent wrong signature!"]


class Producers:
    """Makes producers whose start waits for `begin`, and fails with `error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made, self.stopped, self.begin = list[Any](), list[Any](), asyncio.Event()
        self.error: BaseException | None = None
        monkeypatch.setattr(outlet_module, "AIOKafkaProducer", self._make)

    def _make(self, **_: Any) -> Any:
        one = SimpleNamespace(client=SimpleNamespace(_sync_task=asyncio.create_task(asyncio.Event().wait())))

        async def start() -> None:
            await self.begin.wait()
            if self.error is not None:
                raise self.error

        async def stop() -> None:
            one.client._sync_task.cancel()
            self.stopped.append(one)

        async def send(topic: str, **_: Any) -> str:
            return topic

        one.start, one.stop, one.send = start, stop, send
        self.made.append(one)
        return one


TOPICS = [f"t{number}" for number in range(8)]


def test_the_first_messages_at_once_have_one_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(monkeypatch)

    async def life() -> None:
        outlet = Outlet(KafkaSettings())
        sends = [asyncio.create_task(outlet.send(name, None, b"x")) for name in TOPICS]
        await turns()
        sends[0].cancel()
        await turns()
        producers.begin.set()
        assert await asyncio.gather(*sends[1:]) == TOPICS[1:], "who is cancelled takes nothing from the others"
        assert await outlet.send("later", None, b"x") == "later"
        await outlet.close()

    asyncio.run(life())
    assert len(producers.made) == len(producers.stopped) == 1


def test_the_first_messages_at_once_share_a_failure_and_the_next_one_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(monkeypatch)
    producers.begin.set()

    async def life() -> None:
        outlet = Outlet(KafkaSettings())
        producers.error = KafkaConnectionError("nobody there")
        failed = await asyncio.gather(*(outlet.send(name, None, b"x") for name in TOPICS), return_exceptions=True)
        assert failed == [producers.error] * len(TOPICS)
        assert len(producers.made) == len(producers.stopped) == 1
        producers.error = None
        assert await outlet.send("later", None, b"x") == "later"
        await outlet.close()

    asyncio.run(life())
    assert len(producers.made) == len(producers.stopped) == 2


def test_one_that_is_made_while_the_outlet_closes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(monkeypatch)

    async def life() -> None:
        outlet = Outlet(KafkaSettings())
        sent = asyncio.create_task(outlet.send("a", None, b"x"))
        await turns()
        await outlet.close()
        with pytest.raises(asyncio.CancelledError):
            await sent

    asyncio.run(life())
    assert len(producers.made) == len(producers.stopped) == 1

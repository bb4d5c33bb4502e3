"""Drives jobs: takes batches from Faust, lets commits run behind them in order, acks after them, and ends the process on any error."""

import asyncio
import contextlib
import functools
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from faust.types import TP

from tallystick_schemas.settings import JobSettings

from .bunches import messages_in
from .faust_app import Hooks, make_app
from .messages import BatchJob, Commit, Message
from .outlet import Outlet

log = logging.getLogger(__name__)
_TICK_S = 0.1
GO_FIRST_MS = 50
"""What a part writes down of its findings and locks goes to Kafka so much later than they do: signing it and sending it, and what others do with it, would
take the processor from whoever waits for the lock."""
WITHIN_S = 0.003
"""How long a batch gathers after its first message."""
MOST_PAUSE_S = 0.025
_TIMES = 3
"""Before the next messages are fetched it takes so many times as long as the last batch took. A fetch and a batch cost as much as several messages: on
a full machine, where all takes longer, there are fewer of them then, and it is full no more."""


def run_job(
    name: str, topic: str, settings: JobSettings, job: BatchJob, *, outlet: Outlet, take: int = 200, max_in_flight: int = 8
) -> None:
    """One job on one topic, which says itself where each partition goes on, so nothing is committed.

    Returns after SIGTERM or SIGINT, exits with 1 when the job or the broker failed it.
    """
    run_jobs(name, settings, {topic: job}, outlet=outlet, take=take, max_in_flight=max_in_flight, in_bunches=True)


def run_jobs(
    name: str,
    settings: JobSettings,
    jobs: Mapping[str, BatchJob],
    *,
    outlet: Outlet,
    take: int = 200,
    max_in_flight: int = 8,
    within_s: float = WITHIN_S,
    in_bunches: bool = False,
) -> None:
    """Several jobs in one loop, each with its topic. `within_s`: how long a batch gathers after its first message. `in_bunches`: see `make_app`."""
    lanes = {topic: _Lane(job, take, max_in_flight, within_s) for topic, job in jobs.items()}
    failure = asyncio.run(_Runner(name, settings, lanes, outlet, in_bunches=in_bunches).run())
    if failure is not None:
        log.critical("%s stops: %s", name, failure, exc_info=failure if not str(failure) else None)
        sys.exit(1)


class Came(NamedTuple):
    """A record on its way to its job."""

    message: Message
    generation: int
    """Of the group, when it was fetched."""
    ack: Callable[[], Any] | None
    """For the last of what came together."""


class _Lane:
    """One job: its batches, and the commits behind them."""

    def __init__(self, job: BatchJob, take: int, max_in_flight: int, within_s: float) -> None:
        self.job, self._take, self._within_s = job, take, within_s
        self._waiting: asyncio.Queue[Came] = asyncio.Queue(take)
        self.commits: asyncio.Queue[tuple[Commit | None, list[Came]]] = asyncio.Queue(max_in_flight)
        self.partitions: set[int] = set()
        self.pause_s = 0.0
        """Until the next fetch."""

    async def agent(self, stream: Any) -> None:
        """Faust's agent. Its own `take` looks 1 / WITHIN_S times a second whether anything comes or not: measured at 25 ms of CPU a second."""
        async for event in stream.noack().events():
            *before, last = messages_in(event.message)
            for message in before:
                await self._waiting.put(Came(message, event.message.generation_id, None))
            await self._waiting.put(Came(last, event.message.generation_id, event.ack))

    async def gather(self, current: Callable[[Came], bool]) -> None:
        """Batches of what came, without what was fetched under an assignment that is over."""
        while True:
            came = [await self._waiting.get()]
            if self._waiting.qsize() < self._take - 1:
                await asyncio.sleep(self._within_s)
            began = time.monotonic()
            while len(came) < self._take and not self._waiting.empty():
                came.append(self._waiting.get_nowait())
            messages = [one.message for one in came if current(one)]
            commit = await self.job.process(messages) if messages else None
            self.pause_s = min(MOST_PAUSE_S, _TIMES * (time.monotonic() - began))
            await self.commits.put((commit, came))

    async def drain(self) -> None:
        """Commits, one at a time, in order; acks after each. If we crash before an ack, the same messages come again."""
        while True:
            commit, came = await self.commits.get()
            if commit is not None:
                await commit()
            for one in came:
                if one.ack is not None:
                    one.ack()
            self.commits.task_done()


def _ours(topic: str, assigned: set[TP]) -> set[int]:
    return {tp.partition for tp in assigned if tp.topic == topic}


class _Runner:
    def __init__(self, name: str, settings: JobSettings, lanes: Mapping[str, _Lane], outlet: Outlet, *, in_bunches: bool = False) -> None:
        self._lanes, self._outlet = lanes, outlet
        self._failed: asyncio.Future[BaseException | None] | None = None
        self._name, self._rebalancing = name, asyncio.Lock()
        hooks = Hooks(self._positions, self._pause_s, self._fail)
        self._app = make_app(name, settings.kafka, hooks, settings.instance, in_bunches=in_bunches)
        self._app.on_partitions_assigned.connect(self._assigned)
        for topic, lane in self._lanes.items():
            channel = self._app.topic(topic, value_serializer="raw", key_serializer="raw", acks=not in_bunches)
            self._app.agent(channel, name=f"{name}-{topic}")(lane.agent)

    def _pause_s(self) -> float:
        return max(lane.pause_s for lane in self._lanes.values())

    def _is_current(self, came: Came) -> bool:
        """A seek after a rebalance reads messages again; those fetched before it must not be taken a second time out of order."""
        return bool(came.generation == self._app.consumer_generation_id)

    async def _positions(self, assigned: set[TP], earliest: Callable[..., Awaitable[Mapping[TP, int]]]) -> Mapping[TP, int]:
        wanted: dict[TP, int] = {}
        try:
            # Another rebalance may come while the jobs start: one after the other, or a job would start twice at once.
            async with self._rebalancing:
                self._take_from(assigned)
                for topic, lane in self._lanes.items():
                    ours = _ours(topic, assigned)
                    lane.partitions = ours
                    offsets = await asyncio.to_thread(lane.job.start, ours) if ours else {}
                    available = await earliest(*[TP(topic, partition) for partition in offsets]) if offsets else {}
                    for partition, offset in offsets.items():
                        first = available.get(TP(topic, partition), 0)
                        if first > offset:
                            lane.job.gone(partition, offset, first)
                        wanted[TP(topic, partition)] = max(offset, first)
        except Exception as error:
            self._fail(error)
            raise
        return wanted

    async def _assigned(self, _: Any, assigned: set[TP], **__: Any) -> None:
        """Faust asks for positions only where there is something to position: who lost everything hears it here."""
        log.info("%s has %s", self._name, ", ".join(sorted(f"{tp.topic}/{tp.partition}" for tp in assigned)) or "no partitions")
        async with self._rebalancing:
            self._take_from(assigned)

    def _take_from(self, assigned: set[TP]) -> None:
        """What is in no lane's assignment any more is taken from its job."""
        for topic, lane in self._lanes.items():
            lost = lane.partitions - _ours(topic, assigned)
            if lost:
                lane.job.revoked(lost)
                lane.partitions = lane.partitions - lost

    def _fail(self, error: BaseException) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(error)

    async def _background(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - ends the process, as in the agent
            self._fail(error)

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for lane in self._lanes.values():
                await lane.job.tick(time.time())

    async def run(self) -> BaseException | None:
        """Until a signal (None) or a failure."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        self._outlet.failed = self._fail
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._failed.done() or self._failed.set_result(None))  # type: ignore[union-attr]
        tasks = [loop.create_task(self._background(lane.drain)) for lane in self._lanes.values()]
        tasks += [loop.create_task(self._background(functools.partial(lane.gather, self._is_current))) for lane in self._lanes.values()]
        tasks.append(loop.create_task(self._background(self._ticks)))
        tasks.append(loop.create_task(self._background(self._faust)))
        failure = await self._failed
        if failure is None:
            await self._finish()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._app.stop(), 10)
        await self._outlet.close()
        return failure

    async def _finish(self) -> None:
        """What was taken in is committed before we leave."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(lane.commits.join() for lane in self._lanes.values())), 8)
        for lane in self._lanes.values():
            await lane.job.stop()

    async def _faust(self) -> None:
        self._app.finalize()
        await self._app.start()
        await self._app.wait_until_stopped()
        # `run` stops the application, and does not wait for ever: a consumer whose thread is gone never says that it has stopped.
        if self._app.crashed and self._app.crash_reason:
            raise self._app.crash_reason

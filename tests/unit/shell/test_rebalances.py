"""Who has which partitions: a job that lost all of its own hears it, and none starts twice at once."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from faust.types import TP

from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app
from tallystick_stream_jobs.shell.runner import _Lane, _Runner

SETTINGS = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "")
BOTH = {TP("findings", 0), TP("acts", 0)}


class Job:
    """Writes down what it is told. `started`: how many starts were under way at once, at the most."""

    def __init__(self) -> None:
        self.told: list[tuple[str, set[int]]] = []
        self.at_once = self.most = 0
        self.others = threading.Event()

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.others.wait(0.05)
        self.at_once -= 1
        self.told.append(("start", set(partitions)))
        return {}

    def revoked(self, partitions: Collection[int]) -> None:
        self.told.append(("revoked", set(partitions)))


def play(steps: Callable[[_Runner], Awaitable[Any]]) -> dict[str, Job]:
    jobs = {"findings": Job(), "acts": Job()}

    async def run() -> None:
        await steps(_Runner("responder", SETTINGS, {topic: _Lane(job, 50, 8, 0.001) for topic, job in jobs.items()}, None))  # type: ignore[arg-type]  # what is used of them

    asyncio.run(run())
    return jobs


async def earliest(*_: TP) -> Mapping[TP, int]:
    return {}


def test_who_lost_everything_hears_it_though_there_is_nothing_to_position() -> None:
    async def steps(runner: _Runner) -> None:
        await runner._positions(BOTH, earliest)
        await runner._app.on_partitions_assigned.send(set())
        await runner._app.on_partitions_assigned.send(set())

    assert [job.told for job in play(steps).values()] == [[("start", {0}), ("revoked", {0})]] * 2


def test_who_keeps_its_partitions_is_not_told_that_it_lost_them() -> None:
    async def steps(runner: _Runner) -> None:
        await runner._positions(BOTH, earliest)
        await runner._app.on_partitions_assigned.send(BOTH)

    assert [job.told for job in play(steps).values()] == [[("start", {0})]] * 2


def test_two_rebalances_at_once_start_a_job_one_after_the_other() -> None:
    async def steps(runner: _Runner) -> None:
        await asyncio.gather(runner._positions(BOTH, earliest), runner._positions(BOTH, earliest))

    assert [(job.most, len(job.told)) for job in play(steps).values()] == [(1, 2)] * 2


class Cluster:
    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1} if topic == "wide" else {0}


def test_two_processes_of_a_job_with_two_topics_do_not_share_them() -> None:
    """The way that a group takes is the first that all know: with it, whoever has the one topic has the other."""
    app = make_app("responder", KafkaSettings(), Hooks(lambda *_: None, lambda: 0.0, lambda _: None))  # type: ignore[arg-type,return-value]  # nobody asks

    async def strategies() -> Any:
        consumer: Any = app._new_consumer()
        return consumer._new_consumer_thread()._create_worker_consumer(app.transport)._partition_assignment_strategy

    first = asyncio.run(strategies())[0]
    members = {name: first.metadata({"findings", "acts", "wide"}) for name in ("b", "a")}
    assert {name: given.assignment for name, given in first.assign(Cluster(), members).items()} == {
        "a": [("acts", [0]), ("findings", [0]), ("wide", [0])],
        "b": [("acts", []), ("findings", []), ("wide", [1])],
    }

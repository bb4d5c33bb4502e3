"""Inserts gather while events flow, never after a silence; the fold goes on without the store until too much is in flight, counted in bytes."""

import asyncio
import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.signing import SNAPSHOTS, Speaker
from tests.support.world import MemoryTopic

from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.notary import job as module
from tallystick_stream_jobs.notary.job import MAX_FLYING, MAX_FLYING_BYTES, MAX_INSERT_EVENTS, TAKE, NotaryJob, Pending
from tallystick_stream_jobs.notary.keeping import PER_MINUTE, Keeping
from tallystick_stream_jobs.notary.ledger import Rows
from tallystick_stream_jobs.shell import Message

SETTINGS = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "")
NO_ROWS = dict.fromkeys(Rows._fields, ())


class Inserts:
    """A ledger that notes when it was given rows."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.takes_s = 0.0

    def insert(self, _: Rows) -> None:
        self.at.append(time.monotonic())
        time.sleep(self.takes_s)


def make(monkeypatch: pytest.MonkeyPatch, every_s: float, events: int = 1) -> tuple[NotaryJob, Inserts]:
    monkeypatch.setattr(module, "_INSERT_EVERY_S", every_s)
    inserts: Any = Inserts()
    outlet: Any = None
    job = NotaryJob(SETTINGS, inserts, outlet, MemoryTopic({0: []}), Speaker("notary").voice(), SNAPSHOTS)
    outbound = SimpleNamespace(messages=lambda _: [], act_message=lambda _: None)
    shard: Any = SimpleNamespace(
        stopped=None, process=lambda _: SimpleNamespace(shard=0, event_count=events, receipts=[], outbound=outbound, **NO_ROWS)
    )
    job._shards.running[0] = shard
    return job, inserts


async def take(job: NotaryJob, records: int = 1, value: bytes = b"") -> Pending:
    await job.process([Message(0, 0, 0, None, value)] * records)
    return job._pending[-1]


def test_what_comes_after_a_silence_goes_at_once_and_the_rest_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    job, inserts = make(monkeypatch, 0.2)

    async def play() -> None:
        await job._commit(await take(job))
        second, third = await take(job), await take(job)
        await job._commit(second)
        await job._commit(third)

    began = time.monotonic()
    asyncio.run(play())
    assert inserts.at[0] - began < 0.15
    assert len(inserts.at) == 2, "two batches in one insert"
    assert inserts.at[1] - inserts.at[0] >= 0.19


def test_a_slow_store_is_given_fewer_inserts(monkeypatch: pytest.MonkeyPatch) -> None:
    job, inserts = make(monkeypatch, 0.0)
    inserts.takes_s = 0.05

    async def play() -> None:
        await job._commit(await take(job))
        await job._commit(await take(job))

    asyncio.run(play())
    assert inserts.at[1] - inserts.at[0] >= 0.19, "four times what the first took, from its beginning"


def test_enough_events_for_an_insert_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    job, inserts = make(monkeypatch, 60.0, MAX_INSERT_EVENTS // 4)

    async def play() -> None:
        await job._commit(await take(job))
        waiting = asyncio.create_task(job._commit(await take(job)))
        await asyncio.sleep(0.01)
        assert len(inserts.at) == 1
        await take(job)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(play())
    assert len(inserts.at) == 2


LARGE = bytes(MAX_FLYING_BYTES // TAKE)
FULL = {"records": (MAX_FLYING, b""), "bytes": (TAKE, LARGE)}
"""What may fly, as many small records and as few large ones."""


@pytest.mark.parametrize("full", FULL)
def test_the_fold_waits_for_the_store_only_when_too_much_is_in_flight(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job, inserts = make(monkeypatch, 0.0)
    records, value = FULL[full]

    async def play() -> None:
        first, _ = await take(job, records // 2, value), await take(job, records // 2, value)
        third = asyncio.create_task(take(job))
        await asyncio.sleep(0.01)
        assert not third.done()
        await job._commit(first)
        await asyncio.wait_for(third, 5)
        await job._commit(job._pending[-1])
        assert (job._flying, job._flying_bytes) == (0, 0)

    asyncio.run(play())
    assert len(inserts.at) == 2


def test_seconds_of_small_garbage_do_not_have_the_fold_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 MB a minute in records of 64 bytes is 2,600 records a second, and an insert on a full machine takes seconds."""
    job, _ = make(monkeypatch, 60.0, events=0)

    async def play() -> None:
        for _ in range(4 * 2_600 // TAKE):
            await asyncio.wait_for(take(job, TAKE, bytes(64)), 5)

    asyncio.run(play())
    assert job._flying >= 4 * 2_600 - TAKE


@pytest.mark.parametrize("full", FULL)
def test_an_insert_does_not_wait_for_more_when_half_of_what_may_fly_holds_no_event(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = make(monkeypatch, 60.0, events=0)
    records, value = FULL[full]

    async def play() -> None:
        job._insert_at = time.monotonic() + 60.0
        await take(job, records // 2, value)
        await asyncio.wait_for(job._gather(), 5.0)

    asyncio.run(play())


def test_what_waits_is_counted_and_not_summed_up_at_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of batches of one record may wait for a store that is away; a sum over them at each would be a square."""
    job, _ = make(monkeypatch, 60.0)
    looks = 0

    class Looked(deque[Pending]):
        def __iter__(self) -> Any:
            nonlocal looks
            looks += len(self)
            return super().__iter__()

    async def play() -> None:
        job._pending = Looked()
        for _ in range(50):
            await take(job)
        assert (job._pending_events, looks) == (50, 0)
        await job._commit(job._pending[-1])
        assert (job._pending_events, len(job._pending)) == (0, 0)

    asyncio.run(play())


def test_what_was_not_kept_is_said_once_a_minute(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    job, _ = make(monkeypatch, 0.2)
    shard: Any = SimpleNamespace(keeping=Keeping())
    job._shards.running[0] = shard
    for now in (100.0, 110.0, 161.0, 230.0):
        if now < 161.0:
            shard.keeping.keeps(0, PER_MINUTE + 1, Verdict.MALFORMED)
        asyncio.run(job.tick(now))
    assert [line for line in caplog.messages if "are not kept" in line] == [
        f"shard 0: the bytes of 1 rejected records ({PER_MINUTE + 1} bytes) are not kept; their entries are",
    ] * 2

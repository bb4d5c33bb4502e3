"""A shard that stands still is looked at again by itself, and goes on when what stopped it is otherwise: rows or records that are there again."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from tests.support.signing import SNAPSHOTS
from tests.support.world import MemoryLedger, MemoryTopic
from tests.unit.notary.test_gaps import HISTORY, LAST, change, feed, ledger, lose, nothing_but, older, shards_on, whole

from tallystick_stream_jobs.errors import ShardGoesOn
from tallystick_stream_jobs.notary.job import NotaryJob
from tallystick_stream_jobs.notary.shards import Shards
from tallystick_stream_jobs.notary.standing import FIRST_S, MOST_S, Standing

__all__ = ["ledger"]  # a fixture
Stop = Callable[[MemoryLedger, MemoryTopic], Callable[[], None]]
"""Breaks something of shard 0; what it gives mends it again."""


def _row_differs(ledger: MemoryLedger, _: MemoryTopic) -> Callable[[], None]:
    ledger.snapshots.clear()
    good = dict(ledger.stored)
    change(ledger, 0, 2)
    return lambda: ledger.stored.update(good)


def _row_above_a_gap_differs(ledger: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    lose(ledger, 0, 3, 4)
    return _row_differs_at(ledger, 9)


def _row_differs_at(ledger: MemoryLedger, index: int) -> Callable[[], None]:
    good = dict(ledger.stored)
    change(ledger, 0, index)
    return lambda: ledger.stored.update(good)


def _gap_and_the_topic_is_new(ledger: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    good = dict(ledger.stored)
    lose(ledger, 0, 3)
    topic.name = "another"
    topic.records = {0: [], 1: []}
    return lambda: ledger.stored.update(good)


def _records_are_gone(ledger: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    lose(ledger, 0, 3, 4)
    topic.first[0] = 9
    return lambda: topic.first.update({0: 0})


def _records_are_gone_and_rows_come_back(ledger: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    good = dict(ledger.stored)
    _records_are_gone(ledger, topic)
    return lambda: ledger.stored.update(good)


def _kafka_is_shorter(_: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    last = topic.records[0].pop()
    return lambda: topic.records[0].append(last)


def _kafka_is_another(_: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    good, topic.records = topic.records, older(0, 3).records
    return lambda: setattr(topic, "records", good)


def _kafka_is_another_and_is_made_anew(_: MemoryLedger, topic: MemoryTopic) -> Callable[[], None]:
    topic.records = older(0, 3).records

    def anew() -> None:
        topic.name, topic.records = "another", {0: [], 1: []}

    return anew


STOPS: list[Stop] = [
    _row_differs,
    _row_above_a_gap_differs,
    _gap_and_the_topic_is_new,
    _records_are_gone,
    _records_are_gone_and_rows_come_back,
    _kafka_is_shorter,
    _kafka_is_another,
    _kafka_is_another_and_is_made_anew,
]


def started(shards: Shards, ledger: MemoryLedger, topic: MemoryTopic) -> None:
    """As the process starts: positions, what Kafka no longer has, and what it holds from there on."""
    wanted = shards.start([0, 1])
    for shard, offset in wanted.items():
        if topic.first[shard] > offset:
            shards.gone(shard, offset, topic.first[shard])
    if topic.name == "topic-0":
        feed(shards, ledger, wanted)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.notary.shards.PATIENCE_S", 0.0)


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__.strip("_"))
def test_a_shard_goes_on_when_what_stopped_it_is_otherwise_and_not_before(ledger: MemoryLedger, stop: Stop) -> None:
    topic = whole()
    mend = stop(ledger, topic)
    shards = shards_on(ledger, topic)
    started(shards, ledger, topic)
    assert set(shards.running) == {1}
    now = time.time()
    assert (shards.standing.due(now), shards.standing.due(now + FIRST_S)) == (False, True)
    assert [shards.standing.look(now + n * MOST_S) for n in (1, 2, 3)] == [[]] * 3, "nothing changed: it would stop again at once"
    mend()
    assert shards.standing.look(now + 4 * MOST_S) == [0]
    again = shards_on(ledger, topic)
    started(again, ledger, topic)
    assert set(again.running) == {0, 1}


def test_a_row_that_is_another_and_still_wrong_costs_one_start_and_no_more(ledger: MemoryLedger) -> None:
    ledger.snapshots.clear()
    change(ledger, 0, 2)
    shards = shards_on(ledger)
    started(shards, ledger, whole())
    lose(ledger, 0, 2)
    now = time.time() + FIRST_S
    assert shards.standing.look(now) == [0]
    change(ledger, 0, 9)
    again = shards_on(ledger)
    started(again, ledger, whole())
    assert set(again.running) == {1}
    assert again.standing.look(now + MOST_S) == []


def test_looks_come_half_as_often_each_time_up_to_a_bound() -> None:
    standing, looked = Standing(), []
    standing.put(0, lambda: bool(looked.append(now)), 0.0)
    for now in map(float, range(1, 1300)):
        if standing.due(now):
            standing.look(now)
    assert looked[0] == FIRST_S
    between = [after - before for before, after in pairwise(looked)]
    assert between == [10.0, 20.0, 40.0, 80.0, 160.0, MOST_S, MOST_S, MOST_S]


def test_a_store_that_does_not_answer_is_told_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [OSError("away"), True]

    def ask() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    standing = Standing()
    standing.put(0, ask, 0.0)
    assert [standing.look(FIRST_S), standing.look(MOST_S)] == [[], [0]]
    assert "shard 0 stands still, and cannot be looked at (OSError: away)" in caplog.text


def test_a_shard_that_is_given_away_is_looked_at_no_more(ledger: MemoryLedger) -> None:
    topic = whole()
    _kafka_is_shorter(ledger, topic)
    shards = shards_on(ledger, topic)
    started(shards, ledger, topic)
    shards.forget(0)
    assert not shards.standing.due(time.time() + MOST_S)


def test_the_notary_begins_again_with_a_shard_that_can_go_on(ledger: MemoryLedger) -> None:
    nothing: Any = None
    topic = whole()
    mend = _kafka_is_shorter(ledger, topic)
    job = NotaryJob(nothing_but(HISTORY.log), ledger, nothing, topic, nothing, SNAPSHOTS)
    assert job.start([0, 1]) == {1: LAST[1] + 1}
    now = time.time()
    asyncio.run(job.tick(now + FIRST_S + 1))
    mend()
    with pytest.raises(ShardGoesOn, match="what stopped shard 0 is otherwise now"):
        asyncio.run(job.tick(now + MOST_S))

"""Records that go through Faust in bunches: the job gets the same messages in the same order, within bounds, and each is acked with the last of its bunch."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.shell.bunches import MOST_BYTES, MOST_RECORDS, bunched, messages_in
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app
from tallystick_stream_jobs.shell.runner import _Lane

PLACE = TP("events", 3)


def record(offset: int, size: int | None = 64, key: bytes | None = None) -> Any:
    value = None if size is None else bytes(size)
    return ConsumerRecord(PLACE.topic, PLACE.partition, offset, 1_700_000_000_001 + offset, 1, key, value, None, 0, size or 0, ())


def message(one: Any) -> Message:
    return Message(one.partition, one.offset, one.timestamp, one.key, one.value)


SIZES = st.lists(st.one_of(st.none(), st.integers(0, 100), st.sampled_from([MOST_BYTES - 1, MOST_BYTES, MOST_BYTES + 1])), max_size=300)


@given(SIZES)
def test_bunches_hold_the_same_records_in_order_within_bounds(sizes: list[int | None]) -> None:
    records = [record(2 * number, size, b"k" if number % 3 else None) for number, size in enumerate(sizes)]
    bunches = bunched(records)
    assert [one for bunch in bunches for one in messages_in(bunch)] == [message(one) for one in records]
    for bunch in bunches:
        assert (bunch.offset, bunch.topic, bunch.partition) == (bunch.value[-1].offset, *PLACE)
        assert len(bunch.value) <= MOST_RECORDS
        assert len(bunch.value) == 1 or sum(len(one.value or b"") for one in bunch.value) <= MOST_BYTES


def test_small_garbage_costs_faust_a_message_for_many() -> None:
    assert len(bunched([record(number) for number in range(500)])) == 8


def test_a_bunch_holds_no_headers() -> None:
    """Kafka's own, which an agent's password is enough to write: 64 records of a megabyte of them each would wait in each of some hundred bunches."""
    records = [replace(record(number), headers=(("h", bytes(10_000)),)) for number in range(3)]
    [bunch] = bunched(records)
    assert bunch.headers == ()
    assert bunch.value == tuple(message(one) for one in records)
    assert len(pickle.dumps(bunch)) < 2_000


def test_a_message_that_is_no_bunch_is_itself() -> None:
    taken = SimpleNamespace(partition=1, offset=5, timestamp=1.25, key=b"k", value=None)
    assert messages_in(taken) == [Message(1, 5, 1250, b"k", None)]


async def no_positions(*_: Any) -> dict[TP, int]:
    return {}


HOOKS = Hooks(no_positions, lambda: 0.0, lambda _: None)


def fetched(monkeypatch: pytest.MonkeyPatch, records: list[Any], *, in_bunches: bool) -> list[Any]:
    """What Faust hands to a stream of what aiokafka fetched: its own messages, decoded by its own topic."""

    async def getmany(*_: Any) -> dict[TP, list[Any]]:
        return {PLACE: records}

    monkeypatch.setattr(driver.Consumer, "_getmany", getmany)
    app = make_app("test", KafkaSettings(), HOOKS, in_bunches=in_bunches)
    consumer = app.transport.Consumer.__new__(app.transport.Consumer)
    consumer.app = app

    async def play() -> list[Any]:
        topic = app.topic(PLACE.topic, value_serializer="raw", key_serializer="raw")
        found = await consumer._getmany({PLACE}, 1.0)
        return [(await topic.decode(consumer._to_message(PLACE, one))).message for one in found[PLACE]]

    return asyncio.run(play())


@pytest.mark.parametrize("in_bunches", [True, False])
def test_faust_hands_on_what_came(in_bunches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record(number, size) for number, size in enumerate([64, None, 0, 70_000, 64])]
    found = fetched(monkeypatch, records, in_bunches=in_bunches)
    assert len(found) == (3 if in_bunches else 5)
    assert [one for taken in found for one in messages_in(taken)] == [message(one) for one in records]


class Job:
    """Writes down its messages."""

    def __init__(self) -> None:
        self.took: list[Message] = []

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        self.took += messages
        return None


def acked_after(take: int, current: int) -> tuple[Job, list[int]]:
    """A job that takes so many at once, and how many messages it had at each ack, of two bunches fetched in generations 1 and 2."""
    job, acks = Job(), list[int]()
    lane = _Lane(job, take, 100, 0.0)  # type: ignore[arg-type]  # what is used of it

    async def events() -> AsyncIterator[Any]:
        for generation, first in ((1, 0), (2, 10)):
            [bunch] = bunched([record(first + number) for number in range(10)])
            taken = SimpleNamespace(value=bunch.value, generation_id=generation)
            yield SimpleNamespace(message=taken, ack=lambda: acks.append(len(job.took)))

    async def play() -> None:
        stream = SimpleNamespace(noack=lambda: SimpleNamespace(events=events))
        tasks = [asyncio.create_task(one) for one in (lane.gather(lambda came: came.generation >= current), lane.drain())]
        await lane.agent(stream)
        while len(acks) < 2:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()

    asyncio.run(asyncio.wait_for(play(), 10))
    return job, acks


@pytest.mark.parametrize("take", [1, 3, 64])
def test_a_bunch_is_cut_into_the_jobs_batches_and_acked_after_its_last(take: int) -> None:
    job, acks = acked_after(take, current=1)
    assert [one.offset for one in job.took] == list(range(20))
    assert acks[0] >= 10
    assert acks[1] == 20


def test_a_bunch_of_an_assignment_that_is_over_is_dropped_whole() -> None:
    job, acks = acked_after(3, current=2)
    assert [one.offset for one in job.took] == list(range(10, 20))
    assert len(acks) == 2


@pytest.mark.parametrize("in_bunches", [True, False])
def test_of_what_a_job_in_bunches_does_not_name_nothing_old_is_read(in_bunches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    other = TP(PLACE.topic, 4)

    async def named(*_: Any) -> dict[TP, int]:
        return {PLACE: 7}

    async def stood(_: Any) -> dict[TP, int]:
        return {PLACE: 1, other: 2}

    async def ends(*asked: TP) -> dict[TP, int]:
        return dict.fromkeys(asked, 99)

    sought: dict[TP, int] = {}

    async def seek(place: TP, offset: int) -> None:
        sought[place] = offset

    monkeypatch.setattr(driver.Consumer, "seek_to_committed", stood)
    app = make_app("test", KafkaSettings(), HOOKS._replace(positions=named), in_bunches=in_bunches)
    consumer = app.transport.Consumer.__new__(app.transport.Consumer)
    consumer.assignment, consumer.seek, consumer.highwaters = lambda: {PLACE, other}, seek, ends
    expected = {PLACE: 7, other: 99} if in_bunches else {PLACE: 7}
    assert asyncio.run(consumer.seek_to_committed()) == {other: 2} | expected
    assert sought == expected

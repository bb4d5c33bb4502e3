"""What the notary sends: its word, under one signature a message, counted in each partition; receipts of one agent together."""

import asyncio
from typing import Any

import pytest
from tests.support.history import HistoryBuilder, make_event
from tests.support.signing import SNAPSHOTS, Speaker, opener
from tests.support.world import Faults, MemoryLedger, MemoryTopic

from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import parse_batch
from tallystick_schemas.receipts import parse_receipts
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings
from tallystick_schemas.topics import ACTS, RECEIPTS, VERIFIED
from tallystick_stream_jobs.notary import job as module
from tallystick_stream_jobs.notary.job import NotaryJob
from tallystick_stream_jobs.shell import Message

Sent = tuple[str, bytes | None, bytes, int | None]


class Outbox:
    """An outlet that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    async def send(self, topic: str, key: bytes | None, value: bytes, partition: int | None = None) -> Any:
        self.sent.append((topic, key, value, partition))

        async def done() -> None:
            return None

        return done()

    def of(self, topic: str) -> list[Sent]:
        return [one for one in self.sent if one[0] == topic]


def notarised(*lives: int) -> Outbox:
    """What a notary sends about two agents' segments, so many batches in each life, all of a history again in the next."""
    made = HistoryBuilder(1)
    agents = [made.enrol(name, 0) for name in ("gateway-1", "gateway-2")]
    for n in range(4):
        for agent in agents:
            made.record(0, agent.sign([make_event(10 * n + one) for one in range(8)], made.tick()).record)
    records = made.history.records[0]
    settings = JobSettings(KafkaSettings(), ClickHouseSettings(), made.history.log, "")
    outbox = Outbox()

    async def live(life: int, batches: int) -> None:
        outlet: Any = outbox
        job = NotaryJob(settings, MemoryLedger(Faults()), outlet, MemoryTopic({0: []}), Speaker("notary", fence=life).voice(), SNAPSHOTS)
        job.start([0])
        size = -(-len(records) // batches)
        for first in range(0, len(records), size):
            taken = [Message(0, first + n, ms, None, raw) for n, (raw, ms) in enumerate(records[first : first + size])]
            commit = await job.process(taken)
            assert commit is not None
            await commit()

    for life, batches in enumerate(lives, 1):
        asyncio.run(live(life, batches))
    return outbox


def test_every_message_is_the_notarys_and_belongs_where_it_lies() -> None:
    sent = notarised(2).sent
    assert {topic for topic, *_ in sent} == {VERIFIED, RECEIPTS}
    for topic, key, value, _ in sent:
        assert opener().open(topic, key, value).holder.agent == "notary"
        other = ACTS if topic == VERIFIED else VERIFIED
        with pytest.raises(ParseError, match="did not sign"):
            opener().open(other, key, value)
    for _, key, value, partition in notarised(1).of(VERIFIED):
        assert key is None
        assert parse_batch(parse_claim(value).body).partition == partition


def test_messages_of_a_partition_are_counted_from_0_in_each_life() -> None:
    numbers: dict[int, list[tuple[int, int]]] = {}
    for _, _, value, partition in notarised(3, 2).of(VERIFIED):
        assert partition is not None
        numbers.setdefault(partition, []).append(tuple(parse_claim(value).number))
    assert len(numbers) > 1
    for given in numbers.values():
        first, second = ([n for fence, n in given if fence == life] for life in (1, 2))
        assert first == list(range(len(first)))
        assert second == list(range(len(second)))
        assert first
        assert second


def test_receipts_of_one_agent_are_one_message_in_their_order() -> None:
    sent = notarised(1).of(RECEIPTS)
    assert sorted(key or b"" for _, key, _, _ in sent) == [b"gateway-1", b"gateway-2", b"operator"]
    for _, key, value, _ in sent:
        receipts = parse_receipts(opener().open(RECEIPTS, key, value).body)
        assert {one.agent.encode() for one in receipts} == {key}
        assert [one.index for one in receipts] == sorted(one.index for one in receipts)
        if key != b"operator":
            assert [one.n for one in receipts] == [0, 1, 2, 3]


def test_many_receipts_are_cut_into_messages_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECEIPTS", 3)
    sizes = [len(parse_receipts(parse_claim(value).body)) for _, key, value, _ in notarised(1).of(RECEIPTS) if key == b"gateway-1"]
    assert sizes == [3, 1]

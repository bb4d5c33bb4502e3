"""A shard whose ledger lost rows is filled from Kafka; one that cannot go on stands still, and the others do not."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.history import make_history
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger

from tallystick_stream_jobs.errors import StoreWentBack
from tallystick_stream_jobs.notary.core import Batch
from tallystick_stream_jobs.notary.job import NotaryJob
from tallystick_stream_jobs.notary.ledger import Rows, StoredEntry
from tallystick_stream_jobs.notary.shards import Shards

HISTORY = make_history()
TOPIC_ID = "topic-0"
LAST = {shard: len(HISTORY.records[shard]) - 1 for shard in (0, 1)}


def shards_on(ledger: MemoryLedger, ends: Mapping[int, int] | None = None, topic_id: str = "") -> Shards:
    name = topic_id or TOPIC_ID
    return Shards(
        HISTORY.log, ledger, SNAPSHOTS, lambda: name, lambda: {shard: last + 1 for shard, last in LAST.items()} if ends is None else ends
    )


def feed(shards: Shards, ledger: MemoryLedger, wanted: Mapping[int, int]) -> list[Batch]:
    """What Kafka holds from the wanted offsets on, in batches of five."""
    batches = []
    for shard, first in wanted.items():
        records = [(offset, at, raw) for offset, (raw, at) in enumerate(HISTORY.records[shard])][first:]
        for start in range(0, len(records), 5):
            batch = asyncio.run(shards.fold(shard, records[start : start + 5]))
            if batch is not None:
                ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))
                batches.append(batch)
    return batches


@pytest.fixture
def ledger() -> MemoryLedger:
    """All of the history, with a snapshot at its last seal."""
    made = MemoryLedger(Faults())
    shards = shards_on(made)
    feed(shards, made, shards.start([0, 1]))
    assert {shard: made.tip(shard).index for shard in (0, 1)} == LAST
    return made


def lose(ledger: MemoryLedger, shard: int, *indexes: int) -> None:
    for key in [key for key in ledger.stored if key[0] == shard and key[1] in indexes]:
        del ledger.stored[key]


@pytest.mark.parametrize("lost", [(0,), (5, 6), (4, 9), tuple(range(1, LAST[0])), (LAST[0] - 1,)])
def test_the_lowest_gap_and_those_above_it_are_filled_with_the_same_bytes(ledger: MemoryLedger, lost: tuple[int, ...]) -> None:
    before = dict(ledger.stored)
    lose(ledger, 0, *lost)
    shards = shards_on(ledger)
    wanted = shards.start([0, 1])
    assert wanted == {0: min(lost), 1: LAST[1] + 1}
    feed(shards, ledger, wanted)
    assert ledger.stored == before
    assert shards_on(ledger).start([0, 1]) == {0: LAST[0] + 1, 1: LAST[1] + 1}


def change(ledger: MemoryLedger, shard: int, index: int) -> None:
    [(key, row)] = [(key, row) for key, row in ledger.stored.items() if key[:2] == (shard, index)]
    ledger.stored[key] = StoredEntry(row.index, row.entry, row.leaf, bytes(32))


@pytest.mark.parametrize("above", [6, 12, LAST[0]])
def test_a_row_above_the_gap_that_does_not_agree_stops_its_shard_alone(
    ledger: MemoryLedger, above: int, caplog: pytest.LogCaptureFixture
) -> None:
    lose(ledger, 0, 3, 4)
    change(ledger, 0, above)
    before = dict(ledger.stored)
    shards = shards_on(ledger)
    wanted = shards.start([0, 1])
    batches = feed(shards, ledger, wanted)
    assert set(shards.running) == {1}
    assert f"shard 0 stands still, the others go on: shard 0, index {above}" in caplog.text
    assert all(row == before.get(key, row) for key, row in ledger.stored.items()), "nothing is written beside what differs"
    assert all(batch.first + len(batch.entries) <= above for batch in batches)


def test_a_shard_that_cannot_be_folded_stops_alone(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    ledger.snapshots.clear()
    change(ledger, 1, 2)
    shards = shards_on(ledger)
    assert shards.start([0, 1]) == {0: LAST[0] + 1}
    assert (set(shards.running), "shard 1 stands still" in caplog.text) == ({0}, True)


def test_a_gap_whose_records_kafka_lost_is_named_and_stops_its_shard_alone(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    job = NotaryJob(nothing_but(HISTORY.log), ledger, nothing, lambda: TOPIC_ID, nothing, SNAPSHOTS)
    lose(ledger, 0, 3, 4)
    assert job.start([0, 1])[0] == 3
    job.gone(0, 3, 9)
    assert set(job._shards.running) == {1}
    assert "shard 0: offsets 3 to 8 are gone from Kafka" in caplog.text


def test_a_gap_of_a_topic_that_was_made_anew_is_named(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    lose(ledger, 0, 3)
    assert shards_on(ledger, topic_id="another").start([0, 1]) == {1: 0}
    assert "shard 0, index 3: entries are missing here" in caplog.text


def test_a_kafka_of_before_stops_the_shards_that_it_lacks(
    ledger: MemoryLedger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.notary.shards._PATIENCE_S", 0.0)
    assert shards_on(ledger, {0: LAST[0], 1: LAST[1] + 1}).start([0, 1]) == {1: LAST[1] + 1}
    assert f"partition 0 of topic events ends at offset {LAST[0]}" in caplog.text


def test_a_broker_that_says_less_for_a_moment_stops_nothing(ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.notary.shards._ENDS_WAIT_S", 0.0)
    said = iter([{0: 1}, {0: 2}, {0: LAST[0] + 1}])
    shards = Shards(HISTORY.log, ledger, SNAPSHOTS, lambda: TOPIC_ID, lambda: next(said))
    assert shards.start([0]) == {0: LAST[0] + 1}


def nothing_but(log: Any) -> Any:
    from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings

    return JobSettings(KafkaSettings(), ClickHouseSettings(), log, "")


def test_a_store_that_was_restored_under_the_notary_is_seen_before_the_next_insert(ledger: MemoryLedger) -> None:
    """An insert fails while it is away; what is there after it has to reach up to what is inserted."""
    nothing: Any = None
    job = NotaryJob(nothing_but(HISTORY.log), ledger, nothing, lambda: TOPIC_ID, nothing, SNAPSHOTS)
    lose(ledger, 0, LAST[0])
    shards = shards_on(ledger)
    [batch] = feed(shards, MemoryLedger(Faults()), {0: shards.start([0])[0]})
    lose(ledger, 0, LAST[0] - 1, LAST[0])
    before, fails = dict(ledger.stored), iter([OSError("away")])
    insert = ledger.insert

    def away(rows: Rows) -> None:
        if (error := next(fails, None)) is not None:
            raise error
        insert(rows)

    ledger.insert = away  # type: ignore[method-assign]
    with pytest.raises(StoreWentBack, match=f"shard 0: the ledger ends at index {LAST[0] - 2} and held {LAST[0] - 1}"):
        asyncio.run(job._insert([batch]))
    assert ledger.stored == before

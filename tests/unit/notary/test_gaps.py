"""A shard whose ledger lost rows is filled from Kafka; one that cannot go on stands still, and the others do not."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.history import make_history
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger, MemoryTopic

from tallystick_stream_jobs.errors import StoreWentBack
from tallystick_stream_jobs.notary.core import Batch
from tallystick_stream_jobs.notary.events_topic import Bounds
from tallystick_stream_jobs.notary.job import NotaryJob
from tallystick_stream_jobs.notary.ledger import Rows, StoredEntry
from tallystick_stream_jobs.notary.shards import Shards

HISTORY = make_history()
LAST = {shard: len(HISTORY.records[shard]) - 1 for shard in (0, 1)}


def whole() -> MemoryTopic:
    """Kafka, with all that the history is made of."""
    return MemoryTopic(HISTORY.records)


def shards_on(ledger: MemoryLedger, topic: MemoryTopic | None = None) -> Shards:
    return Shards(HISTORY.log, ledger, SNAPSHOTS, whole() if topic is None else topic)


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
    job = NotaryJob(nothing_but(HISTORY.log), ledger, nothing, whole(), nothing, SNAPSHOTS)
    lose(ledger, 0, 3, 4)
    assert job.start([0, 1])[0] == 3
    job.gone(0, 3, 9)
    assert set(job._shards.running) == {1}
    assert "shard 0: offsets 3 to 8 are gone from Kafka" in caplog.text


def test_a_gap_of_a_topic_that_was_made_anew_is_named(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    lose(ledger, 0, 3)
    assert shards_on(ledger, MemoryTopic(HISTORY.records, "another")).start([0, 1]) == {1: 0}
    assert "shard 0, index 3: entries are missing here" in caplog.text


def test_a_kafka_of_before_stops_the_shards_that_it_lacks(
    ledger: MemoryLedger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.notary.shards.PATIENCE_S", 0.0)
    topic = whole()
    del topic.records[0][-1]
    assert shards_on(ledger, topic).start([0, 1]) == {1: LAST[1] + 1}
    assert f"partition 0 of topic events ends at offset {LAST[0]}" in caplog.text


def test_a_broker_that_says_less_for_a_moment_stops_nothing(ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.notary.continuity._ENDS_WAIT_S", 0.0)
    said, topic = iter([1, 2, LAST[0] + 1]), whole()
    topic.bounds = lambda: {0: Bounds(0, next(said))}  # type: ignore[method-assign]
    assert shards_on(ledger, topic).start([0]) == {0: LAST[0] + 1}


def older(shard: int, since: int) -> MemoryTopic:
    """Kafka as a copy had it, without the newest records, and what was written to it since."""
    topic = whole()
    raw, append_ms = topic.records[shard][-1]
    del topic.records[shard][-since:]
    topic.records[shard] += [(raw, append_ms + 1_000 + n) for n in range(since + 2)]
    return topic


@pytest.mark.parametrize("since", [1, 2, 7])
def test_a_kafka_of_before_that_was_written_to_since_is_told_from_the_one_that_the_ledger_knows(
    ledger: MemoryLedger, caplog: pytest.LogCaptureFixture, since: int
) -> None:
    """It is as long as the ledger knew it, or longer, and other records stand there: the very same one too, taken at another time."""
    assert shards_on(ledger, older(0, since)).start([0, 1]) == {1: LAST[1] + 1}
    assert f"offset {LAST[0]} of topic events holds another record than the one that entry {LAST[0]} was made of" in caplog.text


def test_another_record_of_the_same_time_is_told_apart(ledger: MemoryLedger) -> None:
    topic = whole()
    topic.records[0][-1] = (topic.records[0][-2][0], topic.records[0][-1][1])
    assert shards_on(ledger, topic).start([0, 1]) == {1: LAST[1] + 1}


def test_what_kafka_no_longer_holds_is_said_to_be_compared_with_nothing(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    topic = whole()
    topic.first[0] = LAST[0] + 1
    assert shards_on(ledger, topic).start([0, 1]) == {0: LAST[0] + 1, 1: LAST[1] + 1}
    assert f"shard 0: Kafka holds it from offset {LAST[0] + 1} on, so what the ledger has last cannot be compared" in caplog.text


def test_a_ledger_without_entries_has_nothing_to_compare() -> None:
    empty = MemoryLedger(Faults())
    assert shards_on(empty).start([0, 1]) == {0: 0, 1: 0}


def nothing_but(log: Any) -> Any:
    from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings

    return JobSettings(KafkaSettings(), ClickHouseSettings(), log, "")


def test_a_store_that_was_restored_under_the_notary_is_seen_before_the_next_insert(ledger: MemoryLedger) -> None:
    """An insert fails while it is away; what is there after it has to reach up to what is inserted."""
    nothing: Any = None
    job = NotaryJob(nothing_but(HISTORY.log), ledger, nothing, whole(), nothing, SNAPSHOTS)
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

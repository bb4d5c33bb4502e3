"""Who stole an operator's key puts rules in force that no version has: that shard alone stops, and the way out that docs/operator.md names leads on."""

import asyncio
from dataclasses import replace

import pytest
from tests.support.history import HistoryBuilder
from tests.support.rotating import KEY, by, rotating, said
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger, MemoryTopic

from tallystick_schemas.directives import LEVEL
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.notary.ledger import Rows
from tallystick_stream_jobs.notary.shards import Shards

STOLEN = said("operator", "rules", "", {"level": LEVEL + 96}, 2**62)


@pytest.fixture
def before() -> HistoryBuilder:
    builder = rotating(2)
    agents = [builder.enrol(f"agent-{shard}", shard) for shard in (0, 1)]
    for agent in agents:
        builder.segment(agent, 2)
    return builder


def run(builder: HistoryBuilder, ledger: MemoryLedger, topic: MemoryTopic) -> Shards:
    """A notary starts, and folds all that Kafka has."""
    shards = Shards(builder.history.log, ledger, SNAPSHOTS, topic)
    for shard, first in shards.start([0, 1]).items():
        records = [(offset, at, raw) for offset, (raw, at) in enumerate(topic.records[shard])][first:]
        if (batch := asyncio.run(shards.fold(shard, records))) is not None:
            ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))
    return shards


def verdicts(ledger: MemoryLedger, shard: int) -> list[Verdict]:
    return [parse_entry(row.entry).verdict for row in ledger.entries(shard, 0)]


def with_rules(builder: HistoryBuilder, shard: int = 0) -> MemoryTopic:
    topic = MemoryTopic(builder.history.records)
    topic.records[shard] += [(STOLEN, topic.records[shard][-1][1] + 1), (said("operator", "weather", ""), topic.records[shard][-1][1] + 2)]
    return topic


def test_rules_that_no_version_has_stop_their_shard_alone_and_what_came_before_is_kept(
    before: HistoryBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    ledger, topic = MemoryLedger(Faults()), with_rules(before)
    shards = run(before, ledger, topic)
    assert set(shards.running) == {1}
    assert [len(verdicts(ledger, shard)) for shard in (0, 1)] == [len(before.history.records[shard]) for shard in (0, 1)]
    assert f"shard 0 stands still, the others go on: shard 0: the operator put the rules of level {LEVEL + 96} in force" in caplog.text
    again = run(before, ledger, topic)
    assert set(again.running) == {1}, "no start leads beyond it, and none ends the process"


def test_the_way_out_is_a_topic_that_is_made_anew_and_the_end_of_the_stolen_key(before: HistoryBuilder) -> None:
    """The next operator's key, pinned after the stolen one, announces the topic and ends that key; what the thief sends from then on is refused."""
    ledger, topic = MemoryLedger(Faults()), with_rules(before)
    run(before, ledger, topic)
    anew = by(replace_records(before), operator="operator-2")
    for shard in (0, 1):
        anew.generation(shard, 1, len(verdicts(ledger, shard)) - 1)
        anew.record(shard, said("operator-2", "retire", KEY["operator"]))
        anew.record(shard, STOLEN)
        anew.seal_record(shard, 0)
    shards = run(before, ledger, MemoryTopic(anew.history.records, "topic-1"))
    assert set(shards.running) == {0, 1}
    assert [verdicts(ledger, shard)[-4:] for shard in (0, 1)] == [
        [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.REVOKED_KEY, Verdict.ACCEPTED]
    ] * 2


def replace_records(builder: HistoryBuilder) -> HistoryBuilder:
    """The same history, and a Kafka without records."""
    builder.history = replace(builder.history, records={shard: [] for shard in builder.history.records})
    return builder


def test_a_shard_with_such_rules_is_looked_at_until_the_topic_is_made_anew(before: HistoryBuilder) -> None:
    ledger, topic = MemoryLedger(Faults()), with_rules(before)
    shards = run(before, ledger, topic)
    assert shards.standing.look(2**40) == []
    topic.name = "topic-1"
    assert shards.standing.look(2**41) == [0]

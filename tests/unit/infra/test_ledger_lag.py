"""Which shard stands still: it has waited long, something waits for it, and it did not move between two looks."""

from typing import Any

import pytest
from tests.support.world import MemoryTopic
from tests.unit.notary.test_gaps import HISTORY, LAST, older, whole

from tallystick_infra.ledger_lag import STILL_S, ShardLag, _lag, trouble
from tallystick_schemas.entries import Entry
from tallystick_schemas.records import parse_frame
from tallystick_schemas.verdicts import Verdict

LONG = STILL_S + 1


def forgotten() -> MemoryTopic:
    """Kafka, when all that the ledger has is over its retention."""
    topic = whole()
    topic.first[0] = LAST[0] + 1
    return topic


def test_a_shard_that_did_not_move_is_told() -> None:
    still = {0: ShardLag(3, 9, LONG), 1: ShardLag(0, 5, LONG)}
    assert trouble(still, still) == [f"shard 0 stands still for {LONG:.0f} s, 3 records wait in Kafka"]


def test_a_shard_that_moves_or_has_only_begun_to_wait_is_not() -> None:
    for before, now in (
        (ShardLag(3, 9, LONG), ShardLag(3, 10, LONG)),
        (ShardLag(0, 9, LONG), ShardLag(3, 9, LONG)),
        (ShardLag(3, 9, 1.0), ShardLag(3, 9, 4.0)),
        (ShardLag(0, 9, LONG), ShardLag(0, 9, LONG)),
    ):
        assert trouble({0: before}, {0: now}) == []


def test_a_kafka_that_holds_another_record_is_told() -> None:
    [said] = trouble({2: ShardLag(4, 9, 0.0, same=False)}, {2: ShardLag(4, 9, 0.0, same=False)})
    assert "shard 2: Kafka has another record at offset 9 than the ledger" in said


@pytest.mark.parametrize(
    ("kafka", "said"),
    [
        (whole(), ShardLag(0, LAST[0], 1.0)),
        (older(0, 1), ShardLag(2, LAST[0], 1.0, same=False)),
        (forgotten(), ShardLag(0, LAST[0], 1.0)),
    ],
    ids=["as the ledger knows it", "written to since an older copy", "no longer held"],
)
def test_the_record_at_the_ledgers_end_is_looked_at(kafka: Any, said: ShardLag) -> None:
    raw, append_ms = HISTORY.records[0][-1]
    frame = parse_frame(raw)
    newest = Entry(frame.kind, 0, 0, LAST[0], append_ms, Verdict.ACCEPTED, frame.header, frame.sig, b"")
    assert _lag(kafka, 0, kafka.bounds()[0], newest, append_ms / 1000 + 1) == said


def test_a_ledger_without_entries_waits_for_all_that_kafka_has() -> None:
    kafka: Any = whole()
    assert _lag(kafka, 0, kafka.bounds()[0], None, 9.0) == ShardLag(LAST[0] + 1, -1, 0.0)


def test_a_kafka_that_holds_less_is_told() -> None:
    [said] = trouble({2: ShardLag(-4, 9, 0.0)}, {2: ShardLag(-4, 9, 0.0)})
    assert "shard 2: Kafka ends 4 records below the ledger" in said

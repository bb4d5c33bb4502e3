"""Kept garbage: bounded a minute and a day of the shard, the same rows however the partition was read, and signed records have room of their own."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger

from tallystick_schemas.fold import Parameters
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.notary import keeping
from tallystick_stream_jobs.notary.core import ShardNotary
from tallystick_stream_jobs.notary.keeping import MINUTE_MS, PER_DAY, PER_MINUTE, Keeping
from tallystick_stream_jobs.notary.ledger import Rows
from tallystick_stream_jobs.notary.restore import restore

DAY_MS = 1440 * MINUTE_MS
PARAMETERS = Parameters.of(0, "test/shard/0", (), ())
Garbage = list[tuple[int, int]]
"""(append time in ms, bytes)"""


def kept_of(mine: Keeping, garbage: Garbage, verdict: Verdict = Verdict.MALFORMED) -> int:
    return sum(size for at, size in garbage if mine.keeps(at, size, verdict))


def test_a_minute_and_a_day_have_a_bound_whatever_comes() -> None:
    mine, size = Keeping(), 200_000
    minute = [(n, size) for n in range(1000)]
    assert PER_MINUTE - size < kept_of(mine, minute) <= PER_MINUTE
    assert mine.take_left_out() == (990, 990 * size)
    assert mine.take_left_out() == (0, 0)
    day = [(n * MINUTE_MS, size) for n in range(1, 1440) for _ in range(20)]
    assert PER_DAY - PER_MINUTE - size < kept_of(mine, day) <= PER_DAY
    assert kept_of(mine, [(DAY_MS, size)]) == size, "the next day has room again"


def test_garbage_pushes_out_nothing_that_was_signed() -> None:
    mine = Keeping()
    kept_of(mine, [(0, 200_000)] * 1000)
    assert mine.keeps(0, 200_000, Verdict.BODY_MISMATCH)
    assert mine.keeps(0, 200_000, Verdict.FORK)
    assert not mine.keeps(0, 10, Verdict.SEEN)
    assert mine.take_left_out()[0] == 990


def test_memory_has_a_bound() -> None:
    mine = Keeping()
    for minute in range(20 * 1440):
        mine.keeps(minute * MINUTE_MS, 1, Verdict.MALFORMED)
    assert len(mine._minutes) <= 2 * keeping.REMEMBERED
    assert len(mine._days) <= 10


def notary_on(ledger: MemoryLedger) -> ShardNotary:
    fold = restore(ledger, PARAMETERS, SNAPSHOTS.open)
    return ShardNotary(fold, ledger.accepted_header, SNAPSHOTS.sign, ledger.kept(0, fold.state.index))


def read(garbage: Garbage, cuts: Sequence[int]) -> MemoryLedger:
    """The partition in pieces, with a new process for each."""
    ledger = MemoryLedger(Faults())
    records = [(offset, at, bytes([offset % 251]) * size) for offset, (at, size) in enumerate(garbage)]
    places = [0, *sorted(cuts), len(records)]
    for first, end in itertools.pairwise(places):
        batch = notary_on(ledger).process(records[first:end])
        ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))
    return ledger


@pytest.fixture(autouse=True)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "cutting" in request.node.name:
        monkeypatch.setattr(keeping, "PER_MINUTE", 300)
        monkeypatch.setattr(keeping, "PER_DAY", 1000)


MINUTES = st.integers(0, 3).map(lambda n: n * MINUTE_MS) | st.integers(0, 2).map(lambda n: n * DAY_MS + 1)


@given(garbage=st.lists(st.tuples(MINUTES, st.integers(1, 200)), max_size=40), data=st.data())
def test_any_cutting_and_any_restart_keep_the_same_rows(garbage: Garbage, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(garbage))))
    once = read(garbage, [])
    assert read(garbage, sorted(cuts)).refused == once.refused
    assert len(once.stored) == len(garbage), "every record has its entry"
    assert sum(len(raw) for _, _, raw in once.refused) <= 3 * 1000

"""What belongs into the history and is not there: gaps, lost generations, jumped epochs and offsets, stale checkpoints."""

from collections.abc import Callable

import pytest
from tests.support.history import HistoryBuilder, public_bytes
from tests.support.history_source import MemorySource

from tallystick_audit.verify import Aspect, Failure, Outcome, Report
from tallystick_audit.verify.history import FRESH_S, verify_source
from tallystick_schemas.headers import Generation
from tallystick_schemas.keys import key_id
from tallystick_schemas.signing import sign_record, wire_time


def judged(builder: HistoryBuilder, later: float = 0.0) -> Report:
    history = builder.history
    return verify_source(MemorySource(history), history.log, history.now + later)


def only(report: Report) -> Failure:
    [failure] = report.failures
    return failure


def gap(builder: HistoryBuilder) -> None:
    agent = builder.enrol("gw", 0)
    builder.segment(agent, 2)
    agent.sign(builder.events(2), builder.tick())
    agent.sign(builder.events(2), builder.tick())
    builder.segment(agent, 2)


def test_open_gap_is_named() -> None:
    builder = HistoryBuilder(1)
    gap(builder)
    builder.tick(100)
    builder.seal()
    report = judged(builder)
    assert (report.integrity, report.completeness, report.exit_code) == ("pass", "fail", 1)
    assert "segments 1-2 are missing" in only(report).reason
    assert (only(report).step, only(report).shard, only(report).index) == (5, 0, 3)


def test_gap_that_may_still_be_filled_is_unknown() -> None:
    builder = HistoryBuilder(1)
    gap(builder)
    builder.seal()
    report = judged(builder)
    assert (report.completeness, report.exit_code) == ("unknown", 2)


def test_filled_gap_is_none() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    signed = [agent.sign(builder.events(2), builder.tick()) for _ in range(5)]
    for number in (0, 4, 2, 1, 3):
        builder.record(0, signed[number].record)
    builder.tick(100)
    builder.seal()
    assert judged(builder).exit_code == 0


def test_a_gap_is_no_loss_where_entries_that_may_fill_it_were_not_judged() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    signed = [agent.sign(builder.events(2), builder.tick()) for _ in range(4)]
    for number in (0, 3):
        builder.record(0, signed[number].record)
    lost = builder.record(0, b"no record").index
    for number in (1, 2):
        builder.record(0, signed[number].record)
    builder.tick(100)
    builder.seal()
    history = builder.history
    history.entries = [row for row in history.entries if row[1] != lost]
    history.rejected.clear()
    report = judged(builder)
    assert (report.integrity, report.completeness) == ("fail", "unknown")


def test_gap_of_an_old_run_is_not_forgotten() -> None:
    """The fold keeps 16 runs; a verifier keeps them all."""
    builder = HistoryBuilder(1)
    gap(builder)
    for number in range(2, 20):
        builder.segment(builder.enrol("gw", 0, run_number=number), 1)
    builder.tick(100)
    builder.seal()
    assert judged(builder).completeness == "fail"


def epoch(builder: HistoryBuilder) -> None:
    builder.epochs[0] += 3


def offsets(builder: HistoryBuilder) -> None:
    builder.offsets[0] += 2


def generation(builder: HistoryBuilder) -> None:
    builder.generation(0, 1, 40)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [(epoch, "epochs 1 to 3 are missing"), (offsets, "offsets 4 to 5"), (generation, "ended at 40; the history has only 4 entries")],
)
def test_loss_is_named(loss: Callable[[HistoryBuilder], None], reason: str) -> None:
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 2)
    builder.seal()
    loss(builder)
    builder.seal()
    report = judged(builder)
    assert (report.integrity, report.completeness) == ("pass", "fail")
    assert reason in only(report).reason
    assert (only(report).step, only(report).shard, only(report).index) == (4, 0, 4)


def test_announced_generation_is_no_loss() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    builder.segment(agent, 2)
    builder.generation(0, 1, 2)
    builder.segment(agent, 2)
    builder.seal()
    assert judged(builder).exit_code == 0


def without_an_early_entry(epochs: int) -> Report:
    """The second seal's entry is missing; behind it lie two seals more, the last one `epochs` further on than the one before."""
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    for number in range(4):
        builder.segment(agent, 2)
        builder.epochs[0] += epochs - 1 if number == 3 else 0
        builder.seal()
    history = builder.history
    history.entries = [row for row in history.entries if row[1] != 5]
    return judged(builder)


def test_seals_are_compared_with_those_before_them_unless_entries_between_are_missing() -> None:
    """The seal that is missing is no epoch that was jumped over; nor are the entries around it counted."""
    report = without_an_early_entry(1)
    assert (report.integrity, report.completeness) == ("fail", "unknown")
    assert [failure.step for failure in report.failures] == [3]
    report = without_an_early_entry(3)
    assert (report.integrity, report.completeness) == ("fail", "fail")
    assert [(failure.step, failure.index) for failure in report.failures] == [(3, 5), (4, 9)]


def announced_late(lost: int) -> Report:
    """Two records lie in the partition before the topic is announced, and `lost` more did."""
    builder = HistoryBuilder(1, generations=False)
    for _ in range(2):
        builder.record(0, b"no record")
    builder.offsets[0] += lost
    operator = builder.operator
    header = Generation(1, key_id(public_bytes(operator)), wire_time(builder.tick()), 0, "topic-0", 0, -1)
    builder.record(0, sign_record(header, operator))
    builder.seal()
    return judged(builder)


def test_what_came_before_the_first_announcement_is_of_its_generation() -> None:
    assert announced_late(0).exit_code == 0


def test_what_was_lost_before_the_first_announcement_is_named() -> None:
    report = announced_late(3)
    assert (report.integrity, report.completeness) == ("pass", "fail")
    assert "offsets 2 to 4 of generation 0 have no entry" in only(report).reason


def test_entries_above_the_newest_seal_are_not_judged() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    builder.segment(agent, 2)
    builder.seal()
    builder.segment(agent, 3)
    builder.history.events.pop()
    report = judged(builder)
    assert (report.exit_code, report.entries, report.events) == (0, 4, 2)


def test_old_checkpoint_is_stale() -> None:
    builder = HistoryBuilder(2)
    builder.seal()
    limit = FRESH_S + 10 * builder.history.log.seal_interval_s
    assert judged(builder, limit - 1).exit_code == 0
    report = judged(builder, limit + 1)
    assert (report.freshness, report.integrity) == ("fail", "pass")
    assert {(failure.step, failure.verdict) for failure in report.failures} == {(9, Aspect.FRESHNESS)}


def test_one_shard_that_is_no_longer_sealed_is_stale() -> None:
    builder = HistoryBuilder(2)
    builder.seal()
    builder.tick(100)
    builder.seal([0])
    report = judged(builder)
    assert (only(report).step, only(report).shard) == (9, 1)


def test_history_without_checkpoints_is_unknown() -> None:
    builder = HistoryBuilder(1)
    builder.history.root_leaves.clear()
    report = judged(builder)
    assert (report.integrity, report.completeness, report.freshness, report.exit_code) == (
        Outcome.UNKNOWN,
        Outcome.UNKNOWN,
        Outcome.UNKNOWN,
        2,
    )


@pytest.mark.parametrize(("ahead", "outcome"), [(50.0, "pass"), (70.0, "fail"), (86_400.0, "fail")])
def test_a_seal_from_the_future_is_not_fresh(ahead: float, outcome: str) -> None:
    """Clocks may differ by a minute. A sealer whose clock is ahead would be fresh for as long after it has stopped."""
    builder = HistoryBuilder(1)
    builder.seal()
    report = judged(builder, -ahead)
    assert (report.integrity, report.freshness) == ("pass", outcome)
    if outcome == "fail":
        assert (only(report).step, only(report).shard) == (9, 0)
        assert f"{ahead:.0f} s ahead of this clock" in only(report).reason

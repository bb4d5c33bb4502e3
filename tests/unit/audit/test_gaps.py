"""A segment that fills a gap joins what was signed around it: refused by the fold from level 3 on, told by the auditor at every level."""

import pytest
from tests.support.history import Agent, HistoryBuilder
from tests.support.history_source import MemorySource

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.segments import SegmentSigner, SignedSegment
from tallystick_schemas.verdicts import Verdict

levels = pytest.mark.parametrize("level", [1, 2, 3])


def started(level: int) -> tuple[HistoryBuilder, Agent]:
    builder = HistoryBuilder(1)
    if level > 1:
        builder.directive(0, "rules", "", {"level": level})
    return builder, builder.enrol("gw", 0)


def twin(agent: Agent, builder: HistoryBuilder, upto: int) -> SignedSegment:
    """Another segment under number `upto`, by who has a copy of the key and of the run from its beginning on."""
    other = SegmentSigner(agent.name, agent.key, agent.signer.run)
    made = [other.sign(builder.events(2), "2026-11-23T04:00:00.000000Z") for _ in range(upto + 1)]
    return made[upto]


def judged(builder: HistoryBuilder) -> Report:
    builder.tick(100)
    builder.seal()
    history = builder.history
    return verify_source(MemorySource(history), history.log, history.now)


@levels
def test_another_past_in_a_gap_is_a_named_fork(level: int) -> None:
    builder, agent = started(level)
    signed = [agent.sign(builder.events(2), builder.tick()) for _ in range(3)]
    for number in (0, 2):
        builder.record(0, signed[number].record)
    step = builder.record(0, twin(agent, builder, 1).record)
    assert step.entry.verdict == (Verdict.FORK if level == 3 else Verdict.OUT_OF_ORDER)
    report = judged(builder)
    assert [(fork.shard, fork.index) for fork in report.forks] == [(0, step.index)]
    assert "does not join what was signed around it" in report.forks[0].reason
    assert report.integrity == "pass"
    assert report.completeness == ("fail" if level == 3 else "pass"), "what was refused fills nothing"


@levels
def test_a_gap_that_its_own_segments_fill_in_any_order_is_no_fork(level: int) -> None:
    builder, agent = started(level)
    signed = [agent.sign(builder.events(2), builder.tick()) for _ in range(9)]
    for number in (4, 8, 6, 1, 0, 7, 2, 5, 3):
        assert builder.record(0, signed[number].record).entry.verdict == Verdict.OUT_OF_ORDER
    report = judged(builder)
    assert (report.forks, report.failures, report.exit_code) == ((), (), 0)

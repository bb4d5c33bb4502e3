"""Steps 5 and 6 about the rules of level 3: they hold from the operator's record on, and what a notary lets through after it is found."""

import pytest
from tests.support.history import Agent, HistoryBuilder, make_event
from tests.support.history_source import MemorySource

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.bodies import Body
from tallystick_schemas.records import Record, split_items
from tallystick_schemas.verdicts import Verdict

LARGE = make_event(7)[:-1] + b',"later":1e999}'
NO_DAY = make_event(8, time="2026-02-31T04:00:00.000000Z")
odd = pytest.mark.parametrize("event", [LARGE, NO_DAY], ids=["number", "day"])


def rules(builder: HistoryBuilder, level: int, n: int = 0) -> int:
    return builder.directive(0, "rules", "", {"level": level}, n).index


def told(builder: HistoryBuilder, agent: Agent, event: bytes) -> Verdict:
    return builder.record(agent.shard, agent.sign([make_event(6), event], builder.tick()).record).entry.verdict


def judged(builder: HistoryBuilder) -> Report:
    builder.tick(100)
    builder.seal()
    history = builder.history
    return verify_source(MemorySource(history), history.log, history.now)


@odd
def test_an_event_is_judged_by_the_rules_before_the_operators_record_and_by_the_new_ones_after_it(event: bytes) -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    assert told(builder, agent, event) == Verdict.ACCEPTED
    rules(builder, 2)
    assert told(builder, agent, event) == Verdict.ACCEPTED
    rules(builder, 3, 1)
    assert told(builder, builder.enrol("late", 0), event) == Verdict.MALFORMED_EVENT
    assert rules(builder, 2, 2) > 0
    assert told(builder, builder.enrol("later", 0), event) == Verdict.MALFORMED_EVENT, "there is no way back"
    report = judged(builder)
    assert (report.failures, report.exit_code, report.rules[0].level) == ((), 0, 3)


def accept_all(record: Record) -> Body:
    return Body(split_items(record.body), [], [])


@odd
def test_a_notary_that_accepts_after_the_record_what_the_rules_refuse(event: bytes) -> None:
    builder = HistoryBuilder(1)
    early, late = builder.enrol("early", 0), builder.enrol("late", 0)
    told(builder, early, event)
    rules(builder, 3)
    at = builder.record(0, late.sign([make_event(6), event], builder.tick()).record, accept_all).index
    report = judged(builder)
    [failure] = report.failures
    assert (failure.step, failure.index, report.integrity) == (6, at, "fail")
    assert "its event 1 breaks the format" in failure.reason


@pytest.mark.parametrize(("level", "verdict"), [(2, Verdict.BAD_SIGNATURE), (3, Verdict.MALFORMED)])
def test_a_header_has_the_same_bounds(level: int, verdict: Verdict) -> None:
    """The entry's columns are made of it. At level 2 it is well-formed, and the signature is looked at."""
    builder = HistoryBuilder(1)
    rules(builder, level)
    agent = builder.enrol("gw", 0)
    signed = agent.sign(builder.events(1), builder.tick()).record
    header = signed[9 : signed.index(b"}") + 1]
    for found, given in ((b'{"v":1', b'{"x":1e999,"v":1'), (b'"time":"2026-11-', b'"time":"2026-02-31T00:00:00.000000Z","was":"')):
        assert found in header
        changed = signed[:5] + (len(header) + len(given) - len(found)).to_bytes(4, "big") + signed[9:].replace(found, given, 1)
        assert builder.record(0, changed).entry.verdict == verdict
    assert judged(builder).failures == ()

"""Verdicts, exit codes and the JSON contract."""

import pytest
from tests.support.history import make_history
from tests.support.history_source import MemorySource

from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.report import MAX_KEPT, Aspect, Failure, Findings, Outcome


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [((), "pass"), ((Outcome.UNKNOWN,), "unknown"), ((Outcome.UNKNOWN, Outcome.FAIL), "fail")],
)
def test_worst_counts(outcomes: tuple[Outcome, ...], worst: str) -> None:
    findings = Findings()
    for outcome in outcomes:
        findings.incomplete(4, 0, 1, "reason", outcome)
    assert findings.outcome(Aspect.COMPLETENESS) == worst
    assert findings.outcome(Aspect.INTEGRITY) == "pass"


def test_all_are_counted_and_some_kept() -> None:
    findings, other = Findings(), Findings()
    for number in range(MAX_KEPT + 5):
        findings.fail(6, 0, number, "reason")
        other.fail(6, 1, number, "reason")
    findings.merge([other])
    assert len(findings.kept) == MAX_KEPT
    assert sum(findings.counts.values()) == 2 * (MAX_KEPT + 5)


def test_an_unknown_is_not_lost_behind_failures() -> None:
    findings, other = Findings(), Findings()
    for number in range(MAX_KEPT):
        findings.incomplete(4, 0, number, "reason", Outcome.UNKNOWN)
    other.add(Failure(6, 0, 0, "reason"))
    findings.merge([other])
    assert findings.outcome(Aspect.INTEGRITY) == "fail"


def test_json_keys() -> None:
    history = make_history()
    del history.entries[5]
    whole = verify_source(MemorySource(history), history.log, history.now).to_json()
    assert {"integrity", "completeness", "freshness", "entries", "events", "failures"} <= whole.keys()
    assert whole["integrity"] == "fail"
    assert {"step", "shard", "index", "reason"} <= whole["failures"][0].keys()

"""What `tallystick audit verify` shows: failures that say the same are one line."""

from dataclasses import replace

import pytest
from tests.support.history import make_history
from tests.support.history_source import MemorySource

from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.report import MAX_KEPT, Aspect, Failure, Findings, Fork, Outcome, Report
from tallystick_infra.cli.audit_view import fold, show_report


def report(failures: list[Failure], count: int | None = None) -> Report:
    fail = Outcome.FAIL
    return Report(fail, Outcome.PASS, Outcome.PASS, 1, 0, tuple(failures), count or len(failures), (), 0, 0, 1, 1, 0.1)


def shown(capsys: pytest.CaptureFixture[str], one: Report) -> list[str]:
    show_report(one)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_same_failure_of_many_places_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    many = [Failure(6, 0, n, f"the row at position 2 has leaf {n:064x}, its entry promises {n * n:064x}") for n in range(4, 317)]
    lines = shown(
        capsys,
        report([*many, Failure(6, 1, 7, "the row at position 0 is no event"), Failure(6, 0, 9, "the row at position 0 is no event")]),
    )
    assert lines[-4:] == [
        f"6 0 4 {many[0].reason}",
        "… and 312 more alike, shard 0, index 5 to 316",
        "6 1 7 the row at position 0 is no event",
        "6 0 9 the row at position 0 is no event",
    ]


def test_what_differs_in_more_than_numbers_stays_apart() -> None:
    one = Failure(4, 0, 1, "reason")
    others = [
        Failure(5, 0, 1, "reason"),
        Failure(4, 1, 1, "reason"),
        Failure(4, 0, 1, "reasons"),
        Failure(4, 0, 1, "reason", Aspect.COMPLETENESS),
    ]
    assert len(fold([one, *others])) == 5
    assert fold([one, Failure(4, 0, 3, "reason")]) == [(one, [Failure(4, 0, 3, "reason")])]


def test_one_more_and_those_without_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, report([Failure(2, None, None, "the note is old")] * 2 + [Failure(6, 0, 1, "x 1"), Failure(6, 0, 5, "x 2")]))
    assert lines[-4:] == [
        "2 – – the note is old",
        "… and 1 more alike, without a place",
        "6 0 1 x 1",
        "… and 1 more alike, shard 0, index 5",
    ]


def test_what_was_not_kept_in_words_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    findings = Findings()
    for n in range(MAX_KEPT + 5):
        findings.fail(6, 0, n, "reason")
    lines = shown(capsys, report(findings.kept, MAX_KEPT + 5))
    assert lines[-1] == "and 5 failures more; --json has the first 1,000 in words"


def test_a_history_whose_events_are_gone_fits_on_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    history = make_history()
    history.events.clear()
    assert len(shown(capsys, verify_source(MemorySource(history), history.log, history.now))) < 24


def test_what_no_verdict_speaks_of_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    forks = tuple(Fork(1, n, f"gw run 0f: segment {n} came again") for n in range(60))
    lines = shown(capsys, replace(report([]), forks=forks, unproven_rejections=2, erased=3, notes=("not looked at: row policies",)))
    assert "1 49 gw run 0f: segment 49 came again" in lines
    assert lines[-4:] == [
        "60 forks: one key signed two segments under one number; the first 50 are shown, --json has all",
        "2 rejections for a body whose bytes were not kept: each stands as recorded, and events may have been kept out",
        "3 events without bytes",
        "not looked at: row policies",
    ]

"""Rows above the newest seal: what is on its way may arrive, what does not is named."""

from typing import Any

import pytest

from tallystick_audit.verify import beyond
from tallystick_audit.verify.beyond import check_beyond
from tallystick_audit.verify.report import Aspect, Findings, Outcome
from tallystick_audit.verify.source import Beyond


class Source:
    """Answers one look after the other; the last one for ever."""

    def __init__(self, *looks: Beyond) -> None:
        self.looks = list(looks)

    def beyond(self, _shard: int, _first: int) -> Beyond:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def found(source: Any, settle_s: float = 60.0) -> Findings:
    findings = Findings()
    check_beyond(source, {0: 18}, findings, settle_s)
    return findings


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beyond, "_AGAIN_S", 0.0)


def test_an_insert_that_ends_meanwhile_is_well_although_the_next_one_is_half_done() -> None:
    assert found(Source(Beyond((19, 18), None), Beyond((21, 20, 19), None), Beyond((22,), None))).kept == []


def test_a_gap_that_fills_is_none() -> None:
    assert found(Source(Beyond((), 25), Beyond((), None))).kept == []


def test_what_does_not_arrive_is_unknown() -> None:
    [failure] = found(Source(Beyond((999, 18), None), Beyond((999, 20), None)), 0.05).kept
    assert (failure.step, failure.shard, failure.index) == (6, 0, 999)
    assert (failure.verdict, failure.outcome) == (Aspect.INTEGRITY, Outcome.UNKNOWN)


def test_many_are_few_lines() -> None:
    kept = found(Source(Beyond(tuple(range(40, 20, -1)), None)), 0.0).kept
    assert [failure.index for failure in kept] == [21, 22, 23, 24, 25]
    assert "15 more like it" in kept[0].reason


def test_an_entry_behind_a_gap_fails() -> None:
    [failure] = found(Source(Beyond((), 999)), 0.0).kept
    assert (failure.step, failure.index, failure.outcome) == (3, 999, Outcome.FAIL)

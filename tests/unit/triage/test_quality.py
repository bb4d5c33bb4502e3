"""Precision with its interval, and when a detector falls."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.vocabulary import DISPOSITIONS
from tallystick_stream_jobs.policy import Bar, DetectionPolicy, DetectorPolicy
from tallystick_stream_jobs.policy.demotions import Standing
from tallystick_stream_jobs.triage.quality import RIGHT, WRONG, Verdict, fallen, wilson

POLICY = DetectionPolicy(bar_default=Bar(0.5, 4))


def verdicts(text: str, detector: str = "D01", version: int = 1, start: float = 0.0) -> list[Verdict]:
    words = {
        "+": "true-positive-malicious",
        "-": "false-positive",
        "o": "other",
        "t": "testing-or-maintenance",
        "b": "true-positive-benign",
    }
    return [Verdict(f"{detector}-{version}-{start + n:g}", detector, version, words[c], start + n) for n, c in enumerate(text)]


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval(right: int, of: int, low: float, high: float) -> None:
    """81 of 263: the example of Newcombe 1998, table I, method 3; the others by its formula in closed form."""
    assert wilson(right, of) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_interval_holds_the_share_and_mirrors(of: int, right: int) -> None:
    right = min(right, of)
    low, high = wilson(right, of)
    assert 0 <= low <= right / of + 1e-12
    assert right / of - 1e-12 <= high <= 1
    assert wilson(of - right, of) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("said", "falls"),
    [("---", False), ("----", True), ("+---", True), ("++--", False), ("---oott", False), ("bb--", False), ("b---", True)],
)
def test_a_detector_falls_below_its_bar_with_enough_verdicts(said: str, falls: bool) -> None:
    found = fallen(verdicts(said), POLICY, {})
    assert [one.detector for one in found] == ["D01"] * falls


def test_it_says_how_wrong_it_was() -> None:
    (one,) = fallen(verdicts("+---"), POLICY, {})
    assert one.why == "D01 version 1 was right in 1 of 4 verdicts: precision 0.25 (95 %: 0.05 to 0.70), its bar is 0.5"
    assert (one.newest, one.bar) == ("D01-1-3", 0.5)


def test_only_what_acts_can_fall() -> None:
    said = verdicts("----")
    assert fallen(said, replace(POLICY, default_mode="recommend"), {}) == []
    assert fallen(said, replace(POLICY, demoted={"D01": "already"}), {}) == []
    assert fallen(said, replace(POLICY, detectors={"D01": DetectorPolicy(bar=Bar(0.0, 1))}), {}) == []


def test_a_new_version_begins_anew() -> None:
    assert fallen([*verdicts("------"), *verdicts("+", version=2, start=10)], POLICY, {}) == []
    assert len(fallen([*verdicts("++++++"), *verdicts("----", version=2, start=10)], POLICY, {})) == 1


def test_after_a_person_gave_it_back_only_newer_verdicts_count() -> None:
    back = {"D01": Standing(False, "mended", "ann", 3.0)}
    assert fallen(verdicts("----"), POLICY, back) == []
    assert len(fallen(verdicts("--------"), POLICY, back)) == 1


def test_the_closed_list() -> None:
    assert set(DISPOSITIONS) > RIGHT | WRONG
    assert not RIGHT & WRONG
    assert len(DISPOSITIONS) == 7

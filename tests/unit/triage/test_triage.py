"""Mode, suppression, repeats and storms."""

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import DAY, NOW, finding

from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.policy import DetectionPolicy, DetectorPolicy, Noise, parse
from tallystick_stream_jobs.triage.core import MAX_OPEN, Triage
from tallystick_stream_jobs.triage.state import State

HOUR = 3600.0
QUIET = "until: 2026-12-01, reason: known, owner: ann"


def triage(text: str = "", **changes: object) -> Triage:
    return Triage(replace(parse(text), **changes), State("e"))  # type: ignore[arg-type]


def storms(found):
    return [one for one in found if one.detector == "S01"]


def test_an_ordinary_finding_passes_with_its_mode() -> None:
    told = triage("detectors: {D01: {mode: recommend}}").take(finding())
    assert told == [msgspec.structs.replace(finding(), mode="recommend")]
    assert triage().take(finding()) == [finding()]


def test_a_demoted_detector_recommends() -> None:
    assert triage(demoted={"D01": "0.2"}).take(finding())[0].mode == "recommend"


def test_exempt_and_suppressed_findings_are_kept_and_say_why() -> None:
    text = (
        f"exemptions:\n  - {{role: release, detectors: D01, {QUIET}}}\nsuppressions:\n  - {{detectors: D03, principal: 'ci-*', {QUIET}}}\n"
    )
    desk = triage(text)
    assert desk.take(finding(), ["release"])[0].suppressed == "exempt: role release, until 2026-12-01T00:00Z, by ann: known"
    assert desk.take(finding(principal="other"))[0].suppressed is None
    assert (desk.take(finding("D03", "ci-7"))[0].suppressed or "").startswith("suppressed until 2026-12-01")
    assert desk.take(finding("D03", "CI-7"))[0].suppressed is None
    assert desk.take(finding("D03", "ci-7", at=30 * DAY))[0].suppressed is None


def test_a_repeat_within_the_hour_updates_the_open_finding() -> None:
    desk = triage()
    first = desk.take(finding())[0]
    again = desk.take(finding(at=600, act="step-up", severity="high", value=40))[0]
    assert (again.id, again.time, again.count, again.updated) == (first.id, first.time, 2, wire_time(NOW + 600))
    assert (again.act, again.severity, again.value) == ("step-up", "high", 40)
    third = desk.take(finding(at=HOUR - 1, severity="low"))[0]
    assert (third.id, third.count, third.severity, third.act) == (first.id, 3, "high", "alert")
    later = desk.take(finding(at=HOUR))[0]
    assert (later.id, later.count, later.updated) == (finding(at=HOUR).id, 1, None)


def test_others_are_not_repeats() -> None:
    desk = triage()
    told = [
        desk.take(one)[0]
        for one in (
            finding(),
            finding(principal="eve"),
            finding("D03"),
            finding(at=1, credential="c-1"),
            finding(at=2, credential="c-2"),
            finding(at=3, version=2),
        )
    ]
    assert [one.count for one in told] == [1] * 6
    assert len({one.id for one in told}) == 6


def test_the_length_of_a_repeat_is_the_policys() -> None:
    desk = triage("noise: {dedup_minutes: 5}")
    assert [desk.take(finding(at=at))[0].count for at in (0, 299, 300)] == [1, 2, 1]


def test_a_storm_becomes_one_finding_and_hides_none() -> None:
    desk = triage("noise: {storm_findings: 3, storm_minutes: 10}\ndetectors: {S01: {mode: observe}}")
    told = [one for n in range(12) for one in desk.take(finding(principal=f"p{n}", at=n))]
    single = [one for one in told if one.detector == "D01"]
    assert [one.suppressed is None for one in single] == [True] * 3 + [False] * 9
    assert len(single) == 12
    heads = storms(told)
    assert [one.value for one in heads] == [4, 8]
    assert {one.id for one in heads} == {single[3].suppressed.removeprefix("part of storm ")}  # type: ignore[union-attr]
    assert [one.count for one in heads] == [1, 2]
    assert "D01 made 8 new findings" in heads[1].text
    assert "p3, p4, p5, p6, p7" in heads[1].text
    assert {one.mode for one in heads} == {"observe"}


def test_a_storm_is_one_detectors_and_passes() -> None:
    desk = triage("noise: {storm_findings: 3, storm_minutes: 10}")
    for n in range(6):
        desk.take(finding(principal=f"p{n}", at=n))
    assert desk.take(finding("D03", at=7))[0].suppressed is None
    calm = desk.take(finding(principal="later", at=700))
    assert [one.suppressed for one in calm] == [None]
    again = [one for n in range(4) for one in desk.take(finding(principal=f"q{n}", at=701 + n))]
    assert len(storms(again)) == 1
    assert storms(again)[0].id not in {one.suppressed for one in calm}


def test_a_storm_hides_nobody_who_must_be_stopped() -> None:
    """A thief who raises a storm first is still found: what is certain or suspends alone stands apart."""
    desk = triage("noise: {storm_findings: 3, storm_minutes: 10}")
    for n in range(6):
        desk.take(finding(principal=f"p{n}", at=n))
    assert desk.take(finding(principal="thief", at=7, deterministic=True))[0].suppressed is None
    assert desk.take(finding(principal="thief-2", at=8, act="suspend"))[0].suppressed is None
    in_it = desk.take(finding(principal="thief-3", at=9))[0]
    assert in_it.suppressed is not None
    assert desk.take(finding(principal="thief-3", at=10))[0].suppressed == in_it.suppressed
    assert desk.take(finding(principal="thief-3", at=11, act="step-up"))[0].suppressed is None


def test_nobody_hides_what_acts_under_words_that_he_may_not_give() -> None:
    """A storm of findings that rest on a stranger's words is a storm of its own, and so is an open finding."""
    desk = triage("noise: {storm_findings: 3, storm_minutes: 10}")
    for n in range(9):
        desk.take(finding(principal=f"p-{n}", at=n, unvouched=["stranger"]))
    (one,) = desk.take(finding(principal="p-8", at=9, severity="low"))
    assert (one.suppressed, one.count, one.unvouched) == (None, 1, [])


def test_repeats_and_suppressed_ones_make_no_storm() -> None:
    desk = triage(f"noise: {{storm_findings: 3}}\nsuppressions:\n  - {{detectors: D03, principal: 'ci-*', {QUIET}}}\n")
    told = [one for n in range(30) for one in [*desk.take(finding(at=n)), *desk.take(finding("D03", f"ci-{n}", at=n))]]
    assert storms(told) == []


def test_what_is_remembered_is_bounded() -> None:
    desk = triage("noise: {storm_findings: 1000}")
    sizes = []
    for n in range(3 * MAX_OPEN):
        desk.take(finding(principal=f"p{n}", at=n / 100))
        if n in (2 * MAX_OPEN, 3 * MAX_OPEN - 1):
            sizes.append(len(desk.snapshot(0)))
    assert sizes[1] < sizes[0] * 1.1
    assert sizes[1] < 2 << 20


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["D01", "D03"]),
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.integers(0, 8000),
        st.sampled_from(["alert", "step-up", "suspend"]),
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 40))
def test_a_restart_anywhere_changes_nothing(steps, place) -> None:
    policy = replace(DetectionPolicy(), noise=Noise(60, 3, 10), detectors={"D03": DetectorPolicy("observe")})
    given_ = [finding(detector, who, at=at, act=act) for detector, who, at, act in steps]
    whole = Triage(policy, State("e"))
    wanted = [one for each in given_ for one in whole.take(each)]
    parts = Triage(policy, State("e"))
    told = [one for each in given_[:place] for one in parts.take(each)]
    parts = Triage.restore(policy, parts.snapshot(7))
    assert (parts.offset, parts.epoch) == (7, "e")
    told += [one for each in given_[place:] for one in parts.take(each)]
    assert told == wanted


@given(STEPS)
def test_nothing_is_dropped_and_counts_add_up(steps) -> None:
    desk = triage("noise: {storm_findings: 3}")
    given_ = [finding(detector, who, at=at, act=act, id=f"F-{n}") for n, (detector, who, at, act) in enumerate(steps)]
    told = [one for each in given_ for one in desk.take(each) if one.detector != "S01"]
    assert len(told) == len(steps)
    assert sum(max(one.count for one in told if one.id == name) for name in {one.id for one in told}) == len(steps)

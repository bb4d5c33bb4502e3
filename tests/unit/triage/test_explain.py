"""The reasoning behind a finding, in words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.support.history import make_event
from tests.support.policies import finding

from tallystick_schemas.evidence import Cited
from tallystick_schemas.standing import Standing
from tallystick_stream_jobs.detectors.registry import METAS
from tallystick_stream_jobs.policy import DetectionPolicy, DetectorPolicy
from tallystick_stream_jobs.triage.explain import Known, explain, window
from tallystick_stream_jobs.triage.store import Closed

POLICY = replace(
    DetectionPolicy(), detectors={"D01": DetectorPolicy("observe", {"alert": 30.0})}, protected=frozenset({"dave@example.org"})
)
DECISION = {
    "shard": 1,
    "index": 7,
    "pos": 2,
    "time": "2026-11-23T04:00:05+00:00",
    "by": "responder",
    "text": "recommend: D01 alone may not suspend",
    "attrs": {
        "by": "responder",
        "guard.mode": "D01 is in mode auto",
        "alternatives": "suspend: a second detector has not spoken; note: too little",
    },
}


def lines(**changes: object) -> dict[str, str]:
    known = replace(Known(finding(), METAS["D01"], POLICY), **changes)  # type: ignore[arg-type]
    return {section.title: "\n".join(section.lines) for section in explain(known)}


def test_it_tells_what_was_counted_and_compared() -> None:
    one = finding(
        features={"distinct objects": 25.0, "own maximum": 4.0},
        baseline=4,
        peers=6,
        credential="c-1",
        count=3,
        drill="r-1",
        missing=["country"],
    )
    told = lines(finding=one)
    assert "25 was measured over 1 hour; the line is 25.\ndistinct objects: 25\nown maximum: 4" in told["What was counted"]
    assert "Its own past: 4." in told["What it was compared with"]
    assert "Its peers: 6." in told["What it was compared with"]
    assert "Missing: country. Without it the value is a floor" in told["What it was compared with"]
    for part in ("D01 version 1", "with one credential, c-1", "found 3 times", "exercise r-1"):
        assert part in told["What was found"]


def test_it_says_what_was_not_there() -> None:
    told = lines()
    assert "own past was not asked" in told["What it was compared with"]
    assert "Nothing that it asks for was missing" in told["What it was compared with"]
    assert "Nothing is decided" in told["What was decided"]
    assert "Nobody has closed it" in told["What people said"]
    assert "0:0:0: the store does not have it yet" in told["Where the evidence is"]
    assert "No exemption, suppression" in told["How far it may go"]


def test_it_tells_guards_decisions_and_what_would_have_changed_them() -> None:
    told = lines(
        finding=finding(mode="recommend", suppressed="exempt: known"),
        decisions=[DECISION],
        closed=Closed("false-positive", "ann", "nightly copy", datetime(2026, 11, 23, 5, tzinfo=UTC)),
        evidence={(0, 0, 0): Cited(make_event(3), Standing.HOLDS)},
        policy=replace(POLICY, demoted={"D01": "precision 0.2"}),
    )
    assert "by responder: recommend: D01 alone may not suspend (event 1:7:2)\nguard mode: D01 is in mode auto" in told["What was decided"]
    assert told["What people said"] == "false-positive, by ann at 2026-11-23T05:00:00Z: nightly copy"
    where = told["Where the evidence is"]
    assert "0:0:0: 2026-11-23T04:00:00Z artifact.download allowed models/atlas-7b model-00003-of-00009.safetensors\n" in where
    assert where.endswith("is what its agent signed. `tallystick audit verify` proves the chain above.")
    reach = told["How far it may go"]
    for part in (
        "in mode recommend then; now it is in mode observe",
        "demoted: precision 0.2",
        "exempt: known",
        "is protected: two people",
    ):
        assert part in reach
    other = told["What would have made it different"]
    for part in (
        "Below 25 within 1 hour",
        "D01.alert is 30",
        "(from detection.yaml)",
        "Not done: note: too little",
        "It does not see:",
        "In mode auto",
    ):
        assert part in other


def test_a_rule_of_somebodys_own_is_explained_without_our_metadata() -> None:
    told = lines(finding=finding("my-rule", subject="agent", window_s=0, deterministic=True), meta=None)
    assert "the agent dave@example.org" in told["What was found"]
    assert "in a single event" in told["What was counted"]
    assert "follows from the events alone" in told["What it was compared with"]


def test_windows_in_words() -> None:
    assert [window(seconds) for seconds in (90, 600, 3600, 86_400, 30 * 86_400)] == [
        "90 seconds",
        "10 minutes",
        "1 hour",
        "1 day",
        "30 days",
    ]


@pytest.mark.parametrize(
    ("cited", "said", "holds"),
    [
        (Cited(make_event(3), Standing.CHANGED), "0:0:0: CHANGED: its bytes", False),
        (Cited(b"", Standing.REMOVED), "0:0:0: REMOVED: its agent signed an event here", False),
        (Cited(make_event(3), Standing.UNPROVEN), "0:0:0: UNPROVEN: its segment's", False),
        (Cited(b"", Standing.ERASED), "0:0:0: erased; its hash", True),
        (Cited(b"junk", Standing.HOLDS), "0:0:0: no event: ", True),
    ],
)
def test_evidence_that_is_not_what_was_signed_is_not_vouched_for(cited: Cited, said: str, holds: bool) -> None:
    where = lines(evidence={(0, 0, 0): cited})["Where the evidence is"]
    assert where.startswith(said)
    assert ("is what its agent signed. `tallystick" in where) == holds
    assert ("does not hold what was signed (1 " in where) != holds
    assert ("artifact.download" in where) is False, "a forged event is not told as if it had happened"

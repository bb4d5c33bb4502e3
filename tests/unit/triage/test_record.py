"""Every finding is an event, once."""

from pathlib import Path

import msgspec
import pytest
from tests.support.policies import finding
from tests.support.recorder import agent_settings, spooled

from tallystick_producers import Actor, Recorder
from tallystick_schemas.messages import parse_finding
from tallystick_stream_jobs.triage.record import finding_event, record_findings, record_told


def recorded(settings):
    return [event for events in spooled(settings).values() for event in events if event.action.startswith("incident.")]


def test_opened_and_updated_findings_are_events(tmp_path: Path) -> None:
    settings = agent_settings(tmp_path, "detectors")
    first = finding(suppressed="suppressed: known", drill="run-1", mode="recommend")
    with Recorder.open(settings) as recorder:
        assert record_findings(recorder, "e", 2, 10, [first, msgspec.structs.replace(first, count=2)])
    opened, updated = recorded(settings)
    assert (opened.action, updated.action) == ("incident.open", "incident.update")
    assert (opened.resource.kind, opened.resource.id, opened.why.text) == ("finding", first.id, first.text)
    assert parse_finding(opened.attrs["finding"].encode()) == first
    assert {name: opened.attrs[name] for name in ("detector", "about", "mode", "suppressed", "drill", "count")} == {
        **{"detector": "D01", "about": first.principal, "mode": "recommend"},
        **{"suppressed": "suppressed: known", "drill": "run-1", "count": "1"},
    }


def test_a_message_that_comes_again_is_recorded_once_also_after_a_restart(tmp_path: Path) -> None:
    settings = agent_settings(tmp_path, "detectors")
    for _ in range(2):
        with Recorder.open(settings) as recorder:
            for offset in (10, 11):
                record_findings(recorder, "e", 2, offset, [finding(at=offset)])
            record_findings(recorder, "e", 3, 10, [finding(at=99)])
    assert len(recorded(settings)) == 3
    with Recorder.open(settings) as recorder:
        assert record_findings(recorder, "another life", 2, 1, [finding(at=1)]), "offsets of a topic that was made anew are others"


@pytest.mark.parametrize(
    "name", ["x" * 12_000, '"\\' * 6_000, "\u0001" * 3_000, "\U0001f600" * 4_000], ids=["long", "quotes", "control", "wide"]
)
def test_whatever_the_found_one_is_called_it_is_recorded(tmp_path: Path, name: str) -> None:
    big = finding(
        id="F-1",
        principal=name,
        resource=name,
        text=f"{name} did it.",
        suppressed=name,
        evidence=[(2**32, 2**50, 65535)] * 50,
        features={name: 1.0},
    )
    settings = agent_settings(tmp_path, "detectors")
    with Recorder.open(settings) as recorder:
        assert record_findings(recorder, "e", 0, 1, [big])
    (event,) = recorded(settings)
    assert event.attrs["about"] == name[: len(event.attrs["about"])]
    assert "finding" not in event.attrs


def test_a_big_finding_loses_the_oldest_evidence_first() -> None:
    big = finding(text="t" * 900, features={f"feature-{n}": n / 3 for n in range(900)}, evidence=[(1, n, 0) for n in range(50)])
    kept = parse_finding(finding_event(big)["attrs"]["finding"].encode())
    assert (kept.evidence, len(kept.features), len(kept.text)) == ([(1, n, 0) for n in range(40, 50)], 20, 500)


def test_what_other_parts_tell_is_recorded_once_each_time(tmp_path: Path) -> None:
    settings, outbox = agent_settings(tmp_path, "outbox"), Actor("outbox", "service")
    first = finding("R01", id="R-1")
    for _ in range(2):
        with Recorder.open(settings) as recorder:
            for told in (first, first, msgspec.structs.replace(first, count=2, updated="2026-11-23T04:10:00.000000Z")):
                record_told(recorder, told, outbox)
    assert [(event.action, event.actor.principal) for event in recorded(settings)][:2] == [
        ("incident.open", "outbox"),
        ("incident.update", "outbox"),
    ]

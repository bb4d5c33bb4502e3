"""The grading sees only what the record shows: each thing that is missing from it fails the drill."""

import pytest
from tests.support.drills import ANN, BEGAN, CREDENTIAL, RUN, THIEF, Made, scenario, stopped

from tallystick_infra.drills.grade import grade
from tallystick_infra.drills.seen import Refused, run_of_event, run_of_message
from tallystick_schemas.drills import drill_credential, drill_principal
from tallystick_schemas.events import Actor, Event, Resource
from tallystick_schemas.messages import Decision, Delivery, Denial, Lock
from tallystick_schemas.signing import wire_time
from tallystick_schemas.verdicts import Verdict


def grades(made, expect=None):
    return grade(scenario() if expect is None else scenario(expect), RUN, made.seen, BEGAN)


def one(made, sight):
    """The one mark of one sight."""
    return grades(made, f"[{sight}]").expected[0]


def test_a_record_that_shows_all_passes():
    found = grades(stopped())
    assert found.passed
    assert [mark.after_s for mark in found.expected] == [1.5, 1.6, 1.99]
    assert (found.lost.objects, found.lost.bytes) == (2, 200)
    assert found.hops_ms == {"recorded_to_finding": 500.0, "finding_to_lock": 100.0, "lock_to_refused": 390.0}


def test_nothing_recorded_is_no_pass():
    found = grades(Made())
    assert not found.passed
    assert [mark.met for mark in found.expected] == [False] * 3
    assert all(mark.met for mark in found.must_not)


@pytest.mark.parametrize("missing", ["evidence", "signed lock", "told lock", "refusal"])
def test_each_part_is_needed(missing):
    made = Made()
    places = [made.download(0, 100)]
    made.finding(1, [(9, 9, 9)] if missing == "evidence" else places)
    made.lock(1.1, signed=missing != "signed lock", told=missing != "told lock")
    if missing != "refusal":
        made.event(2, "access.check", outcome="denied", lock="c1")
    found = grades(made)
    assert [mark.met for mark in found.expected].count(False) == 1
    assert not found.passed


def test_late_is_not_in_time():
    made = Made()
    made.finding(5.5, [made.download(0, 1)])
    mark = one(made, "{see: finding, detector: D13, of: thief, within_s: 5}")
    assert (mark.met, mark.after_s) == (False, 5.5)
    assert one(made, "{see: finding, detector: D13, of: thief, within_s: 6}").met


def test_the_clock_starts_with_the_first_hostile_event():
    made = Made()
    made.event(-50, "access.check", who=ANN)
    made.finding(4, [made.download(3, 1)])
    assert one(made, "{see: finding, detector: D13, of: thief}").after_s == 1.0


def test_anothers_finding_and_anothers_detector_do_not_count():
    made = Made()
    made.finding(1, [made.download(0, 1)], principal=ANN)
    made.finding(2, [made.download(0, 1)], detector="D03")
    assert not one(made, "{see: finding, detector: D13, of: thief}").met
    assert one(made, "{see: finding, detector: D13}").met


def test_suppressed_findings_are_told_apart():
    made = Made()
    made.finding(1, [made.download(0, 1)], suppressed="a grant covers it")
    assert not one(made, "{see: finding, detector: D13, of: thief}").met
    assert one(made, "{see: finding, detector: D13, of: thief, suppressed: true}").met


def test_a_finding_has_to_have_weighed_what_is_asked():
    made = Made()
    made.finding(1, [made.download(0, 1)], detector="D14", features={"score": 50.0})
    assert not one(made, "{see: finding, detector: D14, feature: newcomers}").met
    assert one(made, "{see: finding, detector: D14, feature: score}").met


def test_what_must_not_come_fails_the_drill():
    for spoil in (
        lambda made: made.lock(2, f"principal:{ANN}", "c2"),
        lambda made: made.event(2, "access.check", who=ANN, outcome="denied", lock="c2"),
    ):
        made = stopped()
        spoil(made)
        found = grades(made)
        assert found.all_seen
        assert not found.passed


def test_a_refusal_for_another_reason_is_no_lock_s():
    made = Made()
    made.event(1, "access.check", outcome="denied", status="403")
    made.event(1, "access.check", outcome="denied", lock="c1", agent="sdk")
    assert not one(made, "{see: refused, of: thief}").met


def test_a_lock_of_a_person_s_is_not_the_responder_s_word():
    made = Made()
    made.lock(1, by="cli")
    assert not one(made, "{see: lock, of: thief}").met


def test_the_level_and_the_subject_count():
    made = Made()
    made.lock(1)
    assert not one(made, "{see: lock, level: step-up, of: thief}").met
    assert not one(made, "{see: lock, subject: principal, of: thief}").met
    assert one(made, "{see: lock, subject: credential, of: thief}").met


@pytest.mark.parametrize(("objects", "size", "within"), [(2, 150, True), (3, 100, False), (2, 151, False)])
def test_the_budget(objects, size, within):
    made = stopped()
    made.seen.facts = {place: fact for place, fact in made.seen.facts.items() if fact.event.action != "artifact.download"}
    for _ in range(objects):
        made.download(0, size)
    assert grades(made).lost.within is within


def test_a_cut_download_counts_with_what_went_out():
    made = Made()
    made.download(1, 70, outcome="denied", lock="c1")
    found = grades(made, "[{see: cut, of: thief}]")
    assert found.expected[0].met
    assert (found.lost.objects, found.lost.bytes) == (1, 70)


def test_decisions_name_choice_and_detector():
    made = Made()
    made.event(
        1, "incident.decide", who="responder", agent="responder", choice="recommend", detectors="D13, D01", subject=f"principal:{THIEF}"
    )
    assert one(made, "{see: decision, choice: recommend, detector: D13, of: thief}").met
    assert not one(made, "{see: decision, choice: suspend, detector: D13, of: thief}").met
    assert not one(made, "{see: decision, choice: recommend, of: ann}").met


@pytest.mark.parametrize(
    ("states", "met"), [(["refused"], True), (["refused", "refused"], True), (["refused", "still-works"], False), ([], False)]
)
def test_a_probe_has_to_be_refused_everywhere(states, met):
    made = Made()
    for number, state in enumerate(states):
        at = wire_time(BEGAN + 1)
        refused = at if state == "refused" else None
        subject = f"credential:{CREDENTIAL}"
        made.seen.take(
            Denial(command="c1", subject=subject, point=f"p{number}", state=state, locked_at=at, tried_at=at, refused_at=refused)
        )
    assert one(made, "{see: probe, of: thief}").met is met


@pytest.mark.parametrize(
    ("state", "attempts", "choice", "met"),
    [("done", 3, "suspend", True), ("done", 1, "suspend", False), ("waiting", 3, "suspend", False), ("done", 3, "reinstate", False)],
)
def test_a_delivery_has_to_be_done(state, attempts, choice, met):
    made = Made()
    at = wire_time(BEGAN + 1)
    decision = Decision(id="c1", at=at, by="responder", choice=choice, subject=f"credential:{CREDENTIAL}", reason="why")
    made.seen.take(
        Delivery(
            id="c1/hook",
            decision=decision,
            connector="hook",
            state=state,
            created_at=at,
            attempts=attempts,
            done_at=at if state == "done" else None,
        )
    )
    assert one(made, "{see: delivery, connector: hook, of: thief, attempts: 2}").met is met


def test_taken_counts_distinct_objects():
    made = Made()
    made.download(0, 1)
    made.event(1, "artifact.download", resource=Resource("model", f"models/drill-{RUN}/atlas", part="part-1"))
    assert not one(made, "{see: taken, of: thief, objects: 2}").met
    made.download(2, 1)
    assert one(made, "{see: taken, of: thief, objects: 2}").met


def test_findings_about_agents_cite_refused_segments():
    made = Made()
    agent = drill_principal(RUN, "thief")
    made.finding(1, [(2, 5, 0)], detector="D12", principal=agent, subject="agent")
    assert not one(made, "{see: finding, detector: D12}").met
    made.seen.refused[(2, 5)] = Refused(BEGAN + 0.5, agent, Verdict.BAD_SIGNATURE)
    mark = one(made, "{see: finding, detector: D12}")
    assert (mark.met, mark.after_s) == (True, 0.5)


def test_a_finding_told_again_keeps_its_first_moment():
    made = Made()
    made.finding(1, [made.download(0, 1)], count=1)
    again = made.seen.findings["f1"]
    from msgspec.structs import replace

    made.seen.take(replace(again, count=2, emitted_ms=again.emitted_ms + 60_000))
    assert (made.seen.findings["f1"].count, made.seen.findings["f1"].emitted_ms) == (2, again.emitted_ms)


def _event(principal="x@example.org", resource=None, **attrs):
    return Event(
        1, "A" * 22, wire_time(BEGAN), "access.check", Actor(principal, "human"), resource or Resource("model", "m"), "allowed", attrs=attrs
    )


def test_events_are_told_by_mark_name_and_subject():
    assert run_of_event(_event()) is None
    assert run_of_event(_event(drill="b2")) == "b2"
    assert run_of_event(_event(THIEF)) == RUN
    assert run_of_event(_event(resource=Resource("agent", THIEF))) == RUN
    assert run_of_event(_event(resource=Resource("credential", drill_credential("c3", "x", 1)))) == "c3"
    assert run_of_event(_event(resource=Resource("finding", "f1")), [("f1", "d4")]) == "d4"
    assert run_of_event(_event(resource=Resource("finding", "f2")), [("f1", "d4")]) is None


def test_messages_are_told_by_mark_and_name():
    at = wire_time(BEGAN)
    assert run_of_message(Lock(subject=f"principal:{THIEF}", state="locked", command="c", reason="r", by="b", at=at)) == RUN
    assert run_of_message(Lock(subject="principal:alice@example.org", state="locked", command="c", reason="r", by="b", at=at)) is None
    assert run_of_message(Lock(subject="principal:a", state="locked", command="c", reason="r", by="b", at=at, drill="e5")) == "e5"

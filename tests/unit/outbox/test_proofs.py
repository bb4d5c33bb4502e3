"""Proofs: who is asked, how often, what counts as refused, when people are told, and what becomes of a proof that nobody can have."""

import itertools

import msgspec
import pytest
from tests.support.receiver import NOW, decision

from tallystick_schemas.messages import Denial, Finding, LockAck, Point
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.connectors.http import Answer
from tallystick_stream_jobs.outbox.asking import judge
from tallystick_stream_jobs.outbox.proofs import ProofLimits, Prover, Seen

LIMITS = ProofLimits(within_s=10.0, again_s=60.0, for_h=1.0)
WORKS, REFUSED, SILENT = Seen(True, "let in"), Seen(False, "refused"), Seen(None, "no answer")
GATE, SDK = ("cmd-1", "gateway"), ("cmd-1", "app")


def point(name="gateway", kind="gateway", probe="http://127.0.0.1:1/.well-known/tallystick/probe"):
    return Point(name=name, kind=kind, version="1", at=wire_time(NOW), probe=probe)


def prover(*points, connectors=(), one=None):
    made = Prover(LIMITS)
    for each in points or (point(),):
        made.heard(each, NOW)
    for denial in made.decided(one or decision(), list(connectors), NOW):
        made.put(denial, one or decision(), NOW)
    return made


def ask(made, seen, now):
    """One round: what is due is answered so."""
    for question in made.due(now):
        made.put(made.answered((question.decision.id, question.point), seen, now))


def test_every_point_that_is_there_is_asked_and_every_connector_that_can_ask():
    made = prover(point(), point("second"), connectors=["kc"])
    assert [(one.point, bool(one.probe)) for one in made.due(NOW)] == [("gateway", True), ("second", True), ("connector/kc", False)]
    assert made.due(NOW) == [], "each is asked once at a time"


def test_an_unlock_has_nothing_to_prove_and_a_decision_is_taken_once():
    made = prover()
    assert made.decided(decision("unlocked", number=2), ["kc"], NOW) == []
    assert made.decided(decision(), [], NOW) == []


@pytest.mark.parametrize(("silent_s", "asked"), [(600.0, True), (3601.0, False)])
def test_a_point_that_has_long_been_silent_is_not_there(silent_s, asked):
    made = Prover(LIMITS)
    made.heard(point(), NOW - silent_s)
    assert bool(made.decided(decision(), [], NOW)) is asked
    made.left("gateway")
    assert made.decided(decision(), [], NOW) == []


def test_a_refusal_ends_it_and_says_how_long_each_hop_took():
    one = msgspec.structs.replace(decision(), findings=["F"], at=wire_time(NOW + 0.004))
    made = prover(one=one)
    finding = Finding(
        id="F", detector="D13", version=1, title="t", severity="high", principal="ann", time=wire_time(NOW), value=1, threshold=1, window_s=1,
        evidence=[], act="suspend", deterministic=True, techniques=[], text="t", emitted_ms=int((NOW - 0.05) * 1000),
    )  # fmt: skip
    made.found(finding)
    ack = LockAck(point="gateway", subject="principal:ann", command="cmd-1", state="locked", applied_at=wire_time(NOW + 5))
    ask(made, WORKS, NOW + 0.01)
    made.acknowledged(ack, NOW + 0.02)
    ask(made, REFUSED, NOW + 0.06)
    denial = made.denials[GATE]
    assert (denial.state, denial.attempts, denial.refused_at) == ("refused", 2, wire_time(NOW + 0.06))
    assert denial.hops_ms == pytest.approx({"lock": 50.0, "decision": 4.0, "ack": 20.0, "denial": 60.0}, abs=0.01)
    assert made.due(NOW + 100) == []
    assert not made.waiting


def test_an_acknowledgement_alone_proves_nothing():
    made = prover()
    made.acknowledged(LockAck(point="gateway", subject="principal:ann", command="cmd-1", state="locked", applied_at=wire_time(NOW)), NOW)
    ask(made, WORKS, NOW + 11)
    assert made.denials[GATE].state == "still-works"


def test_it_is_asked_often_at_first_and_less_often_later():
    made, now, asked = prover(), NOW, []
    while now < NOW + 60:
        if due := made.due(now):
            asked.append(now - NOW)
            made.put(made.answered((due[0].decision.id, "gateway"), WORKS, now))
        now = round(now + 0.01, 2)
    assert sum(at < 1 for at in asked) >= 5
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert max(gaps) <= 5.01
    assert max(gap for gap, at in zip(gaps, asked, strict=False) if at < 8) <= 1.01


def test_what_still_works_after_the_set_time_is_a_critical_finding_and_again_each_minute():
    made, found = prover(), []
    for second in range(140):
        ask(made, WORKS, NOW + second)
        found += [(second, one) for one in made.unproven(NOW + second)]
    assert [second for second, _ in found] == pytest.approx([12, 72, 132], abs=5)
    first, last = found[0][1], found[-1][1]
    assert (first.detector, first.severity, first.subject, first.principal) == ("R01", "critical", "agent", "outbox")
    assert (first.id, first.count, last.count) == (last.id, 1, 3)
    assert "principal:ann" in first.text
    assert "gateway" in first.text
    ask(made, REFUSED, NOW + 150)
    assert made.unproven(NOW + 1000) == []


def test_what_nobody_can_tell_is_told_as_that():
    made = prover()
    ask(made, SILENT, NOW + 1)
    assert made.denials[GATE].state == "probing"
    ask(made, SILENT, NOW + 12)
    assert made.denials[GATE].state == "unreachable"
    (finding,) = made.unproven(NOW + 12)
    assert finding.severity == "high"
    assert "not known" in finding.text


def test_an_sdk_is_believed_and_that_is_said():
    made = prover(point("app", "sdk", None))
    assert made.due(NOW + 1) == []
    assert made.believed(NOW + 1) == []
    made.acknowledged(LockAck(point="app", subject="principal:ann", command="cmd-1", state="locked", applied_at=wire_time(NOW)), NOW + 1)
    (denial,) = made.believed(NOW + 2)
    made.put(denial)
    assert (denial.state, denial.attempts) == ("unreachable", 0)
    assert "cannot be asked" in denial.how
    assert made.unproven(NOW + 100) == []
    assert made.over(NOW + 100) == [SDK]


def test_an_sdk_that_does_not_acknowledge_is_told():
    made = prover(point("app", "sdk", None))
    (denial,) = made.believed(NOW + 10)
    made.put(denial)
    assert [one.severity for one in made.unproven(NOW + 10)] == ["high"]


def test_a_newer_order_about_the_subject_ends_the_proof():
    made = prover()
    assert made.overtaken(decision("unlocked", subject="principal:eve", number=2)) == []
    (key,) = made.overtaken(decision("unlocked", number=2))
    made.ended(key)
    assert made.due(NOW + 10) == []
    assert made.answered(key, WORKS, NOW) is None


@pytest.mark.parametrize("how", ["old", "ended"])
def test_a_proof_does_not_stay_open_for_ever(how):
    one = decision()
    if how == "ended":
        one = msgspec.structs.replace(one, lock=msgspec.structs.replace(one.lock, until=wire_time(NOW + 60)))
    made = prover(one=one)
    assert made.over(NOW + 59) == []
    assert made.over(NOW + (60 if how == "ended" else 3600)) == [GATE]
    made.close(GATE)
    assert made.due(NOW + 9e9) == []
    assert made.old(NOW + 2 * 86_400, 1.0) == [GATE]


def test_after_a_restart_open_proofs_go_on_and_finished_ones_do_not():
    made = Prover(LIMITS)
    made.heard(point(), NOW)
    for command, state in (("cmd-1", "probing"), ("cmd-2", "refused")):
        denial = Denial(
            command=command, subject="principal:ann", point="gateway", state=state, locked_at=wire_time(NOW), tried_at=wire_time(NOW)
        )
        made.put(denial, decision(number=int(command[-1])), NOW + 1)
    assert [one.decision.id for one in made.due(NOW + 2)] == ["cmd-1"]


def answer(status, body=b"{}", **headers):
    return Answer("gw", status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("level", "given", "works"),
    [
        ("suspend", answer(204), True),
        ("suspend", answer(403, b'{"lock":"cmd-1"}'), False),
        ("suspend", answer(403, b'{"lock":"cmd-77"}'), False),
        ("suspend", answer(403, b'{"code":"NotACanary"}'), None),
        ("suspend", answer(403, b"["), None),
        ("step-up", answer(401, b'{"lock":"cmd-1"}'), False),
        ("suspend", answer(401, b'{"lock":"cmd-0"}'), None),
        ("suspend", answer(401, x_error_message="This token has expired; ask the operator"), False),
        ("suspend", answer(401, x_error_message="A valid bearer token is needed"), None),
        ("suspend", answer(404), None),
        ("suspend", answer(503, x_error_code="LocksUnknown"), None),
        ("suspend", answer(200), None),
        ("suspend", answer(500), None),
    ],
)
def test_what_a_gateways_answer_means(level, given, works):
    """The table of docs/adr/0016: only a refusal with a lock, or a token that is over, proves something."""
    assert judge(given, decision(level=level)).works is works

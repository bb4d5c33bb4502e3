"""Findings that parts of ours tell: they are about a subject or about the part itself, and nobody is offered to lock the part."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.responding import finding as made

from tallystick_dashboard.pages.dialog import _subjects
from tallystick_dashboard.pages.evidence import _body, _evidence, _lock
from tallystick_dashboard.pages.findings import _row
from tallystick_dashboard.whom import lock_of, subject_of
from tallystick_schemas.messages import Decision, Delivery, Denial, Finding, Lock
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.outbox.findings import given_up, minted, nobody_known, not_proven
from tallystick_stream_jobs.responder.findings import other_history, tampered
from tallystick_stream_jobs.responder.known import KNOWN, UNKNOWN

NOW = 1_795_406_400.0
SUBJECT = "principal:mallroy@example.org"
ORDER = Decision(
    id="c7", at=wire_time(NOW), by="ana", choice="suspend", subject=SUBJECT, reason="left the company", policy={KNOWN: f"{UNKNOWN}: nobody"}
)
DENIAL = Denial(
    command="c7", subject=SUBJECT, point="gw", state="still-works", locked_at=wire_time(NOW), tried_at=wire_time(NOW), how="asked"
)
DELIVERY = Delivery(id="d", decision=ORDER, connector="vault", state="given-up", created_at=wire_time(NOW), error="away")
R04 = nobody_known(ORDER, NOW)
assert R04 is not None
ABOUT_A_SUBJECT = [R04, given_up(DELIVERY, NOW), not_proven(ORDER, DENIAL, NOW, 9.0, 3.0, 1)]
ABOUT_A_PART = [tampered(["principal:eve"], NOW), other_history("gw", (0, 1, 0), 9, "ab" * 32, NOW)]


def names(findings: list[Finding]) -> list[str]:
    return [one.detector for one in findings]


class Held:
    """A board with these locks in force."""

    def __init__(self, *locks: Lock) -> None:
        self.locks = {lock.subject: lock for lock in locks}

    def on(self, subject: str, _: float) -> Lock | None:
        return self.locks.get(subject)

    def of(self, principal: str, credential: str | None, _: float) -> Lock | None:
        return self.locks.get(f"credential:{credential}") or self.locks.get(f"principal:{principal}")


def hub_of(*locks: Lock) -> Any:
    findings = SimpleNamespace(closing=lambda _: None, get=lambda _: R04)
    return SimpleNamespace(locks=Held(*locks), findings=findings, clock=lambda: NOW)


@pytest.mark.parametrize("finding", ABOUT_A_SUBJECT, ids=names(ABOUT_A_SUBJECT))
def test_what_the_outbox_tells_is_about_the_subject_of_its_order(finding: Finding) -> None:
    assert subject_of(finding) == SUBJECT
    said = str(_lock(hub_of(), finding))
    assert (SUBJECT in said, "principal:outbox" in said) == (True, False)
    shown = str(_row(hub_of(), finding, NOW))
    assert (SUBJECT in shown, "outbox" in shown) == (True, False)
    lock = Lock(subject=SUBJECT, state="locked", reason="left the company", command="c7", by="ana", at=wire_time(NOW))
    assert lock_of(finding, hub_of(lock).locks, NOW) == lock
    assert "Unlock" in str(_lock(hub_of(lock), finding))


@pytest.mark.parametrize("finding", ABOUT_A_PART, ids=names(ABOUT_A_PART))
def test_what_is_about_our_own_part_offers_nobody_to_lock(finding: Finding) -> None:
    assert subject_of(finding) is None
    said = _lock(hub_of(), finding)
    assert ("Nobody to lock" in str(said), len(said)) == (True, 1)


def test_the_dialog_offers_the_subject_and_no_part() -> None:
    assert _subjects(hub_of(), "suspend", SUBJECT, "R04") == [(SUBJECT, "Principal mallroy@example.org")]


def test_what_was_not_counted_has_no_figure_and_no_window_of_no_seconds() -> None:
    assert "measured" not in str(_body(hub_of(), R04))
    late = str(_body(hub_of(), ABOUT_A_SUBJECT[2]))
    assert ("measured, threshold 3" in late, "over 0 seconds" in late) == (True, False)


def test_a_finding_without_evidence_waits_for_none() -> None:
    assert "No event is cited" in str(_evidence(R04, []))
    assert "Not in the ledger yet" in str(_evidence(made(), []))


def test_who_is_found_by_events_is_shown_as_before() -> None:
    person = made(who="eve", credential=None)
    assert subject_of(person) == "principal:eve"
    assert subject_of(made(who="eve")) == "credential:tok"
    new = minted(ORDER, "eve", "tok-2", wire_time(NOW), (0, 1, 0), NOW, lock=True)
    assert (new.detector, subject_of(new)) == ("R03", "credential:tok-2")

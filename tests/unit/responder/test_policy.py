"""Which findings lock: the ladder and each of its guards, alone and together."""

from typing import Any

import pytest
from tests.support.responding import NOW, Deciding, finding

from tallystick_schemas.messages import Lock
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.registry import build_rules
from tallystick_stream_jobs.responder.decisions import event_attrs
from tallystick_stream_jobs.responder.ladder import RUNGS, family, most
from tallystick_stream_jobs.responder.memory import Memory
from tallystick_stream_jobs.responder.names import imitated, same_person


@pytest.mark.parametrize(
    ("detector", "act", "choice"),
    [
        ("D13", "suspend", "suspend"),
        ("D03", "suspend", "suspend"),
        ("D07a", "suspend", "suspend"),
        ("D01", "step-up", "step-up"),
        ("D01", "suspend", "step-up"),
        ("D01", "alert", "note"),
        ("D04", "step-up", "recommend"),
        ("D05", "step-up", "recommend"),
        ("D07b", "suspend", "step-up"),
        ("D12", "suspend", "recommend"),
        ("D12", "signal", "note"),
        ("D14", "suspend", "recommend"),
        ("my-rule", "suspend", "step-up"),
        ("R03", "suspend", "recommend"),
        ("R99", "step-up", "recommend"),  # the outbox's key may sign any finding that begins so
    ],
)
def test_what_one_finding_does(detector: str, act: str, choice: str) -> None:
    assert Deciding().on(finding(detector, act)).choice == choice


@pytest.mark.parametrize(
    ("first", "second", "choice"),
    [
        (("D05", "alert"), ("D01", "step-up"), "suspend"),
        (("D01", "alert"), ("D05", "step-up"), "suspend"),
        (("D09", "alert"), ("D01", "step-up"), "step-up"),
        (("D06", "signal"), ("D01", "step-up"), "step-up"),
        (("D06", "signal"), ("D04", "step-up"), "step-up"),
        (("D08", "signal"), ("D04", "step-up"), "recommend"),
        (("D14", "alert"), ("D01", "step-up"), "step-up"),
        (("D12", "alert"), ("D01", "step-up"), "step-up"),
        (("D01", "step-up"), ("my-rule", "step-up"), "step-up"),
        (("my-rule", "alert"), ("D01", "step-up"), "suspend"),
        (("my-rule", "alert"), ("other-rule", "step-up"), "step-up"),
        (("D01", "alert"), ("D05", "alert"), "recommend"),
        (("R03", "alert"), ("D01", "step-up"), "step-up"),
        (("R99", "suspend"), ("D01", "step-up"), "step-up"),
    ],
)
def test_what_a_second_detector_adds(first: tuple[str, str], second: tuple[str, str], choice: str) -> None:
    deciding = Deciding()
    deciding.on(finding(*first, credential="another"))
    assert deciding.on(finding(*second, number=2)).choice == choice


def test_a_second_is_another_detector_on_the_same_principal_within_a_day() -> None:
    deciding = Deciding()
    deciding.on(finding("D05", "alert", who="carol"))
    assert deciding.on(finding("D11", "step-up", number=2, who="bob")).choice == "step-up", "about another person"
    same = finding("D11", "step-up", number=3, who="carol", credential="carol-2")
    assert deciding.on(same).choice == "step-up", "the same kind of evidence"
    late = finding("D01", "step-up", number=4, who="carol", time=wire_time(NOW + 90_000))
    assert deciding.on(late, NOW + 90_000).choice == "step-up", "a day later it is forgotten"


def test_a_rule_that_saw_the_very_same_events_is_no_second() -> None:
    deciding = Deciding()
    deciding.on(finding("my-rule", "alert", evidence=[(0, 7, 1)]))
    assert deciding.on(finding("D01", "step-up", number=2, evidence=[(0, 7, 1), (0, 8, 1)])).choice == "step-up"


@pytest.mark.parametrize(
    ("more", "choice", "guard"),
    [
        ({"suppressed": "grant G-1"}, "note", "suppression"),
        ({"mode": "observe"}, "note", "mode"),
        ({"mode": "recommend"}, "recommend", "mode"),
        ({"missing": ["peers"]}, "recommend", "inputs"),
        ({"evidence": []}, "recommend", "inputs"),
        ({"subject": "agent", "detector": "D03"}, "recommend", "subject"),
        ({"time": wire_time(NOW - 100_000)}, "recommend", "age"),
        ({"time": "yesterday"}, "recommend", "age"),
        ({"who": "root"}, "recommend", "protection"),
    ],
)
def test_each_guard_holds_what_would_lock_and_says_so(more: dict[str, Any], choice: str, guard: str) -> None:
    deciding = Deciding(protected=frozenset({"root"}))
    decision = deciding.on(finding(**more))
    assert (decision.choice, decision.lock) == (choice, None)
    assert decision.reason == decision.policy[guard]
    assert decision.reason in {other.reason for other in decision.alternatives if other.choice == "suspend"}


@pytest.mark.parametrize("more", [{"suppressed": "x"}, {"mode": "observe"}, {"mode": "recommend"}, {"missing": ["peers"]}])
def test_what_may_not_act_is_no_second_either(more: dict[str, Any]) -> None:
    deciding = Deciding()
    deciding.on(finding("D05", "alert", **more))
    assert deciding.on(finding("D01", "step-up", number=2)).choice == "step-up"


def test_an_agent_whose_key_was_copied_is_suspended() -> None:
    decision = Deciding().on(finding("D07a", who="trainer", credential=None, subject="agent"))
    assert decision.choice == "suspend"
    assert decision.lock is not None
    assert decision.lock.subject == "principal:trainer"


def test_no_detector_does_more_than_its_own_row_and_none_is_missing() -> None:
    """The table of detectors and what detectors say of themselves agree: alone, the ladder never goes beyond `most`."""
    for rule in build_rules({}):
        says = {"signal": "note", "alert": "recommend"}.get(rule.meta.most, rule.meta.most)
        alone = most(rule.meta.id, seconded=False)
        assert RUNGS.index(alone) <= RUNGS.index(says), rule.meta.id  # type: ignore[arg-type]  # acts are rungs or were mapped to one
        assert family(rule.meta.id) != "own rules", f"{rule.meta.id} is not in the ladder's table"


def test_what_people_lifted_is_not_locked_again_for_the_same_finding() -> None:
    deciding = Deciding()
    assert deciding.on(finding()).choice == "suspend"
    up = Lock(subject="credential:tok", state="unlocked", command="c", reason="a test", by="ana", at=wire_time(NOW), finding="F-1")
    deciding.put(up)
    again = deciding.on(finding(count=2), NOW + 60)
    assert (again.id, again.choice) == ("auto-F-1.2", "recommend")
    assert "ana lifted" in again.reason
    assert deciding.on(finding(number=2), NOW + 61).choice == "suspend", "a new finding is a new matter"


def test_a_credential_that_a_protected_principal_used_is_for_people_whoever_uses_it_now() -> None:
    deciding = Deciding(protected=frozenset({"root"}))
    deciding.on(finding("D05", "alert", who="root", credential="shared"))
    decision = deciding.on(finding(who="mallory", number=2, credential="shared"))
    assert (decision.choice, decision.policy["protection"]) == ("recommend", "root is protected: two people decide")
    assert deciding.on(finding(who="mallory", number=4, credential="shared")).choice == "recommend", "to have used it takes it from nobody"
    assert deciding.on(finding(who="mallory", number=3, credential="own")).choice == "suspend"


def test_the_breaker_trips_tells_people_and_opens_again() -> None:
    deciding = Deciding(breaker_limit=3)
    made = [deciding.on(finding(who=f"user-{n}", number=n, credential=f"c{n}"), NOW + n) for n in range(5)]
    assert [one.choice for one in made] == ["suspend"] * 3 + ["recommend"] * 2
    assert made[-1].policy["breaker"].startswith("the breaker is open: 3 automatic suspensions")
    assert deciding.on(finding(who="later", number=9, credential="c9"), NOW + 700).choice == "suspend"


def test_one_noisy_thief_does_not_trip_the_breaker_for_the_next() -> None:
    deciding = Deciding(breaker_limit=3)
    assert [deciding.on(finding(number=n), NOW + n).choice for n in range(6)] == ["suspend"] * 6
    assert deciding.on(finding(who="bob", number=7, credential="bob-1"), NOW + 7).choice == "suspend"


def test_a_flood_of_findings_about_everybody_locks_few() -> None:
    deciding = Deciding(breaker_limit=3)
    flood = [deciding.on(finding("D10", "step-up", who=f"u{n}", number=n, credential=f"c{n}"), NOW) for n in range(500)]
    flood += [deciding.on(finding("D13", who=f"v{n}", number=1000 + n, credential=f"d{n}"), NOW) for n in range(500)]
    assert [sum(one.choice == choice for one in flood) for choice in ("step-up", "suspend", "recommend")] == [9, 3, 988]
    assert len(deciding.book.held) == 12


def test_a_memory_of_the_same_decisions_is_the_same_memory() -> None:
    deciding = Deciding()
    made = [deciding.on(finding("D05", "alert")), deciding.on(finding(who="bob", number=2))]
    fresh = Memory()
    for decision in [*made, *made]:
        fresh.put(decision)
    asked = finding("D01", "step-up", number=3)
    assert fresh.seconds(asked, NOW) == deciding.memory.seconds(asked, NOW) == ["D05"]
    assert fresh.acted("suspend", NOW) == deciding.memory.acted("suspend", NOW) == 1
    assert fresh.owners("credential:tok") == ("ann", "bob")


def test_an_imitation_is_neither_protected_nor_taken_for_the_protected() -> None:
    protected = frozenset({"root@example.org"})
    cyrillic = "r\u043eot@example.org"
    for name in (cyrillic, "r0ot@example.org", "root@example.org ", "r00t@example.org", "ro\u200bot@example.org"):
        assert imitated(name, protected) == "root@example.org"
        decision = Deciding(protected).on(finding(who=name, credential=None))
        assert decision.choice == "suspend"
        assert decision.lock is not None
        assert decision.lock.subject == f"principal:{name}", "and never the one that it looks like"
        assert "looks like the protected root@example.org" in decision.policy["names"]
    assert imitated("root@example.org", protected) is None
    assert imitated("bob@example.org", protected) is None
    same = Deciding(protected).on(finding(who="Root@Example.org", credential=None))
    assert same.choice == "recommend", "that is no imitation, but the protected one"
    assert same.subject == "principal:root@example.org"
    assert same_person("Ana", "ana ")
    assert not same_person("ana", "bob")


def test_a_decision_fits_an_event_whatever_names_it_holds() -> None:
    monster = finding(who="\x01" * 9000, credential="\u6f22" * 9000, text="\x02" * 9000, drill="d" * 9000)
    attrs = event_attrs(Deciding().on(monster))
    assert all(len(value) <= 400 for value in attrs.values())
    assert {"decision", "choice", "by", "subject", "findings", "detectors", "alternatives", "guard.breaker"} <= set(attrs)

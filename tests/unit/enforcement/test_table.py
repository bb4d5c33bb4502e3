"""The lock table: who may go on, and what the others are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.instants import Instant, from_wire, to_wire
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Level, Lock

AT = "2026-01-01T00:00:00.000000Z"
START = from_wire(AT)


def lock(subject: str = "principal:a", until: str | None = None, state: str = "locked") -> Lock:
    assert state in ("locked", "unlocked")
    return Lock(subject=subject, state="locked" if state == "locked" else "unlocked", command="c1", reason="r.", by="b", at=AT, until=until)


def fresh(stale_s: float = 30.0, fail_open: bool = False) -> LockTable:
    table = LockTable(stale_s, fail_open)
    table.heartbeat(0.0)
    return table


def test_nobody_is_locked_at_first() -> None:
    assert fresh().check("a", "cred-a", Instant(START, 1.0)) is None


@pytest.mark.parametrize("subject", ["principal:a", "credential:cred-a"])
def test_a_lock_is_a_denial_until_it_is_lifted(subject: str) -> None:
    table, now = fresh(), Instant(START, 1.0)
    table.apply(lock(subject))
    denial = table.check("a", "cred-a", now)
    assert denial is not None
    assert (denial.level, denial.command) == ("suspend", "c1")
    assert subject.replace(":", " ") in denial.text
    assert table.check("b", "cred-b", now) is None
    table.apply(lock(subject, state="unlocked"))
    assert table.check("a", "cred-a", now) is None


def test_a_lock_ends_at_its_time() -> None:
    table = fresh(stale_s=1e9)
    table.apply(lock(until=to_wire(START + 60)))
    assert table.check("a", None, Instant(START + 59.999, 1.0)) is not None
    assert table.check("a", None, Instant(START + 60.0, 1.0)) is None
    assert table.locked(Instant(START + 60.0, 1.0)) == []


def test_an_end_that_cannot_be_read_is_no_end() -> None:
    table = fresh()
    table.apply(lock(until="tomorrow"))
    assert table.check("a", None, Instant(START + 1e9, 1.0)) is not None


@pytest.mark.parametrize(("mono", "served"), [(30.0, True), (30.001, False)])
def test_a_table_that_heard_nothing_for_too_long_denies_everyone(mono: float, served: bool) -> None:
    denial = fresh(30.0).check("a", None, Instant(START, mono))
    assert (denial is None) is served
    if denial is not None:
        assert denial.level is None
        assert denial.command is None
        assert "cannot know" in denial.text


def test_a_table_that_never_heard_denies() -> None:
    denial = LockTable(30.0).check("a", None, Instant(START, 0.0))
    assert denial is not None
    assert "has not heard from the responder yet" in denial.text


def test_a_deployment_may_choose_to_fail_open_but_known_locks_stay() -> None:
    table = LockTable(30.0, fail_open=True)
    assert table.check("a", None, Instant(START, 0.0)) is None
    table.apply(lock())
    assert table.check("a", None, Instant(START, 0.0)) is not None


def test_a_known_lock_is_told_before_ignorance() -> None:
    table = LockTable(30.0)
    table.apply(lock())
    denial = table.check("a", None, Instant(START, 0.0))
    assert denial is not None
    assert denial.level == "suspend"


@given(st.floats(0, 4e9))
def test_wire_times_round_trip(seconds: float) -> None:
    assert abs(from_wire(to_wire(seconds)) - seconds) < 2e-6


@pytest.mark.parametrize(
    "text", ["", "2026-01-01", "2026-02-30T00:00:00.000000Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000+00:00"]
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        from_wire(text)


@pytest.mark.parametrize(
    ("subject", "level", "issued", "passes"),
    [
        ("principal:a", "step-up", None, False),
        ("principal:a", "step-up", START - 1, False),
        ("principal:a", "step-up", START, False),
        ("principal:a", "step-up", START + 1, True),
        ("credential:cred-a", "step-up", START + 1, True),
        ("principal:a", "suspend", START + 1, False),
        ("principal:a", "revoke", START + 1, True),
        ("principal:a", "revoke", START - 1, False),
        ("credential:cred-a", "revoke", START + 1, False),
    ],
)
def test_what_a_token_issued_after_the_lock_opens(subject: str, level: Level, issued: float | None, passes: bool) -> None:
    table = fresh(stale_s=1e9)
    table.apply(Lock(subject=subject, state="locked", command="c1", reason="r", by="b", at=AT, level=level))
    denial = table.check("a", "cred-a", Instant(START + 60, 1.0), issued)
    assert (denial is None) == passes
    if denial is not None:
        assert (denial.level, denial.command) == (level, "c1")
        assert denial.max_age_s == (60 if level == "step-up" else None)


def test_who_watches_hears_of_every_change() -> None:
    table, heard = fresh(), []
    table.watch(lambda: heard.append(len(table.locked(Instant(START, 1.0)))))
    table.apply(lock())
    table.apply_unreadable("principal:b")
    table.apply(lock(state="unlocked"))
    assert heard == [1, 2, 1]

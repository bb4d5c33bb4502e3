"""The lock table: who may go on, and what the others are told."""

import pytest

from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.instants import Instant
from tallystick_schemas.errors import ParseError
from tallystick_schemas.locks import UNREADABLE
from tallystick_schemas.messages import Level, Lock
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of

AT = "2026-01-01T00:00:00.000000Z"
START = seconds_of(AT)


def lock(subject: str = "principal:a", until: str | None = None, state: str = "locked") -> Lock:
    assert state in ("locked", "unlocked")
    return Lock(subject=subject, state="locked" if state == "locked" else "unlocked", command="c1", reason="r.", by="b", at=AT, until=until)


def fresh(stale_s: float = 30.0, fail_open: bool = False) -> LockTable:
    table = LockTable(stale_s, fail_open)
    assert table.heartbeat(START, Instant(START, 0.0))
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
    table.apply(lock(until=wire_time(START + 60)))
    assert table.check("a", None, Instant(START + 59.999, 1.0)) is not None
    assert table.check("a", None, Instant(START + 60.0, 1.0)) is None
    assert table.locked(Instant(START + 60.0, 1.0)) == []


def test_a_lock_that_cannot_be_read_says_so_and_not_since_when() -> None:
    table = fresh()
    table.apply(Lock(subject="principal:a", state="locked", command=UNREADABLE, reason="it cannot be read", by="", at=wire_time(0.0)))
    denial = table.check("a", None, Instant(START, 1.0))
    assert denial is not None
    assert "since" not in denial.text
    assert denial.command == UNREADABLE


def test_one_principal_is_locked_under_all_spellings_of_its_name() -> None:
    table, now = fresh(), Instant(START, 1.0)
    table.apply(lock("principal:User@Example.ORG"))
    for spelling in ("user@example.org", "User@Example.org", "USER@EXAMPLE.ORG"):
        assert table.check(spelling, None, now) is not None
    assert table.check("user2@example.org", None, now) is None
    table.apply(lock("principal:user@example.org"))
    table.apply(lock("principal:User@Example.ORG", state="unlocked"))
    assert table.check("User@Example.org", None, now) is not None, "another word locks it too"
    table.apply(lock("principal:user@example.org", state="unlocked"))
    assert table.check("User@Example.org", None, now) is None


def test_credentials_are_compared_by_their_bytes() -> None:
    table = fresh()
    table.apply(lock("credential:Key"))
    assert table.check("b", "Key", Instant(START, 1.0)) is not None
    assert table.check("b", "key", Instant(START, 1.0)) is None


@pytest.mark.parametrize("subject", ["nonsense", "model:m", "principal:"])
def test_a_word_about_nobody_is_refused(subject: str) -> None:
    with pytest.raises(ParseError):
        fresh().apply(lock(subject))


@pytest.mark.parametrize(("mono", "served"), [(30.0, True), (30.001, False)])
def test_a_table_that_heard_nothing_for_too_long_denies_everyone(mono: float, served: bool) -> None:
    denial = fresh(30.0).check("a", None, Instant(START, mono))
    assert (denial is None) is served
    if denial is not None:
        assert denial.level is None
        assert denial.command is None
        assert "cannot know" in denial.text


@pytest.mark.parametrize(("age_s", "left_s"), [(0.0, 30.0), (20.0, 10.0), (30.0, 0.0), (-20.0, 30.0), (-30.0, 30.0)])
def test_a_heartbeat_counts_from_the_time_that_it_bears(age_s: float, left_s: float) -> None:
    table = LockTable(30.0)
    assert table.heartbeat(START - age_s, Instant(START, 100.0))
    assert table.check("a", None, Instant(START, 100.0 + left_s)) is None
    assert table.check("a", None, Instant(START, 100.1 + left_s)) is not None


@pytest.mark.parametrize(("age_s", "side"), [(30.5, "31 s behind"), (3600.0, "3600 s behind"), (-30.5, "30 s ahead of")])
def test_a_heartbeat_of_another_time_closes_the_table_at_once(age_s: float, side: str) -> None:
    table = fresh(30.0)
    assert not table.heartbeat(START - age_s, Instant(START, 1.0))
    denial = table.check("a", None, Instant(START, 1.0))
    assert denial is not None
    assert side.partition(" ")[2] in denial.text
    assert table.heartbeat(START, Instant(START, 2.0))
    assert table.check("a", None, Instant(START, 2.0)) is None


def test_a_table_that_was_told_of_a_loss_denies_until_the_next_heartbeat() -> None:
    table = fresh(30.0)
    table.apply(lock())
    table.doubt("lost something")
    denial = table.check("b", None, Instant(START, 1.0))
    assert denial is not None
    assert (denial.command, denial.policy) == (None, "locks.known")
    assert "This door lost something, so it cannot know" in denial.text
    known = table.check("a", None, Instant(START, 1.0))
    assert known is not None
    assert known.command == "c1"
    table.heartbeat(START + 1, Instant(START + 1, 1.0))
    assert table.check("b", None, Instant(START + 1, 1.0)) is None


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
    table.apply(lock("principal:b"))
    table.apply(lock(state="unlocked"))
    assert heard == [1, 2, 1]

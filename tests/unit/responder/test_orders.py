"""The book of locks, and people's orders: whose count, and what they make of the book."""

import pytest
from tests.support.history import make_event
from tests.support.responding import NOW, Deciding, book, finding, put

from tallystick_schemas.envelope import Number
from tallystick_schemas.events import Actor, Resource, Why, parse_event
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Lock
from tallystick_schemas.orders import order_of
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.book import lifted


def test_a_lock_names_the_credential_or_the_principal_and_ends() -> None:
    deciding = Deciding()
    lock = deciding.on(finding()).lock
    assert lock is not None
    assert (lock.subject, lock.until, lock.command, lock.evidence) == ("credential:tok", wire_time(NOW + 3600), "auto-F-1", [(0, 1, 2)])
    again = deciding.on(finding(number=2), NOW - 1)
    assert (again.choice, again.lock) == ("note", None), "it is in force for longer already"
    assert "locked already (suspend, command auto-F-1)" in again.reason
    whole = deciding.on(finding(number=3, credential=None)).lock
    assert whole is not None
    assert whole.subject == "principal:ann"
    kept = book()
    put(kept, lock)
    assert kept.expired(NOW + 3599) == []
    [over] = kept.expired(NOW + 3600)
    assert (over.subject, over.state, over.command) == ("credential:tok", "unlocked", "expire-auto-F-1")
    put(kept, over)
    assert kept.expired(NOW + 9999) == []


def test_a_lock_is_prolonged_and_raised_and_never_lowered() -> None:
    deciding = Deciding()
    first = deciding.on(finding("D10", "step-up")).lock
    second = deciding.on(finding("D13", number=2), NOW + 60).lock
    third = deciding.on(finding("D10", "step-up", number=3), NOW + 120).lock
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.level, second.level, third.level) == ("step-up", "suspend", "suspend")
    assert third.until == wire_time(NOW + 120 + 3600)


def test_a_command_is_carried_out_once_and_a_replayed_topic_gives_the_same_book() -> None:
    words = [Lock(subject=f"principal:p{n % 3}", state="locked", command=f"c{n}", reason="r", by="b", at=wire_time(NOW)) for n in range(9)]
    held = [Held(lock, Number(1, n), "responder", "") for n, lock in enumerate(words)]
    first, second = book(), book()
    for one in held:
        first.put(one)
    for one in [*held[::-1], *held[-3:]]:
        second.put(one)
    assert first.held == second.held
    assert first.get("principal:p2") == words[8]
    assert first.made_by("c4") == words[4]
    assert first.made_by("c9") is None


def test_what_is_lifted_names_the_finding_that_had_locked() -> None:
    deciding = Deciding()
    lock = deciding.on(finding(drill="run-1")).lock
    up = lifted(Lock(subject="credential:tok", state="unlocked", command="c", reason="r", by="ana", at=wire_time(NOW)), lock)
    assert (up.finding, up.drill, up.by) == ("F-1", "run-1", "ana")


def order(action: str = "credential.suspend", kind: str = "principal", **attrs: str) -> bytes:
    return make_event(
        1, action=action, actor=Actor("ana", "human"), resource=Resource(kind, "mallory"), why=Why(text="seen twice"), attrs=attrs
    )


def test_a_persons_order_becomes_a_lock_with_its_words() -> None:
    until = wire_time(NOW + 60)
    made = order_of(parse_event(order(command="c-1", until=until, finding="F-9", principal="mal")), (1, 2, 3))
    assert made is not None
    assert (made.confirm, made.principal) == (False, "mal")
    lock = made.lock
    assert (lock.subject, lock.state, lock.command, lock.by, lock.reason) == ("principal:mallory", "locked", "c-1", "ana", "seen twice")
    assert (lock.until, lock.finding, lock.evidence) == (until, "F-9", [(1, 2, 3)])
    lifted = order_of(parse_event(order("credential.resume")), (1, 2, 3))
    assert lifted is not None
    assert (lifted.lock.state, lifted.lock.command, lifted.withdraw) == ("unlocked", "order-1-2-3", False)
    ends = order_of(parse_event(order("credential.resume", withdraw="true")), (1, 2, 3))
    assert ends is not None
    assert ends.withdraw
    assert not made.withdraw
    gone = order_of(parse_event(order("credential.revoke", until=until)), (1, 2, 3))
    assert gone is not None
    assert (gone.lock.level, gone.lock.until) == ("revoke", None), "for good"
    kept = order_of(parse_event(order(confirm="true", level="step-up")), (1, 2, 3))
    assert kept is not None
    assert (kept.confirm, kept.lock.level) == (True, "step-up")


@pytest.mark.parametrize("raw", [order("artifact.read"), order(kind="model"), order("credential.issue")])
def test_what_is_no_order_orders_nothing(raw: bytes) -> None:
    assert order_of(parse_event(raw), (0, 0, 0)) is None


def test_a_strange_command_or_end_is_not_believed() -> None:
    for until in ("tomorrow", "2026-02-31T00:00:00.000000Z"):
        made = order_of(parse_event(order(command="x" * 101, until=until)), (1, 2, 3))
        assert made is not None
        assert (made.lock.command, made.lock.until) == ("order-1-2-3", None)

"""Which findings lock, for how long, and whose orders count."""

import msgspec
import pytest
from tests.support.history import make_event

from tallystick_schemas.events import Actor, Resource, Why, parse_event
from tallystick_schemas.messages import Finding, Lock, VerifiedBatch, VerifiedSegment
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.book import LockBook
from tallystick_stream_jobs.responder.orders import order_of, orders_of
from tallystick_stream_jobs.responder.policy import Policy

NOW = 1_795_406_400.0


def finding(detector: str = "D13", act: str = "suspend", who: str = "ann", number: int = 1, credential: str | None = "tok") -> Finding:
    return Finding(
        id=f"F-{number}",
        detector=detector,
        version=1,
        title="t",
        severity="high",
        principal=who,
        credential=credential,
        time=wire_time(NOW),
        value=1.0,
        threshold=1.0,
        window_s=60,
        evidence=[(0, 1, 2)],
        act=act,  # type: ignore[arg-type]
        deterministic=True,
        techniques=[],
        text="Something.",
        emitted_ms=0,
    )


@pytest.mark.parametrize(
    ("detector", "act", "choice"),
    [
        ("D13", "suspend", "suspend"),
        ("D03", "suspend", "suspend"),
        ("D07a", "suspend", "suspend"),
        ("D01", "step-up", "recommend"),
        ("D01", "alert", "note"),
        ("D12", "signal", "note"),
        ("D01", "suspend", "recommend"),
    ],
)
def test_what_one_finding_does(detector: str, act: str, choice: str) -> None:
    assert Policy().decide(finding(detector, act), NOW).choice == choice


def test_a_second_independent_detector_makes_a_recommendation_a_lock() -> None:
    policy = Policy()
    assert policy.decide(finding("D05", "step-up"), NOW).choice == "recommend"
    assert policy.decide(finding("D05", "step-up", number=2), NOW + 1).choice == "recommend", "the same one again is not a second"
    assert policy.decide(finding("D01", "step-up", who="bob"), NOW + 2).choice == "recommend", "about another person"
    assert policy.decide(finding("D01", "step-up", number=3), NOW + 3).choice == "suspend"
    assert policy.decide(finding("D05", "step-up", who="carol"), NOW).choice == "recommend"
    assert policy.decide(finding("D01", "step-up", who="carol"), NOW + 90_000).choice == "recommend", "a day later it is forgotten"


def test_protected_principals_are_for_people() -> None:
    assert Policy(frozenset({"ann"})).decide(finding(), NOW).choice == "recommend"


def test_the_breaker_trips_and_opens_again() -> None:
    policy = Policy(breaker_limit=3)
    choices = [policy.decide(finding(who=f"user-{n}", number=n), NOW + n).choice for n in range(5)]
    assert choices == ["suspend"] * 3 + ["recommend"] * 2
    assert policy.decide(finding(who="later"), NOW + 700).choice == "suspend"


def test_a_lock_names_the_credential_or_the_principal_and_ends() -> None:
    book = LockBook()
    lock = book.suspend(finding(), "why", "responder", NOW, 60)
    assert lock is not None
    assert (lock.subject, lock.until, lock.command, lock.evidence) == ("credential:tok", wire_time(NOW + 3600), "auto-F-1", [(0, 1, 2)])
    book.put(lock)
    assert book.suspend(finding(number=2), "why", "responder", NOW - 1, 60) is None, "it is in force for longer already"
    assert book.suspend(finding(number=3, credential=None), "why", "responder", NOW, 60).subject == "principal:ann"  # type: ignore[union-attr]
    assert book.expired(NOW + 3599) == []
    [over] = book.expired(NOW + 3600)
    assert (over.subject, over.state, over.command) == ("credential:tok", "unlocked", "expire-auto-F-1")
    book.put(over)
    assert book.expired(NOW + 9999) == []


def test_a_command_is_carried_out_once_and_a_replayed_topic_gives_the_same_book() -> None:
    words = [Lock(subject=f"principal:p{n % 3}", state="locked", command=f"c{n}", reason="r", by="b", at=wire_time(NOW)) for n in range(9)]
    first, second = LockBook(), LockBook()
    for lock in words:
        first.put(lock)
    for lock in [*words, *words[-3:]]:
        second.put(lock)
    assert first.locks == second.locks
    assert first.done("c4")
    assert not first.done("c9")


def order(action: str = "credential.suspend", kind: str = "principal", **attrs: str) -> bytes:
    return make_event(
        1, action=action, actor=Actor("ana", "human"), resource=Resource(kind, "mallory"), why=Why(text="seen twice"), attrs=attrs
    )


def test_a_persons_order_becomes_a_lock_with_its_words() -> None:
    until = wire_time(NOW + 60)
    lock = order_of(parse_event(order(command="c-1", until=until, finding="F-9")), (1, 2, 3))
    assert lock is not None
    assert (lock.subject, lock.state, lock.command, lock.by, lock.reason) == ("principal:mallory", "locked", "c-1", "ana", "seen twice")
    assert (lock.until, lock.finding, lock.evidence) == (until, "F-9", [(1, 2, 3)])
    lifted = order_of(parse_event(order("credential.resume")), (1, 2, 3))
    assert lifted is not None
    assert (lifted.state, lifted.command) == ("unlocked", "order-1-2-3")


@pytest.mark.parametrize("raw", [order("artifact.read"), order(kind="model"), order("credential.revoke")])
def test_what_is_no_order_orders_nothing(raw: bytes) -> None:
    assert order_of(parse_event(raw), (0, 0, 0)) is None


def test_a_strange_command_or_end_is_not_believed() -> None:
    lock = order_of(parse_event(order(command="x" * 101, until="tomorrow")), (1, 2, 3))
    assert lock is not None
    assert (lock.command, lock.until) == ("order-1-2-3", None)


def test_a_batch_gives_its_orders_in_order() -> None:
    segment = VerifiedSegment(
        4, "console", "0" * 32, 0, 0, [(0, order(command="a")), (1, order("artifact.read")), (5, order("credential.resume"))]
    )
    assert [lock.command for lock in orders_of(VerifiedBatch(1, 2, [segment], []))] == ["a", "order-2-4-5"]
    assert msgspec.structs.asdict(orders_of(VerifiedBatch(1, 2, [segment], []))[0])["evidence"] == [(2, 4, 0)]

"""Every durable step of the responder × {lost, done but reported failed, killed right after}: one lock, one decision, and the history knows."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from tallystick_stream_jobs.responder.orders import Order
from tests.support.world import Failed, Fault, Faults, Killed

from tallystick_schemas.messages import Decision, Finding, Lock, encode_json, parse_lock, parse_message
from tallystick_schemas.notices import withdrawn
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, LOCKS
from tallystick_stream_jobs.responder.job import Responder

SETTINGS = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "")
STEPS = [("lock", 1), ("decision", 1), ("written down", 1), ("written down", 2)]


class Topic:
    """The topics `locks` (compacted) and `decisions`: a responder's only memory. Others take what is sent."""

    STEPS: ClassVar = {LOCKS: "lock", DECISIONS: "decision"}

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.sent: list[tuple[str, bytes, bytes]] = []

    async def send(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> Awaitable[None]:
        assert partition is None
        self.faults.do(self.STEPS[topic], lambda: self.sent.append((topic, key, value)))
        return asyncio.sleep(0)

    def compacted(self) -> dict[bytes, bytes]:
        return {key: value for topic, key, value in self.sent if topic == LOCKS}

    def decisions(self) -> list[Decision]:
        return [parse_message(Decision, value) for topic, _, value in self.sent if topic == DECISIONS]


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), STEPS)
def test_a_lock_is_given_and_told_once_whatever_happens(monkeypatch: pytest.MonkeyPatch, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    topic, acts = Topic(faults), []
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_compacted", lambda *_: topic.compacted())
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_decisions", lambda *_: topic.decisions())
    recorder = SimpleNamespace(record=lambda action, **facts: faults.do("written down", lambda: acts.append((action, facts["attrs"]))))
    finding = Finding(
        id="F-1",
        detector="D13",
        version=1,
        title="A decoy was read",
        severity="critical",
        principal="mallory@example.org",
        credential="tok",
        time=wire_time(time.time()),
        value=1.0,
        threshold=1.0,
        window_s=60,
        evidence=[(0, 1, 2)],
        act="suspend",
        deterministic=True,
        techniques=[],
        text="Nobody has a reason to read it.",
        emitted_ms=1,
    )
    raw = encode_json(finding)

    async def process() -> None:
        """A responder's life: it begins with the topic, and with the finding that nobody acked."""
        responder = Responder(SETTINGS, topic, recorder)  # type: ignore[arg-type]  # the parts of them that it uses
        responder.load()
        await responder.tell([await responder.finding(raw)])

    try:
        asyncio.run(process())
    except (Failed, Killed):
        asyncio.run(process())
    assert topic.faults.struck
    locks = [parse_lock(key, value) for key, value in topic.compacted().items()]
    assert [(lock.subject, lock.state, lock.command) for lock in locks if isinstance(lock, Lock)] == [
        ("credential:tok", "locked", "auto-F-1")
    ]
    assert sum(1 for name, _, _ in topic.sent if name == LOCKS) == 1
    [decision] = topic.decisions()
    assert decision.lock is not None
    assert (decision.id, decision.choice, decision.lock.command, decision.findings) == ("auto-F-1", "suspend", "auto-F-1", ["F-1"])
    assert {action for action, _ in acts} == {"credential.suspend", "incident.decide"}
    assert len(acts) <= 4, "written down twice at the most"
    assert {attrs["decision"] for _, attrs in acts} == {"auto-F-1"}


def order(by: str, command: str, **fields: Any) -> Order:
    at = wire_time(time.time())
    return Order(Lock(subject="principal:root", state="locked", command=command, reason="sold", by=by, at=at, level="revoke", **fields))


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), [("decision", 1), ("written down", 1), ("lock", 1), ("decision", 2), ("written down", 2)])
def test_two_peoples_orders_are_carried_out_once_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, step: str, at: int, fault: Fault
) -> None:
    """The first order waits over the end of its process; the second finds it; a third by the first person changes nothing."""
    faults = Faults(step, fault, at)
    topic, acts = played(monkeypatch, faults, [order("ana", "c1"), order("ana", "c2"), order("ben", "c3"), order("cem", "c4")])
    assert faults.struck
    told = [(one.id, one.choice, one.lock is not None) for one in topic.decisions()]
    assert told == [("c1", "recommend", False), ("c2", "note", False), ("c3", "revoke", True), ("c4", "note", False)]
    [lock] = [parse_lock(key, value) for key, value in topic.compacted().items()]
    assert isinstance(lock, Lock)
    assert (lock.by, lock.level, lock.command) == ("ana and ben", "revoke", "c3")
    assert sum(1 for name, _, _ in topic.sent if name == LOCKS) == 1
    assert acts.count("credential.revoke") in (1, 2)
    assert acts.count("incident.decide") in (4, 5)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), [("decision", 2), ("written down", 2), ("decision", 3)])
def test_what_was_withdrawn_has_no_second_whatever_happens(monkeypatch: pytest.MonkeyPatch, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    topic, acts = played(monkeypatch, faults, [order("ana", "c1"), Order(order("ben", "c2").lock, withdraw=True), order("cem", "c3")])
    assert faults.struck
    assert [(one.id, one.choice, one.lock, sorted(withdrawn(one))) for one in topic.decisions()] == [
        ("c1", "recommend", None, []),
        ("c2", "note", None, ["c1"]),
        ("c3", "recommend", None, []),
    ]
    assert topic.compacted() == {}
    assert set(acts) == {"incident.decide"}


def played(monkeypatch: pytest.MonkeyPatch, faults: Faults, orders: list[Order]) -> tuple[Topic, list[str]]:
    """Each order in a process of its own, and in another one when that failed."""
    topic, acts = Topic(faults), list[str]()
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_compacted", lambda *_: topic.compacted())
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_decisions", lambda *_: topic.decisions())
    recorder = SimpleNamespace(record=lambda action, **_: faults.do("written down", lambda: acts.append(action)))

    def life(given: Order) -> Callable[[], Any]:
        async def process() -> None:
            responder = Responder(SETTINGS, topic, recorder)  # type: ignore[arg-type]  # the parts of them that it uses
            responder.load()
            await responder.order(given)

        return process

    for given in orders:
        try:
            asyncio.run(life(given)())
        except (Failed, Killed):
            asyncio.run(life(given)())
    return topic, acts

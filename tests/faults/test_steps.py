"""Every durable step × {lost, done but reported failed, killed right after}: afterwards every event is in the history exactly once.

The world is in memory and made of the real parts (tests/support/world.py); tests/integration/test_deployment.py does it to processes.
"""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from tests.support.history_source import MemorySource
from tests.support.recorder import ALICE, ATLAS, wait_for
from tests.support.world import Failed, Fault, Faults, Killed, World, ids_of

from tallystick_audit.verify.history import verify_source
from tallystick_producers.encoding import Encoder
from tallystick_producers.errors import ProducerError
from tallystick_schemas.messages import Decision, Finding, Lock, encode_json, parse_lock, parse_message
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, LOCKS
from tallystick_stream_jobs.responder.job import Responder

STEPS = [
    "spool write",
    "produce",
    "insert events",
    "insert entries",
    "insert snapshots",
    "receipt",
    "ack",
    "seal",
    "checkpoint sign",
    "publish",
]
PLACES = [(step, at) for step in STEPS for at in (1, 2) if (step, at) != ("insert snapshots", 2)]
"""A snapshot is written once in so few entries."""
EVENTS = 60


def record(world: World, name: str, encoder: Encoder, promised: list[str], offered: list[str]) -> None:
    """One durable event. When its process dies the caller never hears of it: it may be in the history, once, or not at all."""
    raw = encoder.encode("artifact.read", ALICE, ATLAS, "allowed", None, None, None, {"id": name}, None)
    offered.append(name)
    try:
        world.writer.wait(world.writer.put(raw), 10)
    except ProducerError:
        if world.spool.killed:
            world.kill_agent()
            world.start_agent()
            return
        # The disk refused once. The writer kept the event, tries again, and says when it has it.
        wait_for(lambda: world.writer.failure is None, "the writer's next try")
    promised.append(name)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), PLACES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_fault_loses_and_doubles_nothing(tmp_path: Path, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    world, encoder = World(tmp_path, faults), Encoder()
    promised: list[str] = []
    offered: list[str] = []
    try:
        world.seal()
        for number in range(EVENTS):
            record(world, f"event-{number}", encoder, promised, offered)
            if number % 7 == 0:
                world.round()
            if number % 20 == 19:
                world.seal()
        world.settle()
        world.seal()
        world.seal()
    finally:
        world.close()
    assert faults.struck
    history = world.history()
    found = ids_of(history)
    assert len(found) == len(set(found)), "an event is in the history twice"
    assert set(promised) <= set(found) <= set(offered)
    report = verify_source(MemorySource(history), world.log, history.now)
    assert report.failures == ()
    assert (report.integrity.value, report.completeness.value) == ("pass", "pass")
    assert report.events == len(history.events)


def test_the_faults_strike() -> None:
    """The tool itself: what it says happens."""
    done: list[str] = []
    for fault, expected in ((Fault.LOST, []), (Fault.UNSURE, ["x"]), (Fault.KILLED, ["x"])):
        done.clear()
        with pytest.raises(Killed if fault is Fault.KILLED else Failed):
            Faults("x", fault).do("x", lambda: done.append("x"))
        assert done == expected


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
@pytest.mark.parametrize(("step", "at"), [("lock", 1), ("decision", 1), ("written down", 1), ("written down", 2)])
def test_a_lock_is_given_and_told_once_whatever_happens(monkeypatch: pytest.MonkeyPatch, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    topic, acts = Topic(faults), []
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_compacted", lambda *_: topic.compacted())
    monkeypatch.setattr("tallystick_stream_jobs.responder.job.read_decisions", lambda *_: topic.decisions())
    settings = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "")
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
        responder = Responder(settings, topic, recorder)  # type: ignore[arg-type]  # the parts of them that it uses
        responder.load()
        await responder.finding(raw)

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

"""Every durable step × {lost, done but reported failed, killed right after}: afterwards every event is in the history exactly once.

The world is in memory and made of the real parts (tests/support/world.py); tests/integration/test_deployment.py does it to processes.
"""

from pathlib import Path

import pytest
from tests.support.history_source import MemorySource
from tests.support.recorder import ALICE, ATLAS, wait_for
from tests.support.world import Failed, Fault, Faults, Killed, World, ids_of

from tallystick_audit.verify.history import verify_source
from tallystick_producers.encoding import Encoder
from tallystick_producers.errors import ProducerError

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
    "keep notes",
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

"""Every durable step of a delivery, struck by {lost, done but reported failed, killed}: afterwards all is delivered, in order, and written down.

The process ends at every fault, as the real one does, and a new one begins from what the topic holds.
"""

from collections.abc import Callable

import msgspec
import pytest
from tests.support.receiver import NOW, decision
from tests.support.world import Failed, Fault, Faults, Killed

from tallystick_schemas.messages import Delivery, parse_message
from tallystick_stream_jobs.connectors.errors import Refused, Retry
from tallystick_stream_jobs.outbox.core import Limits, Outbox
from tallystick_stream_jobs.outbox.worker import Worker, attempt

DEFAULTS = Limits()
ORDERS = [
    decision("locked", "principal:ann", 1),
    decision("locked", "principal:eve", 2),
    decision("unlocked", "principal:ann", 3),
    decision("locked", "principal:ann", 4, level="revoke"),
    decision("unlocked", "principal:eve", 5),
]


class Elsewhere:
    """A system that drops repeats by id, as webhooks' receivers do; `state` is what counts there."""

    def __init__(self, supersedes: bool, faults: Faults, moody: Callable[[str, int], None] = lambda *_: None) -> None:
        self.supersedes, self._faults, self._moody = supersedes, faults, moody
        self.took: list[str] = []
        self.state: dict[str, str] = {}

    def deliver(self, delivery: Delivery, now: float) -> str:
        self._moody(delivery.id, delivery.attempts)

        def take() -> None:
            if delivery.id not in self.took:
                self.took.append(delivery.id)
                self.state[delivery.decision.subject] = delivery.decision.lock.state

        try:
            self._faults.do("deliver", take)
        except Failed as error:
            raise Retry("no answer in time") from error
        return "did it"


class World:
    """What outlives a process: topic, history, findings, the group's offset, and the systems elsewhere. `faults` strike at the steps by name."""

    def __init__(self, faults: Faults, moody: Callable[[str, int], None] = lambda *_: None, limits: Limits = DEFAULTS) -> None:
        self.faults, self._limits = faults, limits
        self.topic: dict[str, bytes] = {}
        self.history: list[tuple[str, str]] = []
        self.findings: dict[str, str] = {}
        self.offset, self.now, self.processes = 0, NOW, 0
        self.elsewhere = {"acts": Elsewhere(True, faults, moody), "hears": Elsewhere(False, faults, moody)}

    def keep(self, delivery: Delivery) -> None:
        def write() -> None:
            self.topic.pop(delivery.id, None)
            self.topic[delivery.id] = msgspec.json.encode(delivery)

        step = "begin" if delivery.state == "waiting" and delivery.attempts and delivery.error is None else delivery.state
        self.faults.do(f"keep {step}", write)

    def forget(self, delivery_id: str) -> None:
        self.faults.do("forget", lambda: self.topic.pop(delivery_id, None) and None)

    def record(self, delivery: Delivery) -> None:
        self.faults.do("record", lambda: self.history.append((delivery.id, delivery.state)))

    def find(self, finding) -> None:
        self.faults.do("find", lambda: self.findings.update({finding.id: finding.text}))

    def process(self, orders) -> None:
        """One life of the process."""
        self.processes += 1
        outbox = Outbox(self._limits)
        for value in self.topic.values():
            outbox.put(parse_message(Delivery, value))
        worker = Worker(outbox, self.elsewhere, self, lambda: 0.5)
        while self.offset < len(orders) or any(one.state == "waiting" for one in outbox.deliveries.values()):
            if self.offset < len(orders):
                worker.take(orders[self.offset], self.now)
                self.faults.do("commit", lambda: setattr(self, "offset", self.offset + 1))
            for connector, delivery in worker.begin(self.now, 8):
                worker.finish(attempt(connector, delivery, self.now), self.now)
            self.now += 60.0
        worker.clean(self.now)

    def run(self, orders=ORDERS) -> None:
        for _ in range(20):
            try:
                self.process(orders)
            except (Failed, Killed):
                continue
            return
        raise AssertionError("it never came to an end")

    def check(self) -> None:
        """Everything told in order, states as the last order says, each outcome in the history, nothing left waiting."""
        for one in self.elsewhere.values():
            assert one.state == {"principal:ann": "locked", "principal:eve": "unlocked"}
        ids = [f"{one.id}/hears" for one in ORDERS]
        for subject in ("principal:ann", "principal:eve"):
            lane = [f"{one.id}/hears" for one in ORDERS if one.subject == subject]
            assert [one for one in self.elsewhere["hears"].took if one in lane] == lane
        known = {key: parse_message(Delivery, value) for key, value in self.topic.items()}
        assert {known[one].state for one in ids} == {"done"}
        assert {one.state for one in known.values()} <= {"done", "cancelled"}
        assert {(one.id, one.state) for one in known.values() if one.state == "done"} <= set(self.history)


STEPS = ["keep waiting", "keep begin", "keep done", "keep cancelled", "record", "commit", "deliver"]


def shuffled(delivery_id: str, attempts: int) -> None:
    """The acting system is away for the first attempts at ann, so that later orders find her lock waiting."""
    if delivery_id == "cmd-1/acts" and attempts < 3:
        raise Retry("away")


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails(step, fault, at):
    world = World(Faults(step, fault, at), shuffled)
    world.run()
    struck = at == 1 or step != "keep cancelled"
    assert world.faults.struck == struck
    world.check()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("step", ["find", "record", "keep given-up"])
def test_a_step_of_giving_up_that_fails(step, fault):
    def refuses(delivery_id: str, attempts: int) -> None:
        if delivery_id == "cmd-2/hears":
            raise Refused("hook.example answered 401")

    world = World(Faults(step, fault), refuses)
    world.run(ORDERS[:2])
    assert world.faults.struck
    assert parse_message(Delivery, world.topic["cmd-2/hears"]).state == "given-up"
    assert [text for text in world.findings.values() if "hook.example answered 401" in text] == list(world.findings.values())
    assert len(world.findings) == 1
    assert ("cmd-2/hears", "given-up") in world.history
    assert world.elsewhere["hears"].took == ["cmd-1/hears"]


@pytest.mark.parametrize("fault", Fault)
def test_letting_go_that_fails(fault):
    world = World(Faults("forget", fault), limits=Limits(kept_days=0.001))
    world.now = NOW
    world.run()
    assert world.faults.struck
    world.run()
    in_force = {key for key, value in world.topic.items() if parse_message(Delivery, value).decision.lock.state == "locked"}
    assert "cmd-4/acts" in in_force


def test_a_connector_with_a_mistake_stops_nobody_and_tells_no_secret(caplog):
    def broken(delivery_id: str, attempts: int) -> None:
        if delivery_id.endswith("/hears") and attempts < 3:
            raise KeyError("token=s3cret")

    world = World(Faults(), broken)
    world.run()
    world.check()
    assert "KeyError" in caplog.text
    assert "s3cret" not in caplog.text + repr(world.topic) + repr(world.history)


def test_a_connector_that_is_no_longer_configured_is_waited_for_by_nobody():
    world = World(Faults(), lambda *_: (_ for _ in ()).throw(Retry("away")))
    outbox = Outbox()
    worker = Worker(outbox, world.elsewhere, world, lambda: 0.5)
    worker.take(ORDERS[0], NOW)
    worker.connectors = {"hears": world.elsewhere["hears"]}
    worker.begin(NOW, 8)
    gone = parse_message(Delivery, world.topic["cmd-1/acts"])
    assert (gone.state, gone.error) == ("cancelled", "this connector is no longer configured")

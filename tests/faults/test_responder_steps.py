"""Every durable step of the responder × {lost, done but reported failed, killed right after}: one lock, one decision, and the history knows."""

import asyncio
from typing import Any

import pytest
from tests.support.owning import Agent, Site, finding_message, lock, order_message, responder
from tests.support.responding import finding
from tests.support.world import Failed, Fault, Faults, Killed

from tallystick_schemas.events import Actor, Event, Resource
from tallystick_schemas.messages import Lock
from tallystick_schemas.notices import withdrawn
from tallystick_schemas.orders import Order
from tallystick_schemas.records import parse_record, split_items
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DECISIONS, FINDINGS, LOCKS
from tallystick_stream_jobs.responder.job import Lane, _handle_acts, _handle_finding

NAMES = {LOCKS: "lock", DECISIONS: "decision"}


class FaultyAgent(Agent):
    """A recorder whose writes may be lost, or end the process."""

    def __init__(self, site: Site, faults: Faults) -> None:
        super().__init__(site, "responder", start=len(site.log) + len(site.spools.get("responder", ())) + 10)
        self._faults = faults

    def record(self, action: str, *, durable: bool = False, **fields: Any) -> str:
        self._faults.do("written down", lambda: super(FaultyAgent, self).record(action, durable=durable, **fields) and None)
        return ""


def life(site: Site, faults: Faults, topic: str, message: Any) -> None:
    """A responder's process: it begins with what is known, and takes the message that nobody acked."""
    made = responder(site, before=lambda at, key, put: faults.do(NAMES.get(at, at), put), recorder=FaultyAgent(site, faults))
    made.load()
    lane = Lane(made, topic, _handle_finding if topic == FINDINGS else _handle_acts)

    async def once() -> None:
        commit = await lane.process([message])
        assert commit is not None
        await commit()

    asyncio.run(once())


def lives(site: Site, faults: Faults, topic: str, message: Any) -> None:
    """One process, and another one when it failed."""
    try:
        life(site, faults, topic, message)
    except (Failed, Killed):
        life(site, faults, topic, message)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr("time.time", lambda: made.clock)
    return made


def recorded(site: Site) -> list[Event]:
    from tallystick_schemas.events import parse_event

    return [parse_event(raw) for record in site.spools.get("responder", []) for raw in split_items(parse_record(record).body)]


def on_topic(site: Site) -> list[Lock]:
    return [held.lock for held in site.door().topic.held.values()]


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), [("written down", 1), ("lock", 1), ("decision", 1), ("written down", 2)])
def test_a_lock_is_given_and_told_once_whatever_happens(site: Site, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    fields = {"actor": Actor("ann", "human", credential="tok"), "resource": Resource("decoy", "bait")}
    offset = site.append(Agent(site, "gateway").segment("artifact.read", **fields))
    lives(site, faults, FINDINGS, finding_message(finding(proof=(0, offset, 0), evidence=[(0, offset, 0)], time=wire_time(site.clock))))
    assert faults.struck
    assert [(one.subject, one.state, one.command) for one in on_topic(site)] == [("credential:tok", "locked", "auto-F-1")]
    [decision] = site.decisions()
    assert decision.lock is not None
    assert (decision.id, decision.choice, decision.lock.command, decision.findings) == ("auto-F-1", "suspend", "auto-F-1", ["F-1"])
    events = recorded(site)
    locking = [one for one in events if one.action == "credential.suspend"]
    assert len(locking) == 1 or (step, fault) == ("written down", Fault.UNSURE), (
        "a step that is reported failed is done again, under a number of its own"
    )
    assert {one.action for one in events} >= {"credential.suspend", "incident.decide"}
    assert [one.action for one in events].index("credential.suspend") < [one.action for one in events].index("incident.decide")


def order(by: str, command: str, at: float, **fields: Any) -> Order:
    return Order(lock("principal:root", command, at=at, by=by, reason="sold", level="revoke", **fields))


def played(site: Site, faults: Faults, given: list[Order]) -> None:
    """Each order in a process of its own, and in another one when that failed."""
    for number, one in enumerate(given):
        lives(site, faults, ACTS, order_message(site, one, start=number + 1))


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(
    ("step", "at"), [("decision", 1), ("written down", 1), ("lock", 1), ("decision", 2), ("written down", 2), ("written down", 3)]
)
def test_two_peoples_orders_are_carried_out_once_whatever_happens(site: Site, step: str, at: int, fault: Fault) -> None:
    """The first order waits over the end of its process; the second finds it; a third by the first person changes nothing."""
    faults = Faults(step, fault, at)
    people = [("ana", "c1"), ("ana", "c2"), ("ben", "c3"), ("cem", "c4")]
    played(site, faults, [order(by, command, site.clock) for by, command in people])
    assert faults.struck
    told = {one.id: (one.choice, one.lock is not None) for one in site.decisions()}
    assert told == {"c1": ("recommend", False), "c2": ("note", False), "c3": ("revoke", True), "c4": ("note", False)}
    assert [one.id for one in site.decisions()] == ["c1", "c2", "c3", "c4"]
    [one] = on_topic(site)
    assert (one.by, one.level, one.command) == ("ana and ben", "revoke", "c3")
    actions = [event.action for event in recorded(site)]
    assert actions.count("credential.revoke") in (1, 2)
    assert actions.count("incident.decide") in (4, 5)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize(("step", "at"), [("decision", 2), ("written down", 2), ("decision", 3)])
def test_what_was_withdrawn_has_no_second_whatever_happens(site: Site, step: str, at: int, fault: Fault) -> None:
    faults = Faults(step, fault, at)
    ends = Order(lock("principal:root", "c2", at=site.clock, by="ben", reason="sold", state="unlocked"), withdraw=True)
    played(site, faults, [order("ana", "c1", site.clock), ends, order("cem", "c3", site.clock)])
    assert faults.struck
    assert [(one.id, one.choice, one.lock, sorted(withdrawn(one))) for one in site.decisions()] == [
        ("c1", "recommend", None, []),
        ("c2", "note", None, ["c1"]),
        ("c3", "recommend", None, []),
    ]
    assert on_topic(site) == []
    assert {event.action for event in recorded(site)} == {"incident.decide"}

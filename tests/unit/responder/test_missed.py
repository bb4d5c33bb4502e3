"""Orders that the ledger has and `acts` never brought: carried out from there, once, and told; played on a site in memory."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from tests.support.owning import Agent, Site, SiteSources, finding_message, finding_told, order_message, responder
from tests.support.responding import finding
from tests.support.signing import directive, role_key
from tests.unit.responder.test_owning import acts, evidence, finds, locked, order, owner, tick, watch

from tallystick_schemas.events import Actor, Resource
from tallystick_schemas.messages import Finding
from tallystick_schemas.roles import Keyring
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.job import Responder
from tallystick_stream_jobs.responder.missed import Missed
from tallystick_stream_jobs.responder.watching import Looked


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr("time.time", lambda: made.clock)
    return made


def began(site: Site) -> Responder:
    made = owner(site)
    tick(made, site)
    return made


def look(made: Responder, site: Site, times: int = 5) -> None:
    for _ in range(times):
        watch(made, site)


def told(site: Site) -> list[str]:
    return [one.detector for one in site.findings()]


def wiped(site: Site) -> None:
    """Kafka's data is gone but for what operators signed; the ledger is whole."""
    site.deliver()
    site.told = []
    site.locks = [pair for pair in site.locks if pair[0] is not None and pair[0].startswith(b"_role/")]


def test_an_order_that_acts_never_brought_is_carried_out_from_the_ledger_and_pages(site: Site) -> None:
    made = began(site)
    order_message(site, order(site))
    look(made, site, 3)
    assert (locked(site), told(site)) == ({}, []), "it may still come"
    look(made, site)
    assert locked(site) == {"principal:eve": "c1"}
    [found] = site.findings()
    assert (found.detector, found.severity, found.evidence) == ("R07", "critical", [(0, 0, 0)])
    assert "Order c1 about 'principal:eve' by 'ana' stands in the history" in found.text
    [decision] = site.decisions()
    assert (decision.id, decision.by, decision.choice) == ("c1", "ana", "suspend")


def test_one_that_comes_late_is_not_carried_out_again(site: Site) -> None:
    made = began(site)
    late = order_message(site, order(site))
    look(made, site)
    before = list(site.locks)
    acts(made, late)
    assert (site.locks, [one.id for one in site.decisions()]) == (before, ["c1"])


def test_what_acts_brought_is_told_of_nobody(site: Site) -> None:
    made = began(site)
    acts(made, order_message(site, order(site)))
    acts(made, order_message(site, order(site, "unlocked", "c2"), start=2))
    acts(made, order_message(site, order(site, command="c3", until=wire_time(site.clock - 9)), start=3))
    assert "would be over before it begins" in site.decisions()[-1].reason
    look(made, site)
    assert (locked(site), told(site), len(site.decisions())) == ({}, [], 3)


def test_orders_to_lift_and_those_that_wait_for_a_second_person_come_from_the_ledger_too(site: Site) -> None:
    made = began(site)
    acts(made, order_message(site, order(site)))
    order_message(site, order(site, "unlocked", "c2"), start=2)
    order_message(site, order(site, command="c3", subject="principal:root", level="revoke"), start=3)
    look(made, site)
    assert locked(site) == {}
    assert [(one.id, one.choice) for one in site.decisions()] == [("c1", "suspend"), ("c2", "reinstate"), ("c3", "recommend")]


@pytest.mark.parametrize(
    ("agent", "key"), [("gateway", ""), ("mallory", ""), ("cli", "mallory")], ids=["another role", "no role", "a key of somebody else"]
)
def test_nobody_becomes_a_commander_by_the_ledger(site: Site, agent: str, key: str) -> None:
    made = began(site)
    order_message(site, order(site), agent, key=key)
    look(made, site)
    assert (locked(site), told(site)) == ({}, [])


def test_an_owner_that_begins_carries_out_no_order_again(site: Site) -> None:
    first = began(site)
    acts(first, order_message(site, order(site)))
    acts(first, order_message(site, order(site, "unlocked", "c2"), start=2))
    look(began(site), site)
    assert (locked(site), told(site)) == ({}, [])


def test_where_kafka_was_wiped_the_ledger_says_what_was_decided(site: Site) -> None:
    """The book has the newest word of each subject alone: that c1 was carried out stands in the history only."""
    first = began(site)
    acts(first, order_message(site, order(site)))
    acts(first, order_message(site, order(site, "unlocked", "c2"), start=2))
    acts(first, order_message(site, order(site, command="c3", until=wire_time(site.clock - 9)), start=3))
    wiped(site)
    look(began(site), site)
    assert (locked(site), told(site)) == ({}, [])


def test_that_an_order_was_decided_is_a_responders_word(site: Site) -> None:
    made = began(site)
    order_message(site, order(site))
    says: dict[str, Any] = {"actor": Actor("responder", "service"), "resource": Resource("principal", "eve"), "attrs": {"decision": "c1"}}
    for agent in ("gateway", "cli", "mallory"):
        site.append(Agent(site, agent, start=9).segment("incident.decide", **says))
    look(made, site)
    assert locked(site) == {"principal:eve": "c1"}


def test_an_owner_looks_for_orders_of_the_last_hour(site: Site) -> None:
    """No responder ran for two hours, and what `acts` had for it is lost: the older order is left to people."""
    order_message(site, order(site))
    site.clock += 5400
    order_message(site, order(site, command="c2", subject="principal:bob"), start=2)
    site.clock += 1800
    look(began(site), site)
    assert (locked(site), told(site)) == ({"principal:bob": "c2"}, ["R07"])


def test_without_the_store_nothing_is_found_and_nothing_lost(site: Site) -> None:
    made = began(site)
    order_message(site, order(site))
    site.store_up = False
    look(made, site)
    assert (locked(site), told(site)) == ({}, [])
    site.store_up = True
    look(made, site)
    assert (locked(site), told(site)) == ({"principal:eve": "c1"}, ["R07"])


def test_who_lost_the_turn_looks_no_longer(site: Site) -> None:
    made = began(site)
    order_message(site, order(site))
    look(made, site, 3)
    made.lose()
    site.clock += 60
    asyncio.run(made.watch(None, site.clock))
    assert (locked(site), told(site)) == ({}, [])


def test_a_key_that_is_revoked_by_now_orders_nothing_from_the_ledger(site: Site) -> None:
    made = began(site)
    order_message(site, order(site))
    made.own.topic.take(role_key("cli"), directive("cli", n=2, revoked=True))
    look(made, site)
    assert (locked(site), told(site)) == ({}, [])


class Slow(Agent):
    """A recorder whose disk lets others have their turn."""

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str:
        await asyncio.sleep(0.01)
        return self.record(action, durable=durable, **fields)


def test_what_acts_brings_in_the_very_moment_is_carried_out_once(site: Site) -> None:
    made = responder(site, recorder=Slow(site, "responder"))
    made.load()
    given = order(site)

    async def both() -> None:
        await asyncio.gather(made.order(given), made.order(given))

    asyncio.run(both())
    assert [key for key, _ in site.locks].count(b"principal:eve") == 1
    assert [one.id for one in site.decisions()] == ["c1"]


def test_what_acts_brought_while_others_were_told_of_is_told_of_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = began(site)
    given = order(site)
    acts(made, order_message(site, given))

    async def looked(_seen: object, _now: float) -> Looked:
        return Looked([], [given])

    monkeypatch.setattr(made.watching, "look", looked)
    asyncio.run(made.watch(None, site.clock))
    assert (told(site), len(site.decisions())) == ([], 1)


def test_the_ledger_is_asked_about_decisions_for_what_is_not_known_alone(site: Site) -> None:
    asked: list[list[str]] = []

    class Counting(SiteSources):
        def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]:
            asked.append(sorted(commands))
            return super().decided(keyring, commands)

    missed = Missed(Counting(site, "responder"), site.keyring(), {"c1"}.__contains__, site.clock)
    order_message(site, order(site))
    order_message(site, order(site, command="c2"), start=2)
    assert missed.orders(site.clock) == []
    assert [one.lock.command for one in missed.orders(site.clock + 15)] == ["c2"]
    assert missed.orders(site.clock + 99) == [], "each is handed out once"
    assert asked == [["c2"]]


# Findings


def found_by(site: Site, *, agent: str = "detectors", key: str = "", **more: Any) -> Finding:
    """A finding that stands in the history, and nowhere else."""
    at = evidence(site)
    one = finding(proof=(0, at, 0), evidence=[(0, at, 0)], time=wire_time(site.clock), **more)
    finding_told(site, one, agent, key=key, start=len(site.log) + 1)
    return one


def test_a_finding_that_the_topic_never_brought_pages_and_locks_nobody(site: Site) -> None:
    made = began(site)
    found_by(site)
    look(made, site, 10)
    assert told(site) == [], "it may still come"
    look(made, site, 5)
    [said] = site.findings()
    assert (said.detector, "F-1 (D13, about 'ann')" in said.text, locked(site)) == ("R07", True, {})
    look(made, site, 15)
    assert told(site) == ["R07"]


def test_a_finding_that_was_decided_on_is_not_missed(site: Site) -> None:
    made = began(site)
    finds(made, finding_message(found_by(site)))
    finds(made, finding_message(found_by(site, number=2)))
    assert [one.choice for one in site.decisions()] == ["suspend", "note"]
    look(made, site, 15)
    assert told(site) == []
    wiped(site)
    look(began(site), site, 15)
    assert "R07" not in told(site), "the history says so as well, also of what made no lock"


@pytest.mark.parametrize(
    "more", [{"act": "alert"}, {"mode": "recommend"}, {"suppressed": "exempt"}, {"agent": "gateway"}, {"key": "mallory"}]
)
def test_what_asks_for_no_lock_or_is_nobodys_finding_is_not_missed(site: Site, more: dict[str, Any]) -> None:
    made = began(site)
    found_by(site, **more)
    look(made, site, 15)
    assert told(site) == []

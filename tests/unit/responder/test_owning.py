"""Who owns the topic of locks: books rebuilt from signed words, fences, repairs, proofs before acting. Played on a site in memory."""

import asyncio
from typing import Any, NamedTuple

import pytest
from tests.support.owning import Agent, Site, acts_message, finding_message, lock, order_message, responder
from tests.support.responding import finding
from tests.support.signing import Speaker, directive, role_key

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Resource
from tallystick_schemas.locks import in_force
from tallystick_schemas.messages import Signal, encode_json
from tallystick_schemas.orders import Order
from tallystick_schemas.roles import Scope
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, FINDINGS, LOCKS
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.detectors.d07a_key_fork import KeyFork
from tallystick_stream_jobs.errors import NotTheOwner
from tallystick_stream_jobs.responder.job import Lane, Responder, _handle_acts, _handle_finding
from tallystick_stream_jobs.responder.mirror import Seen


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr("time.time", lambda: made.clock)
    return made


def owner(site: Site, agent: str = "responder", **more: Any) -> Responder:
    made = responder(site, agent, **more)
    made.load()
    return made


def acts(responder: Responder, message: Any) -> None:
    run(Lane(responder, ACTS, _handle_acts), message)


def finds(responder: Responder, message: Any) -> None:
    run(Lane(responder, FINDINGS, _handle_finding), message)


def run(lane: Lane, message: Any) -> None:
    async def once() -> None:
        commit = await lane.process([message])
        assert commit is not None
        await commit()

    asyncio.run(once())


def tick(responder: Responder, site: Site, seconds: float = 1.0) -> None:
    site.clock += seconds
    asyncio.run(responder.tick(site.clock))


class Shown(NamedTuple):
    """A mirror of the topic."""

    seen: Seen


def watch(responder: Responder, site: Site, seconds: float = 6.0) -> None:
    site.clock += seconds

    asyncio.run(responder._look(Shown(site.seen()), site.clock))  # type: ignore[arg-type]  # the part of a mirror that it uses


def locked(site: Site) -> dict[str, str]:
    """Subject -> command, as a door that begins now knows them."""
    return {one.subject: one.command for one in site.door().topic.locked(site.clock)}


def order(site: Site, state: str = "locked", command: str = "c1", **more: Any) -> Order:
    asked = {name: more.pop(name) for name in ("replaces", "confirm", "lifts") if name in more}
    return Order(lock(command=command, at=site.clock, state=state, **more), **asked)


# Orders


def test_an_order_is_carried_out_as_its_record_says_and_the_history_has_the_lock_before_the_topic(site: Site) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site)))
    assert locked(site) == {"principal:eve": "c1"}
    site.locks = [pair for pair in site.locks if pair[0] != b"principal:eve"]
    again = owner(site)
    assert again.own.book.get("principal:eve") is not None, "from the spool: the event was on disk before the value went out"


def test_what_the_batch_says_orders_nothing_when_the_record_says_otherwise(site: Site) -> None:
    made = owner(site)
    harmless = site.append(Agent(site, "cli").segment("artifact.read", actor=Actor("ana", "human"), resource=Resource("model", "m")))
    acts(made, acts_message(harmless))
    assert locked(site) == {}


@pytest.mark.parametrize(
    ("agent", "key"), [("gateway", ""), ("mallory", ""), ("cli", "mallory")], ids=["another role", "no role", "a key of somebody else"]
)
def test_an_order_by_nobody_who_may_give_one_is_none(site: Site, agent: str, key: str) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site), agent, key=key))
    assert (locked(site), site.decisions()) == ({}, [])


@pytest.mark.parametrize("speaker", ["gateway", "responder", "detectors", "mallory"])
def test_a_batch_that_no_notary_signed_is_nobodys_word(site: Site, speaker: str) -> None:
    made = owner(site)
    record = order_message(site, order(site))
    assert record.value is not None
    acts(made, acts_message(len(site.log) - 1, speaker=speaker))
    assert (locked(site), site.decisions()) == ({}, [])


def test_a_changed_record_orders_nothing(site: Site) -> None:
    made = owner(site)
    message = order_message(site, order(site))
    site.log[-1] = site.log[-1].replace(b"seen twice", b"seen never")
    acts(made, message)
    assert locked(site) == {}


def test_an_old_order_to_lift_lifts_nothing(site: Site) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site)))
    late = order_message(site, order(site, "unlocked", "c2"), start=2)
    site.clock += 7200
    acts(made, late)
    assert locked(site) == {"principal:eve": "c1"}
    assert "too old to act on" in site.decisions()[-1].reason


def test_a_standing_lock_is_weakened_by_an_order_that_names_it_alone(site: Site) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site)))
    until = wire_time(site.clock + 60)
    acts(made, order_message(site, order(site, command="c2", until=until), start=2))
    assert locked(site) == {"principal:eve": "c1"}
    assert "would weaken or shorten" in site.decisions()[-1].reason
    acts(made, order_message(site, order(site, command="c3", until=until, replaces="c9"), start=3))
    assert locked(site) == {"principal:eve": "c1"}
    acts(made, order_message(site, order(site, command="c4", until=until, replaces="c1"), start=4))
    assert locked(site) == {"principal:eve": "c4"}


@pytest.mark.parametrize("lifts", ["c1", None], ids=["it names the lock", "an agent of before"])
def test_an_order_to_lift_that_comes_late_lifts_no_newer_lock(site: Site, lifts: str | None) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site)))
    late = order_message(site, order(site, "unlocked", "c2", lifts=lifts), start=2)
    site.clock += 60
    acts(made, order_message(site, order(site, command="c3"), start=3))
    acts(made, late)
    assert locked(site) == {"principal:eve": "c3"}
    assert "principal:eve is locked by command c3 (suspend, " in site.decisions()[-1].reason
    acts(made, order_message(site, order(site, "unlocked", "c4", lifts="c3"), start=4))
    assert locked(site) == {}


def test_an_order_that_the_ledger_never_gets_pages(site: Site) -> None:
    made = owner(site)
    acts(made, order_message(site, order(site), stored=False))
    watch(made, site, 30)
    assert site.findings() == []
    watch(made, site, 31)
    [found] = site.findings()
    assert (found.detector, found.severity) == ("R06", "critical")
    assert "order c1 was acted on" in found.text
    assert locked(site) == {"principal:eve": "c1"}, "a lock is not lifted for want of a proof"


def test_another_record_in_the_orders_place_pages_at_once(site: Site) -> None:
    made = owner(site)
    message = order_message(site, order(site))
    site.ledger[len(site.log) - 1] = Agent(site, "cli", start=9).segment(
        "artifact.read", actor=Actor("ana", "human"), resource=Resource("model", "m")
    )
    acts(made, message)
    watch(made, site)
    assert ["the ledger has another record in its place" in one.text for one in site.findings()] == [True]


# Findings


def evidence(site: Site, agent: str = "gateway", who: str = "ann", **more: Any) -> int:
    fields = {"actor": Actor(who, "human", credential="tok"), "resource": Resource("decoy", "models/bait")} | more
    return site.append(Agent(site, agent, start=len(site.log) + 1).segment("artifact.read", **fields))


def test_a_finding_with_a_proven_event_locks(site: Site) -> None:
    made = owner(site)
    at = evidence(site)
    finds(made, finding_message(finding(proof=(0, at, 0), evidence=[(0, at, 0)], time=wire_time(site.clock))))
    assert locked(site) == {"credential:tok": "auto-F-1"}


@pytest.mark.parametrize("speaker", ["responder", "outbox", "notary", "gateway", "mallory"])
def test_a_finding_by_another_part_than_detection_locks_nobody(site: Site, speaker: str) -> None:
    made = owner(site)
    at = evidence(site)
    finds(made, finding_message(finding(proof=(0, at, 0), evidence=[(0, at, 0)], time=wire_time(site.clock)), speaker))
    assert (locked(site), site.decisions()) == ({}, [])


def weak(site: Site, **more: Any) -> str:
    """The reason of a decision that only recommends."""
    made = owner(site)
    finds(made, finding_message(finding(time=wire_time(site.clock), **more)))
    [decision] = site.decisions()
    assert (decision.choice, decision.lock, locked(site)) == ("recommend", None, {})
    return decision.reason


def test_a_finding_without_proof_is_for_people(site: Site) -> None:
    assert "names no record" in weak(site)


def test_a_finding_about_somebody_else_than_its_event_is_for_people(site: Site) -> None:
    at = evidence(site, who="bob")
    assert "is not about ann" in weak(site, proof=(0, at, 0), evidence=[(0, at, 0)])


def test_evidence_of_an_agent_without_a_scope_is_for_people(site: Site) -> None:
    site.locks.append((role_key("collector"), directive("collector", ["recorder"], scope=None)))
    at = evidence(site, "collector")
    assert "no operator said what collector may vouch for" in weak(site, proof=(0, at, 0), evidence=[(0, at, 0)])


def test_evidence_beyond_an_agents_scope_is_for_people(site: Site) -> None:
    """A collector of logs may not read decoys in other people's names."""
    site.locks.append((role_key("collector"), directive("collector", ["recorder"], scope=Scope(resources=["model/*"]))))
    at = evidence(site, "collector")
    assert "collector may not vouch for artifact.read by ann" in weak(site, proof=(0, at, 0), evidence=[(0, at, 0)])


def test_evidence_by_nobody_is_for_people(site: Site) -> None:
    at = evidence(site, "mallory")
    assert "no operator gives a role" in weak(site, proof=(0, at, 0), evidence=[(0, at, 0)])


def test_what_detection_says_rests_on_unvouched_words_is_for_people(site: Site) -> None:
    at = evidence(site)
    assert "rests on what collector may not vouch for" in weak(site, proof=(0, at, 0), evidence=[(0, at, 0)], unvouched=["collector"])


def test_evidence_that_does_not_reach_the_ledger_in_ten_seconds_pages(site: Site) -> None:
    made = owner(site)
    at = evidence(site)
    gone = (0, at + 7, 0)
    finds(made, finding_message(finding(proof=(0, at, 0), evidence=[(0, at, 0), gone], time=wire_time(site.clock))))
    watch(made, site, 11)
    assert [one.detector for one in site.findings()] == ["R06"]


def forked(site: Site, verdict: Verdict, agent: str = "gateway") -> Responder:
    """An owner who locked agent `gateway` because of a fork, whose entry in the ledger has this verdict and is of this agent's segment."""
    made = owner(site)
    at = evidence(site)
    signal = Signal(at, Verdict.FORK, "gateway", "", "", 0, int(site.clock * 1000), "two segments 0", at)
    told = KeyFork().notice({}, 0, signal)
    assert told is not None
    if agent != "gateway":
        site.ledger[at] = site.log[evidence(site, agent)]
    site.verdicts[at] = verdict
    finds(made, finding_message(told))
    assert set(locked(site)) == {"principal:gateway"}
    return made


@pytest.mark.parametrize("verdict", [Verdict.FORK, Verdict.SEEN, Verdict.ACCEPTED, Verdict.OUT_OF_ORDER])
def test_a_fork_in_the_ledger_pages_nobody_a_second_time(site: Site, verdict: Verdict) -> None:
    """The fold refuses one side of a fork, and has it: with verdict 3, or 2 where the number is an old one."""
    made = forked(site, verdict)
    watch(made, site)
    watch(made, site, 61)
    assert site.findings() == []


@pytest.mark.parametrize(
    ("verdict", "agent"), [(Verdict.BAD_SIGNATURE, "gateway"), (Verdict.REVOKED_KEY, "gateway"), (Verdict.FORK, "collector")]
)
def test_a_fork_that_the_ledger_has_otherwise_pages(site: Site, verdict: Verdict, agent: str) -> None:
    made = forked(site, verdict, agent)
    watch(made, site)
    assert ["the ledger has another record in its place" in one.text for one in site.findings()] == [True]


@pytest.mark.parametrize("verdict", [Verdict.FORK, Verdict.SEEN])
def test_evidence_about_a_person_that_was_refused_pages(site: Site, verdict: Verdict) -> None:
    """Refused events are no part of the history: nobody may be locked by them unseen."""
    made = owner(site)
    at = evidence(site)
    site.verdicts[at] = verdict
    finds(made, finding_message(finding(proof=(0, at, 0), evidence=[(0, at, 0)], time=wire_time(site.clock))))
    watch(made, site)
    assert [one.detector for one in site.findings()] == ["R06"]


# The topic


def standing(site: Site, **more: Any) -> Responder:
    """An owner with one lock and its heartbeat."""
    made = owner(site, **more)
    acts(made, order_message(site, order(site)))
    site.deliver()
    tick(made, site)
    assert site.door().agreed
    return made


def test_a_fresh_deployment_opens_by_a_signed_empty_book(site: Site) -> None:
    tick(owner(site), site)
    read = site.door()
    assert (read.agreed, read.heartbeat is not None and read.heartbeat.count) == (True, 0)


def test_a_tombstone_lifts_nothing_and_is_repaired_and_told(site: Site) -> None:
    made = standing(site)
    site.locks.append((b"principal:eve", None))
    assert not site.door().agreed or locked(site) == {"principal:eve": "c1"}, "a door that begins now does not know, and denies"
    tick(made, site)
    assert not site.door().agreed
    watch(made, site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})
    [found] = site.findings()
    assert (found.detector, "principal:eve" in found.text) == ("R05", True)


@pytest.mark.parametrize("speaker", [None, "gateway", "mallory"])
def test_a_forged_lifting_lifts_nothing_and_is_repaired_and_told(site: Site, speaker: str | None) -> None:
    made = standing(site)
    body = encode_json(lock(state="unlocked", at=site.clock))
    value = body if speaker is None else Speaker(speaker, fence=99).says(LOCKS, b"principal:eve", body)
    site.locks.append((b"principal:eve", value))
    tick(made, site)
    assert not site.door().agreed
    watch(made, site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})
    assert [one.detector for one in site.findings()] == ["R05"]


def test_an_old_lifting_of_our_own_lifts_nothing(site: Site) -> None:
    made = standing(site)
    acts(made, order_message(site, order(site, "unlocked", "c2"), start=2))
    lifting = site.locks[-1]
    acts(made, order_message(site, order(site, command="c3"), start=3))
    site.locks.append(lifting)
    tick(made, site)
    assert not site.door().agreed, "a door that begins now sees the old lifting alone, and that the count is another"
    watch(made, site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c3"})


def lifted(site: Site) -> Responder:
    """An owner that lifted its one lock, and a topic that carries both words."""
    made = standing(site)
    acts(made, order_message(site, order(site, "unlocked", "c2", lifts="c1"), start=2))
    site.deliver()
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {})
    return made


def without_lifting(site: Site) -> None:
    site.locks.remove([pair for pair in site.locks if pair[0] == b"principal:eve"][1])


def repaired(made: Responder, site: Site) -> None:
    """Doors that begin now do not know; the responder writes the lifting again, and tells of it once."""
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (False, {"principal:eve": "c1"})
    watch(made, site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {})
    watch(made, site)
    [found] = site.findings()
    assert (found.detector, "principal:eve" in found.text) == ("R05", True)


def test_a_lifting_that_the_topic_lost_is_written_again(site: Site) -> None:
    made = lifted(site)
    without_lifting(site)
    repaired(made, site)


def test_an_old_lock_of_our_own_locks_nobody_who_was_lifted(site: Site) -> None:
    """Compaction leaves the copy, and takes the lifting before it."""
    made = lifted(site)
    site.locks.append(next(pair for pair in site.locks if pair[0] == b"principal:eve"))
    repaired(made, site)


def test_a_lifting_under_somebodys_word_is_written_again_for_who_reads_all(site: Site) -> None:
    made = lifted(site)
    without_lifting(site)
    site.locks.append((b"principal:eve", b"nobody's word"))
    watch(made, site)
    assert [one.detector for one in site.findings()] == ["R05"]


@pytest.mark.parametrize("left", [(), ((b"principal:eve", None),)], ids=["gone", "cleaned up"])
def test_a_lifting_without_its_lock_is_not_missed(site: Site, left: tuple[Any, ...]) -> None:
    made = lifted(site)
    site.locks = [pair for pair in site.locks if pair[0] != b"principal:eve"] + list(left)
    tick(made, site)
    watch(made, site)
    assert (site.door().agreed, locked(site), site.findings()) == (True, {}, [])


def test_who_takes_a_topic_over_without_its_lifting_writes_it_before_the_first_heartbeat(site: Site) -> None:
    lifted(site)
    without_lifting(site)
    made = owner(site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {})
    assert [one.detector for one in site.findings()] == ["R05"]

    assert owner(site).own.lacking() == []


def test_who_takes_a_wiped_topic_over_writes_no_lifting(site: Site) -> None:
    lifted(site)
    site.locks = [pair for pair in site.locks if pair[0] is not None and pair[0].startswith(b"_role/")]
    tick(owner(site), site)
    assert ([key for key, _ in site.locks].count(b"principal:eve"), site.findings()) == (0, [])


def test_a_wiped_topic_is_made_again_from_the_ledger(site: Site) -> None:
    standing(site)
    site.locks = [pair for pair in site.locks if pair[0] is not None and pair[0].startswith(b"_role/")]
    assert locked(site) == {}
    made = owner(site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})
    assert [one.detector for one in site.findings()] == ["R05"]


def test_doors_stay_shut_while_neither_topic_nor_ledger_can_tell(site: Site) -> None:
    standing(site)
    site.locks = [pair for pair in site.locks if pair[0] is not None and pair[0].startswith(b"_role/")]
    site.store_up = False
    made = owner(site)
    tick(made, site)
    assert site.door().heartbeat is None
    acts(made, order_message(site, order(site, command="c5", subject="principal:mallory"), start=5, stored=False))
    assert locked(site) == {"principal:mallory": "c5"}, "the kill switch works while the store is down"
    site.store_up = True
    watch(made, site)
    tick(made, site)
    assert site.door().agreed
    assert set(locked(site)) == {"principal:eve", "principal:mallory"}


def test_a_restart_without_the_store_goes_on_when_the_topic_is_whole(site: Site) -> None:
    standing(site)
    site.store_up = False
    made = owner(site)
    tick(made, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})


def test_an_older_copy_of_the_topic_is_not_taken_for_whole_without_the_store(site: Site) -> None:
    made = owner(site)
    tick(made, site)
    copy = list(site.locks)
    acts(made, order_message(site, order(site)))
    site.locks, site.store_up = copy, False
    site.clock += 31
    tick(owner(site), site)
    assert site.door().heartbeat is not None
    assert site.locks == [*copy], "no new heartbeat: its newest is too old to go by"


def test_a_directive_that_the_topic_lost_is_written_again(site: Site) -> None:
    made = standing(site)
    site.locks = [pair for pair in site.locks if pair[0] != role_key("gateway")]
    watch(made, site)
    assert (role_key("gateway"), directive("gateway")) in site.locks


# Two owners


def two(site: Site) -> tuple[Responder, Responder]:
    site.locks.append((role_key("responder.b"), directive("responder.b", ["responder"])))
    first = standing(site)
    second = owner(site, "responder.b")
    tick(second, site)
    return first, second


def test_who_was_stopped_and_goes_on_writes_nothing_that_counts(site: Site) -> None:
    """The book of one that was stopped for 14 s has the short lock; the other's has the person's."""
    first = owner(site)
    acts(first, order_message(site, order(site, until=wire_time(site.clock + 180))))
    site.deliver()
    tick(first, site)
    site.locks.append((role_key("responder.b"), directive("responder.b", ["responder"])))
    second = owner(site, "responder.b")
    acts(second, order_message(site, order(site, command="c2", until=wire_time(site.clock + 3600)), start=2))
    site.deliver("responder.b")
    tick(second, site, 200)
    tick(first, site, 0)
    site.deliver()
    assert locked(site) == {"principal:eve": "c2"} or not site.door().agreed
    watch(second, site)
    tick(second, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c2"})


def test_the_higher_fence_stops_who_sees_it(site: Site) -> None:
    first, second = two(site)
    watch(first, site)
    with pytest.raises(NotTheOwner):
        tick(first, site)
    tick(second, site)
    assert site.door().agreed


def test_who_lost_the_partitions_writes_nothing(site: Site) -> None:
    first, _ = two(site)
    first.lose()
    before = list(site.locks)
    with pytest.raises(NotTheOwner):
        acts(first, order_message(site, order(site, "unlocked", "c2"), start=2))
    assert site.locks == before


def test_a_lock_that_died_with_its_owner_before_the_topic_had_it_is_found_in_the_ledger(site: Site) -> None:
    def dies(topic: str, key: bytes | None, put: Any) -> None:
        if topic == LOCKS and key == b"principal:eve":
            raise KeyboardInterrupt
        put()

    first = owner(site, before=dies)
    message = order_message(site, order(site))
    with pytest.raises(KeyboardInterrupt):
        acts(first, message)
    site.locks.append((role_key("responder.b"), directive("responder.b", ["responder"])))
    second = owner(site, "responder.b")
    tick(second, site)
    assert locked(site) == {}, "only the spool of the first has it"
    site.deliver()
    watch(second, site)
    tick(second, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})


# Role keys


def test_locks_of_a_revoked_key_hold_until_signed_again_and_its_later_liftings_count_for_nothing(site: Site) -> None:
    standing(site)
    live = site.door().topic
    site.locks.append((role_key("responder"), directive("responder", n=2, revoked=True)))
    live.take(*site.locks[-1])
    stolen = Speaker("responder", fence=50).says(LOCKS, b"principal:eve", encode_json(lock(state="unlocked", at=site.clock)))
    site.locks.append((b"principal:eve", stolen))
    with pytest.raises(ParseError, match="revoked"):
        live.take(b"principal:eve", stolen)
    assert [one.command for one in live.locked(site.clock)] == ["c1"]
    site.locks.append((role_key("responder.b"), directive("responder.b", ["responder"])))
    second = owner(site, "responder.b")
    tick(second, site)
    assert (site.door().agreed, locked(site)) == (True, {"principal:eve": "c1"})
    assert site.door().topic.held["principal:eve"].agent == "responder.b"


def test_events_of_before_give_their_locks(site: Site) -> None:
    """A deployment of the version before wrote no lock as JSON into its events."""
    attrs = {"command": "old-1", "by": "ana", "level": "suspend", "decision": "old-1", "until": wire_time(site.clock + 999)}
    before = Agent(site, "responder").segment(
        "credential.suspend", actor=Actor("responder", "service"), resource=Resource("credential", "tok"), attrs=attrs
    )
    site.append(before)
    tick(owner(site), site)
    assert locked(site) == {"credential:tok": "old-1"}
    assert in_force(site.door().topic.held["credential:tok"].lock, site.clock + 997)
    assert site.findings() == [], "nothing was taken away: it was never there in this form"


def test_words_of_somebody_else_in_the_ledger_are_none(site: Site) -> None:
    told = {"lock": encode_json(lock(state="locked", at=site.clock)).decode(), "number": "9 9", "decision": "x"}
    for agent in ("gateway", "mallory"):
        site.append(
            Agent(site, agent).segment(
                "credential.suspend", actor=Actor("responder", "service"), resource=Resource("principal", "eve"), attrs=told
            )
        )
    tick(owner(site), site)
    assert locked(site) == {}


def test_numbers_rise_over_restarts_and_wipes(site: Site) -> None:
    first = standing(site)
    newest = first.newest
    site.locks = [pair for pair in site.locks if pair[0] is not None and pair[0].startswith(b"_role/")]
    second = owner(site)
    tick(second, site)
    assert second.newest > newest


def test_who_gets_its_turn_back_after_another_had_it_begins_anew(site: Site) -> None:
    """Stopped for longer than a session, and never told: what is ordered then must stand above what the other one wrote."""
    first = owner(site)
    tick(first, site)
    site.locks.append((role_key("responder.second"), directive("responder.second", ("responder",))))
    other = owner(site, "responder.second")
    acts(other, order_message(site, order(site)))
    acts(other, order_message(site, order(site, "unlocked", "c2", by="ben")))
    assert locked(site) == {}
    site.deliver("responder.second")
    before = first.own.writer.numbers.fence
    first.load()
    assert first.own.writer.numbers.fence > before
    acts(first, order_message(site, order(site, command="c3")))
    assert locked(site) == {"principal:eve": "c3"}


def test_who_has_its_turn_still_keeps_its_fence(site: Site) -> None:
    made = owner(site)
    tick(made, site)
    before = made.own.writer.numbers.fence
    made.load()
    assert made.own.writer.numbers.fence == before


def test_who_loses_its_turn_in_the_middle_of_a_beat_goes_on_without_it(site: Site) -> None:
    """It was told: it need not end, join again and so take the turn from the other one."""
    over: list[bool] = []

    def before(topic: str, key: bytes | None, put: Any) -> None:
        put()
        if over and topic == LOCKS:
            made.lose()

    made = responder(site, before=before)
    made.load()
    acts(made, order_message(site, order(site, until=wire_time(site.clock + 10))))
    over.append(True)
    tick(made, site, 20)
    assert made._own is None
    assert locked(site) == {}


def test_who_was_never_told_that_its_turn_is_over_ends(site: Site) -> None:
    made = owner(site)
    made.own.writer.stop()
    with pytest.raises(NotTheOwner):
        tick(made, site)

"""Orders: one person's, two people's, confirming, lifting, revoking; and what they are refused."""

from typing import Any

import pytest
from tests.support.responding import NOW, Deciding, finding

from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.notices import notices, pending, withdrawn
from tallystick_schemas.orders import Order
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.decisions import about_order
from tallystick_stream_jobs.responder.memory import Memory
from tallystick_stream_jobs.responder.people import Ruling, Situation, rule, waiting

TWO_PEOPLE_S = 1800.0


class Office:
    """People order; book and memory keep what came of it, as the responder does."""

    def __init__(self, protected: str = "") -> None:
        self.deciding, self.protected, self.number = Deciding(), protected, 0
        self.told: list[Decision] = []

    def order(
        self, by: str, now: float = NOW, *, confirm: bool = False, withdraw: bool = False, until: float | None = None, **fields: Any
    ) -> Decision:
        lifts = fields.pop("lifts", None)
        self.number += 1
        known: dict[str, Any] = {"subject": "principal:ann", "state": "locked", "reason": "seen twice", "evidence": [(9, self.number, 0)]}
        end = None if until is None else wire_time(until)
        lock = Lock(command=f"c{self.number}", by=by, at=wire_time(now), until=end, **{**known, **fields})
        standing = self.deciding.book.get(lock.subject)
        first = waiting(self.deciding.memory.first(lock), now)
        waits = tuple(one for one in self.deciding.memory.firsts(lock.subject) if waiting(one, now) is not None)
        order = Order(lock, confirm, withdraw=withdraw, lifts=lifts)
        ruling = rule(order, Situation(standing, first, self.protected, now, TWO_PEOPLE_S, waits))
        decision = about_order(order, ruling, "ann", now)
        if decision.lock is not None:
            self.deciding.put(decision.lock)
        self.deciding.memory.put(decision)
        self.told.append(decision)
        return decision


def test_one_person_locks_and_lifts_who_is_not_protected() -> None:
    office = Office()
    locked, lifted = office.order("ana"), office.order("ana", state="unlocked")
    assert (locked.choice, lifted.choice) == ("suspend", "reinstate")
    assert locked.evidence == [(9, 1, 0)], "the order itself: a signed event"


def test_an_order_lifts_the_lock_that_it_names_and_no_other() -> None:
    office = Office()
    office.order("ana")
    office.order("cem", NOW + 60)
    other = office.order("ben", NOW + 120, state="unlocked", lifts="c1")
    assert (other.choice, other.lock, other.proposed) == ("note", None, None)
    assert other.reason == (
        f"refused: principal:ann is locked by command c2 (suspend, {wire_time(NOW + 60)[:19]}Z, by cem: seen twice), and this order lifts command c1; "
        "who knows of that lock and lifts it orders it again, with `tallystick unlock` or in the console"
    )
    assert office.order("ben", NOW + 121, state="unlocked", lifts="c2").choice == "reinstate"
    late = office.order("dee", NOW + 122, state="unlocked", lifts="c2")
    assert (late.lock, late.reason) == (
        None,
        f"refused: ben lifted the lock of principal:ann at {wire_time(NOW + 121)[:19]}Z: seen twice; there is nothing left to lift",
    ), "who was faster, and why, stays the last word"


def test_an_order_of_before_that_names_no_lock_lifts_none_of_later() -> None:
    office = Office()
    office.order("ana", NOW + 60)
    early = office.order("ben", NOW + 59, state="unlocked")
    assert "this order was given at" in early.reason
    assert early.lock is None
    assert office.order("ben", NOW + 60, state="unlocked").choice == "reinstate"


def test_a_lock_whose_time_is_over_is_in_nobodys_way() -> None:
    office = Office()
    office.order("ana", until=NOW + 60)
    assert office.order("ben", NOW + 61, state="unlocked", lifts="c0").choice == "reinstate"


def test_withdrawing_and_locking_are_about_no_standing_lock() -> None:
    office = Office()
    office.order("ana", NOW + 60)
    office.order("ana", NOW + 61, level="revoke")
    assert withdrawn(office.order("ben", NOW + 30, withdraw=True, state="unlocked")) == {"c2"}
    assert office.order("ben", NOW + 30, until=None).choice == "suspend"


def test_two_people_lift_the_same_lock() -> None:
    office = Office()
    office.order("ana")
    office.protected = "ann is protected"
    first = office.order("ana", NOW + 1, state="unlocked", lifts="c1")
    assert (first.choice, first.policy["lifts"]) == ("recommend", "c1")
    office.protected = ""
    office.order("cem", NOW + 2)
    office.protected = "ann is protected"
    anew = office.order("ben", NOW + 3, state="unlocked", lifts="c3")
    assert (anew.choice, anew.lock) == ("recommend", None), "ana knew nothing of that lock"
    second = office.order("ana", NOW + 4, state="unlocked", lifts="c3")
    assert second.lock is not None
    assert second.lock.by == "ben and ana"


@pytest.mark.parametrize("fields", [{"level": "suspend"}, {"level": "step-up"}, {"state": "unlocked"}, {"level": "revoke"}])
def test_a_protected_principal_needs_two_people_for_all_of_it(fields: dict[str, Any]) -> None:
    office = Office("ann is protected: two people decide")
    first = office.order("ana", **fields)
    assert (first.choice, first.lock) == ("recommend", None)
    assert first.proposed is not None
    assert first.expires == wire_time(NOW + TWO_PEOPLE_S)
    again = office.order("Ana ", NOW + 1, **fields)
    assert (again.choice, again.lock, again.proposed) == ("note", None, None)
    assert "Ana  is not a second person: ana ordered the same" in again.reason
    second = office.order("ben", NOW + 2, **fields)
    assert second.lock is not None
    assert second.lock.by == "ana and ben"
    assert second.evidence == [(9, 1, 0), (9, 3, 0)]
    assert "ana ordered it (command c1), ben as well" in second.policy["two-people"]
    third = office.order("cem", NOW + 3, **fields)
    assert third.lock is None, "the two orders are used up"


def test_a_revocation_always_needs_two_and_nobody_lifts_it() -> None:
    office = Office()
    assert office.order("ana", level="revoke").lock is None
    done = office.order("ben", NOW + 1, level="revoke")
    assert (done.choice, done.lock is not None and done.lock.until) == ("revoke", None)
    for fields in ({"state": "unlocked"}, {"level": "suspend"}, {"level": "revoke"}):
        refused = office.order("cem", NOW + 2, **fields)
        assert (refused.choice, refused.lock, refused.proposed) == ("note", None, None)
        assert "the way back is a new credential" in refused.reason


def test_the_second_must_say_the_same_and_in_time() -> None:
    office = Office("protected")
    office.order("ana")
    assert office.order("ben", state="unlocked").lock is None, "something else"
    assert office.order("ben", subject="principal:bob").lock is None, "about somebody else"
    late = office.order("ben", NOW + TWO_PEOPLE_S)
    assert late.lock is None, "the first order is over; this is a first one again"
    assert late.proposed is not None
    assert office.order("ana", NOW + TWO_PEOPLE_S + 1).lock is not None


def test_confirming_keeps_the_lock_and_its_words_and_takes_its_end() -> None:
    office = Office()
    automatic = office.deciding.on(finding()).lock
    assert automatic is not None
    kept = office.order("ana", NOW + 60, confirm=True, subject="credential:tok").lock
    assert kept is not None
    assert (kept.until, kept.level, kept.finding, kept.by, kept.command) == (None, "suspend", "F-1", "ana", "c1")
    assert kept.reason == "Something. Confirmed: seen twice"
    assert kept.evidence == [(0, 1, 2), (9, 1, 0)]
    assert office.deciding.book.expired(NOW + 1e9) == []
    longer = office.order("ana", NOW + 61, confirm=True, subject="credential:tok", until=NOW + 9000).lock
    assert longer is not None
    assert longer.until == wire_time(NOW + 9000)
    nothing = office.order("ana", confirm=True, subject="principal:nobody")
    assert nothing.lock is None
    assert "nothing to confirm" in nothing.reason


def test_what_waits_and_what_was_held_is_told() -> None:
    office = Office("protected")
    first = office.order("ana")
    assert pending(office.told, NOW + 1) == [first]
    assert pending(office.told, NOW + TWO_PEOPLE_S) == []
    office.order("ben", NOW + 2)
    assert pending(office.told, NOW + 3) == []
    assert notices(office.told, NOW) == []
    flood = Deciding(breaker_limit=1)
    decisions = [flood.on(finding(who=f"u{n}", number=n, credential=f"c{n}")) for n in range(4)]
    [sentence] = notices(decisions, NOW + 1)
    assert sentence.startswith("The breaker is open: 3 findings about 3 subjects were not acted on")
    assert notices(decisions, NOW + 601) == []


def test_anybody_withdraws_what_waits_and_the_lock_stays() -> None:
    office = Office()
    standing = office.order("ana").lock
    first = office.order("ana", NOW + 1, level="revoke")
    gone = office.order("ben", NOW + 2, withdraw=True, state="unlocked", reason="a misunderstanding")
    assert (gone.choice, gone.lock, gone.proposed, gone.alternatives) == ("note", None, None, [])
    assert gone.reason == f"withdrawn by ben: revoke, ordered by ana (command {first.id}): a misunderstanding"
    assert gone.evidence == [(9, 3, 0)], "the order itself: a signed event"
    assert withdrawn(gone) == {first.id}
    assert (pending(office.told, NOW + 3), office.deciding.memory.firsts("principal:ann")) == ([], [])
    assert office.deciding.book.get("principal:ann") == standing
    again = office.order("ben", NOW + 4, level="revoke")
    assert again.lock is None, "what was withdrawn has no second"
    assert again.proposed is not None
    fresh = Memory()
    for decision in office.told:
        fresh.put(decision)
    assert fresh.firsts("principal:ann") == [again]


def test_every_order_that_waits_is_withdrawn_and_nobody_elses() -> None:
    office = Office("protected")
    mine = [office.order("ana"), office.order("ana", level="revoke"), office.order("ben", state="unlocked")]
    other = office.order("ana", subject="principal:bob")
    gone = office.order("cem", NOW + 1, withdraw=True, state="unlocked")
    assert withdrawn(gone) == {one.id for one in mine}
    assert pending(office.told, NOW + 2) == [other]


def test_nothing_is_withdrawn_where_nothing_waits_or_by_a_signal() -> None:
    office = Office("protected")
    nothing = office.order("ana", withdraw=True, state="unlocked")
    assert "refused: no order about principal:ann waits for a second person" in nothing.reason
    first = office.order("ana", level="revoke")
    late = office.order("ana", NOW + TWO_PEOPLE_S, withdraw=True, state="unlocked")
    assert (late.reason[:8], withdrawn(late)) == ("refused:", frozenset())
    lock = Lock(subject="principal:ann", state="unlocked", reason="r", command="set-1", by="signals:idp", at=wire_time(NOW))
    signal = rule(Order(lock, withdraw=True), Situation(None, first, "", NOW, TWO_PEOPLE_S, (first,)))
    assert (signal.reason, signal.policy) == ("refused: a signal from outside withdraws no person's order", {})


def test_a_new_process_knows_what_waits() -> None:
    office = Office("protected")
    first = office.order("ana")
    fresh = Memory()
    for decision in office.told:
        fresh.put(decision)
    assert first.proposed is not None
    assert fresh.first(first.proposed) == first


def test_a_refusal_is_a_decision_with_its_sentence() -> None:
    order = Order(Lock(subject="principal:ann", state="locked", command="c", reason="r", by="ana", at=wire_time(NOW)))
    decision = about_order(order, Ruling("refused: because"), None, NOW)
    assert (decision.choice, decision.reason, decision.id, decision.lock) == ("note", "refused: because", "c", None)
    assert [(other.choice, other.reason) for other in decision.alternatives] == [("suspend", "refused: because")]


@pytest.mark.parametrize("until", [NOW - 300, NOW, NOW + 60])
def test_a_lock_that_is_over_before_it_begins_replaces_none(until: float) -> None:
    office = Office()
    standing = office.order("ana", until=NOW + 3600).lock
    refused = office.order("ben", NOW + 60, until=until)
    assert (refused.choice, refused.lock, refused.proposed) == ("note", None, None)
    assert "would be over before it begins; nothing was changed" in refused.reason
    assert office.deciding.book.get("principal:ann") == standing
    confirming = office.order("ben", NOW + 60, until=until, confirm=True)
    assert (confirming.lock, office.deciding.book.get("principal:ann")) == (None, standing)


def test_an_order_that_comes_when_its_time_is_over_locks_nobody() -> None:
    late = Lock(subject="principal:ann", state="locked", reason="r", command="c", by="ana", at=wire_time(NOW), until=wire_time(NOW + 300))
    assert rule(Order(late), Situation(None, None, "", NOW + 299, TWO_PEOPLE_S)).lock == late
    assert rule(Order(late), Situation(None, None, "", NOW + 300, TWO_PEOPLE_S)).lock is None


@pytest.mark.parametrize("name", ["", "  ", "\u200b\u00a0", "an\x1b[2Jn", "ann\n", "ann\u2028"])
def test_who_cannot_be_seen_is_not_locked_and_can_still_be_lifted(name: str) -> None:
    office = Office()
    refused = office.order("ana", subject=f"principal:{name}")
    assert (refused.lock, refused.reason[:18]) == (None, "refused: the name ")
    assert office.order("ana", subject=f"principal:{name}", state="unlocked").lock is not None

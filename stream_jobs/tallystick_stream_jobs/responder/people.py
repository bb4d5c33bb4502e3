"""What becomes of people's orders: carried out, kept until a second person says the same, withdrawn meanwhile, or refused with a sentence.

Pure, and given the time.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from tallystick_schemas.locks import in_force, weaker
from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.notices import LIFTS, WITHDRAWS, choice_of
from tallystick_schemas.orders import MAX_REASON, Order
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of

from ..shared_signals.vocabulary import FROM_A_SIGNAL
from .book import lifted
from .names import flaw_of, same_person

MAX_LIFTING_AGE_S: Final = 3_600.0
"""An order to lift that comes later lifts nothing: what was right an hour ago may meanwhile be wrong, and a replay is old."""
_SHOWN: Final = 200


@dataclass(frozen=True)
class Ruling:
    """`lock`: to be written; `proposed`: what a second person's order would write until `expires`; neither: withdrawn or refused, as `reason` says."""

    reason: str
    lock: Lock | None = None
    proposed: Lock | None = None
    expires: str | None = None
    policy: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """What an order meets. `first`: the same order by somebody, waiting; `protected`: why two people are needed, or nothing.
    `waits`: every order about the subject that waits for a second person."""

    standing: Lock | None
    first: Decision | None
    protected: str
    now: float
    two_people_s: float
    waits: tuple[Decision, ...] = ()


def rule(order: Order, met: Situation) -> Ruling:
    """Carry out, keep, or refuse. What was revoked stays so: not even two people lift it."""
    if order.withdraw:
        return _withdrawn(order.lock, met)
    standing = met.standing
    if standing is not None and standing.state == "locked" and standing.level == "revoke":
        return Ruling(f"refused: {standing.subject} was revoked for good (command {standing.command}); the way back is a new credential")
    if order.confirm and not in_force(standing, met.now):
        return Ruling(f"refused: {order.lock.subject} is not locked now, so there is nothing to confirm; `tallystick lock` locks it")
    if order.lock.state == "unlocked" and met.now - seconds_of(order.lock.at) > MAX_LIFTING_AGE_S:
        return Ruling(
            f"refused: this order to lift was given at {order.lock.at[:16]}Z and is too old to act on; give it again if it still stands"
        )
    if flaw := _flaw(order.lock, met.now):
        return Ruling(f"refused: {flaw}; nothing was changed")
    if order.lock.command.startswith(FROM_A_SIGNAL):
        return _outside(order.lock, met)
    if flaw := _lifts_another(order, met) or _weakens(order, met):
        return Ruling(f"refused: {flaw}")
    lock = _confirmed(order.lock, standing) if order.confirm and standing is not None else lifted(order.lock, standing)
    why = "a revocation is for good: two people decide" if lock.level == "revoke" else met.protected
    if not why:
        return Ruling(lock.reason, lock=lock, policy={"two-people": "one person's order is enough"})
    return _second(lock, why, met)


def _lifts_another(order: Order, met: Situation) -> str:
    """Why an order would lift a lock that who gave it did not see: the one he saw went, or another took its place, while the order was under way."""
    standing = met.standing
    if order.lock.state != "unlocked" or standing is None:
        return ""  # whom this book does not know as locked a door may: lifting is free then
    if standing.state == "unlocked" and order.lifts:
        said = f"{standing.by} lifted the lock of {standing.subject} at {standing.at[:19]}Z: {standing.reason[:_SHOWN]}"
        return f"{said}; there is nothing left to lift"
    if not in_force(standing, met.now) or order.lifts == standing.command:
        return ""
    if order.lifts is None and seconds_of(order.lock.at) >= seconds_of(standing.at):
        return ""  # agents of before name no lock; theirs counts as one that was given later
    given = f"lifts command {order.lifts}" if order.lifts else f"was given at {order.lock.at[:19]}Z, before that, and names no lock"
    return (
        f"{standing.subject} is locked by command {standing.command} ({standing.level}, {standing.at[:19]}Z, by {standing.by}: "
        f"{standing.reason[:_SHOWN]}), and this order {given}; who knows of that lock and lifts it orders it again, with `tallystick unlock` or in the console"
    )


def _withdrawn(order: Lock, met: Situation) -> Ruling:
    """One person is enough, whoever it is: afterwards everything is as it was before the first order, and two people may order it again."""
    if order.command.startswith(FROM_A_SIGNAL):
        return Ruling("refused: a signal from outside withdraws no person's order")
    if not met.waits:
        return Ruling(f"refused: no order about {order.subject} waits for a second person, so there is nothing to withdraw")
    what = "; ".join(f"{choice_of(one.proposed or order)}, ordered by {one.by} (command {one.id})" for one in met.waits)
    policy = {WITHDRAWS: " ".join(one.id for one in met.waits), "two-people": "one person's order withdraws what waits"}
    return Ruling(f"withdrawn by {order.by}: {what}: {order.reason}", policy=policy)


def _flaw(lock: Lock, now: float) -> str:
    """Why a lock would hold nobody, or nothing. A lock that is over before it begins would lift the one that stands. Lifting is free of this."""
    if lock.state != "locked":
        return ""
    if lock.until is not None and seconds_of(lock.until) <= max(seconds_of(lock.at), now):
        return f"a lock of {lock.subject} until {lock.until[:19]}Z would be over before it begins"
    return flaw_of(lock.subject.partition(":")[2])


def _weakens(order: Order, met: Situation) -> str:
    """Why an order would leave less of a standing lock than there is, without saying that it knows that lock. Lifting and confirming say so themselves."""
    standing = met.standing
    if order.lock.state != "locked" or order.confirm or standing is None or not in_force(standing, met.now):
        return ""
    if not weaker(order.lock, standing) or order.replaces == standing.command:
        return ""
    until = f" until {standing.until[:16]}Z" if standing.until else " without an end"
    return (
        f"{standing.subject} is locked already ({standing.level}{until}, command {standing.command}), and this order would weaken or shorten that; "
        f"an order that replaces {standing.command} says so"
    )


def _outside(lock: Lock, met: Situation) -> Ruling:
    """A signal of another system is no person: it locks nobody who needs two of them, is nobody's second, and makes no standing lock weaker or shorter."""
    if met.protected:
        return Ruling(f"refused: {met.protected}, and a signal from outside is neither of them")
    standing = met.standing
    if standing is not None and in_force(standing, met.now) and (standing.until is None or standing.until >= (lock.until or "9")):
        if standing.level != "step-up":
            return Ruling(f"refused: {standing.subject} is locked for longer already (command {standing.command})")
        lock = msgspec.structs.replace(lock, until=standing.until)
    return Ruling(lock.reason, lock=lock, policy={"signal": "its issuer may lock whom it answers for"})


def _confirmed(order: Lock, standing: Lock) -> Lock:
    """The standing lock under a new command, with another end or none; its own words stay in front."""
    reason = f"{standing.reason.rstrip('. ')}. Confirmed: {order.reason}"
    kept = standing.evidence + order.evidence
    return msgspec.structs.replace(
        standing, command=order.command, by=order.by, at=order.at, until=order.until, reason=reason[:MAX_REASON], evidence=kept
    )


def _second(lock: Lock, why: str, met: Situation) -> Ruling:
    first = met.first
    lifts = {LIFTS: met.standing.command} if lock.state == "unlocked" and met.standing is not None else {}
    if first is None or first.proposed is None or first.policy.get(LIFTS, lifts.get(LIFTS)) != lifts.get(LIFTS):
        expires = wire_time(met.now + met.two_people_s)
        reason = f"waits for a second person until {expires[11:16]} UTC: {why}"
        return Ruling(reason, proposed=lock, expires=expires, policy={"two-people": reason, **lifts})
    if same_person(first.proposed.by, lock.by):
        return Ruling(
            f"refused: {lock.by} is not a second person: {first.proposed.by} ordered the same at {first.at[11:16]} UTC (command {first.id}); "
            "somebody else must order it as well"
        )
    both = msgspec.structs.replace(
        lock, by=f"{first.proposed.by} and {lock.by}", evidence=first.proposed.evidence + lock.evidence, reason=lock.reason[:MAX_REASON]
    )
    said = f"{why}; {first.proposed.by} ordered it (command {first.id}), {lock.by} as well"
    return Ruling(lock.reason, lock=both, policy={"two-people": said})


def waiting(decision: Decision | None, now: float) -> Decision | None:
    """A first order that still waits for its second."""
    if decision is None or decision.expires is None or seconds_of(decision.expires) <= now:
        return None
    return decision

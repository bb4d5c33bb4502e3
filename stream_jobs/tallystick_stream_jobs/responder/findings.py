"""What the responder finds: R05 the topic of locks was tampered with, R06 what it acted on is not in the history, R07 what the history has and
no topic brought, R08 agents were shown another history. Pure."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.orders import Order
from tallystick_schemas.signing import wire_time
from tallystick_schemas.words import counted

ME: Final = "responder"
_TITLES: Final = {
    "R05": "Locks were taken out of their topic",
    "R06": "Acted on what the history does not have",
    "R07": "What the history has did not arrive",
    "R08": "Agents were shown another history",
}
_SHOWN: Final = 5


def tampered(subjects: Sequence[str], now: float) -> Finding:
    """R05: words about locks were not on the topic, where the responder had put them; they stand there again."""
    shown = ", ".join(f"{subject[:100]!r}" for subject in sorted(subjects)[:_SHOWN])
    more = f" and {len(subjects) - _SHOWN} more" if len(subjects) > _SHOWN else ""
    text = (
        f"The newest word about {counted(len(subjects), 'subject')} stood no longer on the topic of locks: {shown}{more}. It was written again; "
        "doors that read the topic meanwhile denied everybody. Find out who can write to the broker, or who restored it from a copy."
    )
    return _finding("R05", "\0".join(sorted(subjects)) + f"\0{now:.0f}", text, now, [])


def unconfirmed(what: str, reason: str, places: Sequence[Place], now: float) -> Finding:
    """R06: `what` was acted on, and the ledger does not have it as it was read."""
    text = f"{what} was acted on, and {reason}. Look at the lock, and at who can write to the broker and the store."
    return _finding("R06", what, text, now, list(places))


def not_brought(order: Order, now: float) -> Finding:
    """R07: an order stands in the ledger, and `acts` did not bring it. It is carried out from there, as any other would be."""
    lock = order.lock
    text = (
        f"Order {lock.command} about {lock.subject[:100]!r} by {lock.by[:100]!r} stands in the history, and topic acts did not bring it. The "
        "responder acts on it as it stands there; its decision says what came of it. Find out who can write to the broker, or holds messages back."
    )
    return _finding("R07", lock.command, text, now, list(lock.evidence))


def not_heard(found: Sequence[Finding], now: float) -> Finding:
    """R07: findings that ask for locks stand in the ledger, and `findings` did not bring them. The responder locks nobody by that: people decide."""
    first = sorted(found, key=lambda one: one.id)
    shown = "; ".join(f"{one.id} ({one.detector}, about {one.principal[:100]!r})" for one in first[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    text = (
        f"{counted(len(found), 'finding')} that asked for a lock stood in the history for a minute, and topic findings did not bring them: {shown}{more}. "
        "Nobody was locked for it; decide on each. Find out who can write to the broker, or holds messages back."
    )
    return _finding("R07", "\0".join(f"{one.id}.{one.count}" for one in first), text, now, [])


def other_history(agent: str, place: Place, size: int, root: str, now: float) -> Finding:
    """R08: an agent was shown a root checkpoint that a pinned sealer key signed, and the store has none of this size and root."""
    text = (
        f"Agent {agent} was shown a root checkpoint of {size} leaves with root {root}, signed with the sealer's key, and the store does not have it. Either "
        "the store was set back to an older copy, or somebody else signs with that key. Run `tallystick audit verify`: step 10 names what does not fit."
    )
    return _finding("R08", f"{size} {root}", text, now, [place])


def _finding(detector: str, matter: str, text: str, now: float, evidence: list[Place]) -> Finding:
    return Finding(
        id=blake2b(f"{detector}\0{matter}".encode(), digest_size=16).hexdigest(),
        detector=detector,
        version=1,
        title=_TITLES[detector],
        severity="critical",
        principal=ME,
        time=wire_time(now),
        value=1.0,
        threshold=0.0,
        window_s=0,
        evidence=evidence,
        act="alert",
        deterministic=True,
        techniques=["T1565.001"],
        text=text[:1000],
        emitted_ms=int(now * 1000),
        subject="agent",
    )

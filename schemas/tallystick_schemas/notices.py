"""What decisions ask of people: orders that wait for a second person, and an open breaker. Pure; times in seconds since 1970."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from .messages import Choice, Decision, Lock

BREAKER_WINDOW_S: Final = 600.0
BREAKER_OPEN: Final = "the breaker is open"
"""How the breaker's sentence in a decision's `policy` begins when it held something back."""
LIFTS: Final = "lifts"
"""In the `policy` of a decision that waits: the command of the lock that the order lifts."""
WITHDRAWS: Final = "withdraws"
"""In a decision's `policy`: the commands of the waiting orders that it withdrew, with spaces between them."""


def choice_of(lock: Lock) -> Choice:
    """What was chosen, as the lock shows it."""
    return "reinstate" if lock.state == "unlocked" else lock.level


def breaker_held(decision: Decision) -> bool:
    """Whether it would have locked, were the breaker not open."""
    return decision.choice == "recommend" and any(said.startswith(BREAKER_OPEN) for said in decision.policy.values())


def withdrawn(decision: Decision) -> frozenset[str]:
    """The commands of the waiting orders that a decision withdrew."""
    return frozenset(decision.policy.get(WITHDRAWS, "").split())


def pending(decisions: Iterable[Decision], now: float) -> list[Decision]:
    """First orders that still wait for a second person; `decisions` and the answer oldest first."""
    first: dict[tuple[str, str], Decision] = {}
    for one in decisions:
        if one.proposed is not None and one.expires is not None and _seconds(one.expires) > now:
            first[one.subject, choice_of(one.proposed)] = one
        elif one.lock is not None:
            first.pop((one.subject, choice_of(one.lock)), None)
        elif ended := withdrawn(one):
            first = {key: waits for key, waits in first.items() if waits.id not in ended}
    return list(first.values())


def notices(decisions: Iterable[Decision], now: float) -> list[str]:
    """Sentences that nobody may overlook."""
    held = [one for one in decisions if breaker_held(one) and now - _seconds(one.at) < BREAKER_WINDOW_S]
    if not held:
        return []
    subjects = {one.subject for one in held}
    findings = "one finding was" if len(held) == 1 else f"{len(held)} findings about {len(subjects)} subjects were"
    return [f"The breaker is open: {findings} not acted on within 10 minutes. Look at the findings, and lock whom you must."]


def _seconds(wire: str) -> float:
    """A time of the wire; 0 where it cannot be read, so that it is long over."""
    try:
        return datetime.fromisoformat(wire).timestamp()
    except ValueError:
        return 0.0

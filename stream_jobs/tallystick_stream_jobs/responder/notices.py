"""What decisions ask of people: orders that wait for a second person, and an open breaker. Pure."""

from collections.abc import Iterable

from tallystick_schemas.messages import Decision

from .book import seconds_of
from .memory import BREAKER_WINDOW_S, choice_of
from .policy import breaker_open


def pending(decisions: Iterable[Decision], now: float) -> list[Decision]:
    """First orders that still wait, oldest first; `decisions` oldest first."""
    first: dict[tuple[str, str], Decision] = {}
    for one in decisions:
        if one.proposed is not None and one.expires is not None and seconds_of(one.expires) > now:
            first[one.subject, choice_of(one.proposed)] = one
        elif one.lock is not None:
            first.pop((one.subject, choice_of(one.lock)), None)
    return list(first.values())


def notices(decisions: Iterable[Decision], now: float) -> list[str]:
    """Sentences that nobody may overlook."""
    held = [
        one
        for one in decisions
        if one.choice == "recommend" and now - seconds_of(one.at) < BREAKER_WINDOW_S and breaker_open(one.policy.values())
    ]
    if not held:
        return []
    subjects = {one.subject for one in held}
    return [
        f"The breaker is open: {len(held)} findings about {len(subjects)} subjects of the last 10 minutes were not acted on and wait for people. "
        "`tallystick findings` shows them; `tallystick lock` locks."
    ]

"""D08: at work at an hour of the week at which this principal hardly ever was."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .facts import DAY_S, OBJECT_ACTIONS, PANES_HOUR, Fact

_WEEK_S: Final = 7 * DAY_S
_WEEKS: Final = 13
_MASK: Final = (1 << _WEEKS + 1) - 1
META: Final = Meta(
    id="D08",
    title="Off-hours access",
    techniques=("T1078",),
    severity="low",
    most="signal",
    blind_spots="Who is new (four weeks) is not judged; thieves who keep office hours; hours are UTC, so a change of summer time shifts them.",
    parameters={
        "active_days": Parameter(3, "days of 90 at this hour of the week", "default: fewer than 3", most=13),
        "history": Parameter(
            28, "days since the principal was first seen, below which nothing is said", "four of each hour of the week", most=90
        ),
    },
)


class OffHours:
    """168 hours of the week, each with the weeks of the last 13 in which it was active, the newest as the lowest bit."""

    alone: Final = True
    actions: Final = OBJECT_ACTIONS | {"model.infer", "model.load", "dataset.query"}

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        self._least, self._history = self.meta.parameters["active_days"].value, self.meta.parameters["history"].value

    def observe(self, state: State, fact: Fact) -> Finding | None:
        hour = fact.pane // PANES_HOUR
        if state.get("h") == hour or fact.outcome != "allowed":
            return None
        state["h"] = hour
        week, slot = divmod(hour, 168)
        slots: dict[int, list[int]] = state.setdefault("s", {})
        first = state.setdefault("a", hour)
        one = slots.get(slot)
        if one is None:
            one = slots[slot] = [week, 0]
        back = one[0] - week
        if back > _WEEKS:
            return None
        if back < 0:
            one[0], one[1], back = week, one[1] << min(-back, _WEEKS + 1) & _MASK, 0
        if one[1] >> back & 1:
            return None
        one[1] |= 1 << back
        active = (one[1] >> back + 1).bit_count()
        day = hour // 24
        if active >= self._least or hour - first < self._history * 24 or state.get("told") == day:
            return None
        state["told"] = day
        return make_finding(
            self.meta,
            fact,
            value=active,
            threshold=self._least,
            window_s=_WEEKS * _WEEK_S,
            evidence=[fact.place],
            act="signal",
            text=f"{fact.event.actor.principal} is active at an hour of the week at which it was on {active} days of 90.",
            credential=fact.event.actor.credential,
            features={"active_days": active, "hour_of_week": slot, "hours_known": len(slots)},
            baseline=active,
        )

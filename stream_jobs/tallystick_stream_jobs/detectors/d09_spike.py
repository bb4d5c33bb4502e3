"""D09: far more in an hour than in the own hours before (exponentially weighted mean and variance, West 1979)."""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .facts import PANES_HOUR, Fact, touches

_HOUR_S: Final = 3600
_ALPHA: Final = 0.1
META: Final = Meta(
    id="D09",
    title="Spike over the own baseline",
    techniques=("T1020",),
    severity="medium",
    most="alert",
    blind_spots="Who climbs slowly takes the baseline along; hours without access are not points; fewer than 15 active hours are no baseline.",
    parameters={
        "z": Parameter(3, "standard deviations above the own mean", "default", most=100),
        "points": Parameter(15, "active hours, below which nothing is said", "default", least=2, most=10_000),
        "floor": Parameter(30, "accesses in the hour, whatever the z", "above the 25 distinct objects of D01"),
    },
)


class Spike:
    """Counts by the hour. An hour becomes a point of the baseline once, when two later hours have begun."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._z, self._points, self._floor = values["z"], values["points"], values["floor"]

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        if fact.object is None:
            return None
        hour = fact.pane // PANES_HOUR
        hours: dict[int, int] | None = state.get("c")
        if hours is None:
            hours = state["c"] = {}
        count = hours.get(hour)
        if count is None:
            if hours and hour < max(hours) - 1:
                return None
            count = 0
            hours[hour] = 0
            if len(hours) > 1:
                _fold(state, hours)
        count += 1
        hours[hour] = count
        if count < self._floor or state.get("told") == hour:
            return None
        # A late event of the hour before is measured by what was known in that hour.
        mean, variance, points = state.get("b" if hour == max(hours) else "a", _NOTHING)
        if points < self._points:
            return None
        spread = max(sqrt(variance), sqrt(mean), 1.0)  # counts scatter by their root at least (Poisson)
        z = (count - mean) / spread
        if z <= self._z:
            return None
        state["told"] = hour
        return make_finding(
            self.meta,
            fact,
            value=count,
            threshold=round(max(self._floor, mean + self._z * spread), 2),
            window_s=_HOUR_S,
            evidence=[fact.place],
            act="alert",
            text=f"{fact.event.actor.principal} made {count} accesses in this hour; its own mean is {mean:.1f} (z {z:.1f}).",
            features={"accesses": count, "own_mean": mean, "own_deviation": spread, "z": z, "points": points},
            baseline=round(mean, 2),
        )


def _fold(state: State, hours: dict[int, int]) -> None:
    newest = max(hours)
    state["a"] = state.get("b", _NOTHING)
    for hour in sorted(one for one in hours if one < newest - 1):
        mean, variance, points = state.get("b", _NOTHING)
        weight = max(_ALPHA, 1 / (points + 1))
        step = hours.pop(hour) - mean
        state["b"] = [mean + weight * step, (1 - weight) * (variance + weight * step * step), points + 1]


_NOTHING: Final[list[Any]] = [0.0, 0.0, 0]

"""D04: many distinct objects in a day, or far more in thirty days than before and than others: the thief with patience."""

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .distinct import EXACT, Distinct, count_held, raise_peak
from .facts import DAY_S, PANE_S, Fact, settled_day, touches
from .peers import level

_PANES: Final = Distinct(14_400, 6)
_FACT_PANES: Final = 14_400 // PANE_S
_DAYS: Final = 30
_POINTS: Final = 10
META: Final = Meta(
    id="D04",
    title="Low and slow collection",
    techniques=("T1030",),
    severity="medium",
    most="step-up",
    blind_spots="Less than the own habit, however long; several principals who share it out (D14). Below 160 a day it needs ten active days.",
    parameters={
        "day": Parameter(160, "distinct objects in 24 h", "measured on EDGAR (docs/evaluation.md)"),
        "month_floor": Parameter(160, "distinct objects in 30 days, for the month's line to be asked at all", "the day's line"),
        "times_own": Parameter(3, "times the own median of 30-day counts", "default"),
        "peers_share": Parameter(0.99, "of the peers' days stay below", "default", least=0.5, most=1),
    },
)


class LowAndSlow:
    """Panes of four hours for the day; one sketch a day for the month, which is counted once a day. What was told is not scored again that day."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._day, self._month = values["day"], values["month_floor"]
        self._times_own, self._share = values["times_own"], values["peers_share"]
        self._least = min(self._day, EXACT)
        self._low = int(self._month / max(1.0, self._times_own))

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        key: Any = fact.object
        if key is None:
            return None
        found = None
        settled = settled_day(fact.time)
        last: int | None = state.get("s")
        if last is None or settled > last:
            found = self._month_over(state, fact, settled) if last is not None else None
            state["s"] = settled
        pane = fact.pane // _FACT_PANES
        bound = _PANES.add(state, pane, key, fact.place)
        if not bound:
            return found
        if bound < self._least or found:
            return found
        credential = one_credential(state, fact.credential, fact.time, DAY_S)
        value, best = max((count, end) for end, count in _PANES.counts(state, pane))
        if value < self._day or fact.time - state.get("told", -DAY_S) < DAY_S:
            return None
        state["told"] = fact.time
        text = f"{fact.event.actor.principal} touched about {value} distinct objects within 24 hours; {self._day:.0f} is the line."
        return make_finding(
            self.meta,
            fact,
            value=value,
            threshold=self._day,
            window_s=DAY_S,
            evidence=_PANES.evidence(state, best),
            act="step-up",
            text=text,
            credential=credential,
            features={"distinct_objects_24h": value},
        )

    def _month_over(self, state: State, fact: Fact, settled: int) -> Finding | None:
        """Once a day: the thirty days before, against the own median and the peers'."""
        days: dict[int, list[Any]] = state.setdefault("m", {})
        last = _PANES.day(state["n"])
        for day in range(max(state["s"], settled - _DAYS), min(settled, last + 1)):
            count, held = _PANES.of_day(state, day)
            if count:
                days[day] = [count, held]
        for old in [day for day in days if day < settled - _DAYS]:
            del days[old]
        # The sum of the days bounds the month: below the floor's third, no own median could keep anybody from being found, and none is counted.
        bound = sum([count for count, _ in days.values()])
        value = count_held([held for _, held in days.values()]) if bound > self._low else self._low
        if raise_peak(state, settled, value) != -1:
            fact.peers.move("D04", settled, None, level(value))
        if value < self._month or fact.time - state.get("told", -DAY_S) < DAY_S:
            return None
        history = [count for day, count in state["d"].items() if day < settled]
        if len(history) < _POINTS:
            return None
        own, peers = float(median(history)), fact.peers.quantile("D04", settled, self._share)
        if value <= self._times_own * own or (peers is not None and value <= peers):
            return None
        state["told"] = fact.time
        return make_finding(
            self.meta,
            fact,
            value=value,
            threshold=self._times_own * own,
            window_s=_DAYS * DAY_S,
            evidence=[fact.place],
            act="step-up",
            text=f"{fact.event.actor.principal} touched about {value} distinct objects within 30 days; the own median is {own:.0f}.",
            features={"distinct_objects_30d": value, "own_median": own, "peers": peers or 0},
            baseline=own,
            peers=peers,
            missing=["peers"] if peers is None else [],
        )

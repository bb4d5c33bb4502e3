"""D01: many distinct objects in an hour. On real downloads (EDGAR), distinct objects told harvesters best; bytes and z-scores far worse."""

from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .distinct import Distinct, own_peak, raise_peak
from .facts import PANE_S, PANES_DAY, PANES_HOUR, Fact, settled_day, touches
from .peers import level

WINDOW_S: Final = 3600
_AGAIN_S: Final = 3600
_PANES: Final = Distinct(PANE_S, PANES_HOUR)
_LOW: Final = 0.4
META: Final = Meta(
    id="D01",
    title="Bulk pull of distinct objects",
    techniques=("T1530", "AML.T0035"),
    severity="medium",
    most="step-up",
    blind_spots="Slower than one object in two minutes stays below it (D04); one huge object counts once (D02); "
    "whoever pulls as much every week raises the own maximum, and then only alerts.",
    parameters={
        "alert": Parameter(25, "distinct objects in 60 min", "measured on EDGAR (docs/evaluation.md)"),
        "step_up": Parameter(40, "distinct objects in 60 min", "measured on EDGAR (docs/evaluation.md)"),
        "times_own": Parameter(2, "times the own highest hour of 30 days, to step up", "default"),
        "peers_share": Parameter(0.95, "of the peers' days stay below, to step up", "default", least=0.5, most=1),
    },
    version=2,
)


class BulkObjects:
    """Panes of five minutes. The own maximum and the peers' are those of days before."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._alert, self._step_up = values["alert"], values["step_up"]
        self._times_own, self._share = values["times_own"], values["peers_share"]
        self._least = min(self._alert, self._step_up)
        self._low = int(self._least * _LOW)
        """A day's maximum below it is kept as this: it could not keep anybody from stepping up, and need not be counted each time."""

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        key: Any = fact.object
        if key is None:
            return None
        credential = one_credential(state, fact.credential, fact.time, WINDOW_S)
        pane = fact.pane
        bound = _PANES.add(state, pane, key, fact.place)
        day = pane // PANES_DAY
        days: dict[int, int] | None = state.get("d")
        today = None if days is None else days.get(day)
        if today is None:
            self._raise(state, fact, day, self._low)
        elif bound <= today and bound < self._alert:
            return None
        if bound <= self._low:
            return None
        value = best = 0
        for end, count in _PANES.counts(state, pane):
            self._raise(state, fact, _PANES.day(end), count)
            if count > value:
                value, best = count, end
        return self._judge(state, fact, value, best, credential) if value >= self._least else None

    def _raise(self, state: State, fact: Fact, day: int, count: int) -> None:
        old = raise_peak(state, day, max(count, self._low))
        if old != -1:
            fact.peers.move("D01", day, None if old is None else level(old), level(max(count, self._low)))

    def _judge(self, state: State, fact: Fact, value: int, end: int, credential: str | None) -> Finding | None:
        day = settled_day(fact.time)
        own, peers = own_peak(state, day), fact.peers.quantile("D01", day, self._share)
        stands_out = (own is None or value > self._times_own * own) and (peers is None or value > peers)
        for name, threshold, open_to in (("step_up", self._step_up, stands_out), ("alert", self._alert, True)):
            if value < threshold or not open_to:
                continue
            if fact.time - state.get(name, -_AGAIN_S) < _AGAIN_S:
                return None  # told already: an open finding is not told again for an hour
            state[name] = state["alert"] = fact.time
            return make_finding(
                self.meta,
                fact,
                value=value,
                threshold=threshold,
                window_s=WINDOW_S,
                evidence=_PANES.evidence(state, end),
                act="step-up" if name == "step_up" else "alert",
                text=f"{fact.event.actor.principal} touched {value} distinct objects within an hour; {threshold:.0f} is the line.",
                credential=credential,
                features={"distinct_objects": value, "own_maximum": own or 0, "peers": peers or 0},
                baseline=own,
                peers=peers,
                missing=[label for label, figure in (("own maximum", own), ("peers", peers)) if figure is None],
            )
        return None

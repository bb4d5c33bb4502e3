"""D15: an account that harvests, fast or slowly. The sum of two counts, without weights; measured by `tallystick evaluate` (docs/evaluation.md).

volume = requests in 12 h
steady = sum over the 144 ten-minute panes of 24 h of (requests in the pane) ^ 3/4
score  = volume + steady

Who reads a lot for honest reasons does it within a few panes; a power below 1 counts what is spread over a day higher than what comes at once. A thief in
a hurry shows in the first count, a patient one in the second. Their sum withstands one odd client among those that the threshold was frozen on; the
greater of the two does not.
"""

from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import OBJECT_ACTIONS, Fact, number_of
from .facts import PANE_S as FACT_PANE_S

PANE_S: Final = 600
_FACT_PANES: Final = PANE_S // FACT_PANE_S
_DAY: Final = 144
_HALF_DAY: Final = 72
_AGAIN_S: Final = 3600
_REPEAT_S: Final = 30
"""The same object asked for again so soon is one request: its ranges, its retry, the redirect to it."""
_EVIDENCE: Final = 32
_SCALE: Final = 1000
_MOST: Final = 2000
_WORTH: Final[tuple[int, ...]] = tuple(int(_SCALE * count**0.75) for count in range(_MOST + 1))
"""In thousandths, as whole numbers: sums do not depend on the order of their parts."""
_STEP: Final[tuple[int, ...]] = tuple(_WORTH[count + 1] - _WORTH[count] for count in range(_MOST))
"""What one request more in a pane of so many is worth."""

META: Final = Meta(
    id="D15",
    title="Account used for a harvest",
    techniques=("T1078", "T1530", "AML.T0035"),
    severity="high",
    most="step-up",
    blind_spots=(
        "It counts requests, not worth: one huge object is one request (D02, D03). Below about 300 requests at once or 200 spread over a day it is silent "
        "(D04). A client that polls as much every day is told like a thief: it has no memory beyond a day."
    ),
    parameters={"alarm": Parameter(400, "score", "6 in 612 ordinary users of EDGAR exceed it on a day; docs/evaluation.md")},
)


class Hijack:
    """State: requests by pane, their sums, the newest object, the newest places. Below 1.5 KiB."""

    alone: Final = True
    actions: Final = OBJECT_ACTIONS

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        self._alarm = self.meta.parameters["alarm"].value

    def observe(self, state: State, fact: Fact) -> Finding | None:
        score = self.take(state, fact)
        credential = one_credential(state, fact.credential, fact.time, _DAY * PANE_S)
        if score < self._alarm or fact.time - state.get("told", -_AGAIN_S) < _AGAIN_S:
            return None  # told already: an open finding is not told again for an hour
        state["told"] = fact.time
        return self._finding(state, fact, score, credential)

    def take(self, state: State, fact: Fact) -> float:
        """Count one fact that `actions` allow; the score with it."""
        pane = fact.pane // _FACT_PANES
        sums: list[int] | None = state.get("sums")
        if sums is None:
            state["sums"] = sums = [pane, 0, 0]
            state["panes"], state["places"], state["last"] = {}, [], [-1, 0.0]
        if self._counts(state["last"], fact):
            panes: dict[int, int] = state["panes"]
            if pane > sums[0]:
                state["sums"] = sums = _turned(panes, pane)
            age = sums[0] - pane
            if age < _DAY:
                before = panes.get(pane, 0)
                panes[pane] = before + 1
                if age < _HALF_DAY:
                    sums[1] += 1
                if before < _MOST:
                    sums[2] += _STEP[before]
                places: list[Any] = state["places"]
                places.append(fact.place)
                if len(places) > _EVIDENCE:
                    del places[0]
        return sums[1] + sums[2] / _SCALE

    @staticmethod
    def _counts(last: list[Any], fact: Fact) -> bool:
        """Whether it is a request of its own: refused ones too, but no decision that a download follows, and no second piece of the same object."""
        key: Any = fact.object
        time = fact.time
        if key is None:
            event, resource = fact.event, fact.resource
            if event.action == "access.check" and event.outcome == "allowed":
                return False
            key = number_of(f"{resource.kind}\0{resource.id}\0{resource.version or ''}\0{resource.part or ''}")
        known: Any = last[0]
        at: float = last[1]
        last[0] = key
        if time > at:
            last[1] = time
        return abs(time - at) >= _REPEAT_S or bool(key != known)

    def _finding(self, state: State, fact: Fact, score: float, credential: str | None) -> Finding:
        _, volume, steady = state["sums"]
        day, active = sum(state["panes"].values()), len(state["panes"])
        return make_finding(
            self.meta,
            fact,
            value=round(score, 1),
            threshold=self._alarm,
            window_s=_DAY * PANE_S,
            evidence=[(shard, index, pos) for shard, index, pos in state["places"]],
            act="step-up",
            text=f"{fact.event.actor.principal} made {volume} requests in twelve hours, and {day} in a day, in {active} of its 144 ten-minute spans. "
            f"That scores {volume} + {steady / _SCALE:.0f} = {score:.0f}; {self._alarm:.0f} is the line.",
            credential=credential,
            features={"requests_12h": volume, "requests_24h": day, "active_spans_24h": active, "steady": steady / _SCALE},
        )


def _turned(panes: dict[int, int], pane: int) -> list[int]:
    """A new pane begins: what is older than a day goes, and the sums (newest pane, volume, steady) are made anew."""
    day_ago = pane - _DAY
    for old in [one for one in panes if one <= day_ago]:
        del panes[old]
    volume, steady, oldest = 0, 0, pane - _HALF_DAY
    for one, count in panes.items():
        steady += _WORTH[count] if count < _MOST else _WORTH[_MOST]
        if one > oldest:
            volume += count
    return [pane, volume, steady]

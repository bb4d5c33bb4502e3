"""D11: first a look around, then the haul: many things listed, and soon after many read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import LATENESS_S, OBJECT_ACTIONS, Fact, number_of

_BURST_S: Final = 300.0
_MOST: Final = 24
_AGAIN_S: Final = 3600
META: Final = Meta(
    id="D11",
    title="Reconnaissance, then bulk",
    techniques=("T1619", "T1530"),
    severity="high",
    most="step-up",
    blind_spots="Who knows already where things are; a look around hours before; a client that lists one repository and takes it all is no burst.",
    parameters={
        "lists": Parameter(5, "distinct things listed in 5 min", "more than any hub client does for one repository", least=2, most=16),
        "reads": Parameter(10, "distinct objects read after it", "default", least=2, most=20),
        "within": Parameter(900, "s from the burst to the last of the reads", "default: 15 min", least=60, most=3600),
    },
)


class Recon:
    """The newest 24 listings and the newest 24 reads in order of time: list burst, first access, bulk."""

    alone: Final = True
    actions: Final = OBJECT_ACTIONS | {"artifact.list"}

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._lists, self._reads, self._within = int(values["lists"]), int(values["reads"]), values["within"]
        self._keep_s = self._within + _BURST_S + LATENESS_S

    def observe(self, state: State, fact: Fact) -> Finding | None:
        thing: Any = fact.object
        kind = "r"
        if thing is None:
            event = fact.event
            if event.action != "artifact.list" or event.outcome != "allowed":
                return None
            thing, kind = number_of(f"{event.resource.id}\0{event.resource.part or ''}"), "l"
        things: dict[Any, Sequence[Any]] | None = state.get(kind)
        if things is None:
            things = state[kind] = {}
        known = things.get(thing)
        if known is None:
            place = fact.place
            things[thing] = (fact.time, place[0], place[1], place[2])
            if len(things) > _MOST:
                self._prune(things, fact.time)
        elif fact.time > known[0]:
            things[thing] = (fact.time, *known[1:])
        if kind == "l":
            state["b"] = self._bursts(things)
        other: dict[Any, Sequence[Any]] | None = state.get("r" if kind == "l" else "l")
        if other is None:
            return None
        lists, reads = (things, other) if kind == "l" else (other, things)
        if len(lists) < self._lists or len(reads) < self._reads:
            return None
        return self._judge(state, fact)

    def _prune(self, things: dict[int, Sequence[Any]], time: float) -> None:
        for old in [thing for thing, one in things.items() if one[0] < time - self._keep_s]:
            del things[old]
        while len(things) > _MOST:
            del things[min(things, key=lambda one: (things[one][0], one))]

    def _bursts(self, lists: dict[int, Sequence[Any]]) -> list[float]:
        """Of how many listings a burst is, then the times at which bursts were complete. Kept, since most reads follow none."""
        times = sorted([one[0] for one in lists.values()])
        bursts = zip(times, times[self._lists - 1 :], strict=False)
        return [self._lists, *(last for first, last in bursts if last - first <= _BURST_S)]

    def _judge(self, state: State, fact: Fact) -> Finding | None:
        lists, known = state["l"], state.get("b")
        if known is None or known[0] != self._lists:
            known = state["b"] = self._bursts(lists)  # the threshold was changed since
        if len(known) == 1:
            return None
        reads = sorted(state["r"].values(), key=tuple)
        for burst in known[1:]:
            held = [one for one in reads if burst < one[0] <= burst + self._within]
            if len(held) >= self._reads and fact.time - state.get("told", -_AGAIN_S) >= _AGAIN_S:
                state["told"] = fact.time
                seen = [one[1:] for one in [*sorted(state["l"].values(), key=tuple), *held]]
                principal = fact.event.actor.principal
                return make_finding(
                    self.meta,
                    fact,
                    value=len(held),
                    threshold=self._reads,
                    window_s=int(self._within + _BURST_S),
                    evidence=seen,
                    act="step-up",
                    text=f"{principal} listed {self._lists} things within five minutes and then read {len(held)} objects within "
                    f"{self._within / 60:.0f} minutes.",
                    credential=one_credential({}, fact.event.actor.credential or "", fact.time, _BURST_S),
                    features={"listed": len(lists), "read_after": len(held)},
                )
        return None

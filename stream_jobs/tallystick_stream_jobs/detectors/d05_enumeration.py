"""D05: somebody tries doors: many different things listed or refused in a short time."""

from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import LATENESS_S, Fact, number_of

_KEPT: Final = 64
_HOUR_S: Final = 3600.0
_AGAIN_S: Final = 3600
META: Final = Meta(
    id="D05",
    title="Enumeration, or many refusals",
    techniques=("T1619", "AML.T0007"),
    severity="medium",
    most="alert",
    blind_spots="One listing that returns everything counts once; a door that answers 404 without recording. "
    "The newest 64 listings and refusals of an hour are looked at.",
    parameters={
        "burst": Parameter(16, "distinct things listed or refused in 10 s", "default: more than 15", most=60),
        "refused": Parameter(40, "refusals in 6 min", "default", most=60),
        "mixed": Parameter(6, "refusals over more than one action in 60 min", "default: more than 5", most=60),
    },
)


class Enumeration:
    """The newest listings and refusals in the order of their time; each line is asked of the windows that hold the new one."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._burst, self._refused, self._mixed = values["burst"], values["refused"], values["mixed"]

    def cares(self, action: str, outcome: str) -> bool:
        return outcome == "denied" or action == "artifact.list"

    def observe(self, state: State, fact: Fact) -> Finding | None:
        event = fact.event
        denied = event.outcome == "denied"
        if not denied and event.action != "artifact.list":
            return None
        resource = event.resource
        thing = number_of(f"{resource.kind}\0{resource.id}\0{resource.part or ''}")
        seen: list[list[Any]] = state.setdefault("s", [])
        insort(seen, [fact.time, thing, event.action if denied else "", *fact.place])
        del seen[: bisect_right(seen, [seen[-1][0] - _HOUR_S - LATENESS_S])]
        del seen[:-_KEPT]
        credential = one_credential(state, fact.credential, fact.time, _HOUR_S)
        for name, value, threshold, window_s, places in self._lines(seen, fact.time):
            if value < threshold or fact.time - state.get(name, -_AGAIN_S) < _AGAIN_S:
                continue
            for each in ("burst", "refused", "mixed"):
                state[each] = max(state.get(each, fact.time), fact.time)
            return make_finding(
                self.meta,
                fact,
                value=value,
                threshold=threshold,
                window_s=window_s,
                evidence=places,
                act="alert",
                text=f"{event.actor.principal} {_WORDS[name].format(value=value)} within {window_s} s; {threshold:.0f} is the line.",
                credential=credential,
                features={name: value, "refusals_kept": sum(1 for one in seen if one[2])},
            )
        return None

    def _lines(self, seen: list[list[Any]], time: float) -> list[tuple[str, int, float, int, list[Any]]]:
        lines = []
        if len(seen) >= self._burst:
            lines.append(("burst", *_most(seen, time, 10, lambda held: len({one[1] for one in held})), self._burst, 10))
        refused = [one for one in seen if one[2]]
        if len(refused) >= self._refused:
            lines.append(("refused", *_most(refused, time, 360, len), self._refused, 360))
        if len(refused) >= self._mixed:
            lines.append(
                ("mixed", *_most(refused, time, 3600, lambda held: len(held) if len({x[2] for x in held}) > 1 else 0), self._mixed, 3600)
            )
        return [(name, value, threshold, window, places) for name, value, places, threshold, window in lines]


def _most(seen: list[list[Any]], time: float, window_s: float, measure: Any) -> tuple[int, list[Any]]:
    """(value, places) of the fullest window that holds the time; windows end at what was seen, the beginning not included."""
    best: tuple[int, list[Any]] = (0, [])
    for end in [one[0] for one in seen if time <= one[0] < time + window_s]:
        held = [one for one in seen if end - window_s < one[0] <= end]
        if (value := measure(held)) > best[0]:
            best = (value, [one[3:] for one in held])
    return best


_WORDS: Final = {
    "burst": "listed or was refused {value} different things",
    "refused": "was refused {value} times",
    "mixed": "was refused {value} times in more than one way",
}

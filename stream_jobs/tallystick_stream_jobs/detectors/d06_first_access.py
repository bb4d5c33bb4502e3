"""D06: the first access to a sensitive family of artifacts, which few of the peers touch either."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .facts import DAY_S, PANES_DAY, Fact, number_of, settled_day, touches
from .peers import LEAST

_MOST: Final = 64
_BITS: Final = 1024
META: Final = Meta(
    id="D06",
    title="First access to a sensitive family",
    techniques=("T1078.004",),
    severity="low",
    most="signal",
    blind_spots="Who is new has no history and is not judged; beyond 64 families a Bloom filter may take a new one for known (under 1 in 100); "
    "doors that say no sensitivity.",
    parameters={
        "days": Parameter(30, "days without it make it new", "default", most=90),
        "history": Parameter(7, "days since the principal was first seen, below which nothing is said", "a working week", least=0, most=90),
        "peers_share": Parameter(0.2, "of the peers' days have it, from which it is ordinary", "default", least=0, most=1),
    },
)


class FirstAccess:
    """A family is a collection, or the resource where it has none. 64 with the day they were seen last; older ones in a Bloom filter (Bloom 1970)."""

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._days, self._history, self._share = values["days"], values["history"], values["peers_share"]

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        if fact.object is None:
            return None
        day = fact.pane // PANES_DAY
        seen = state.get("d", -1)
        if day > seen:
            fact.peers.move("D06", day, None, 0)
            state["d"] = day
            state.setdefault("a", day)
        resource = fact.event.resource
        if resource.sensitivity != "restricted":
            return None
        family = number_of(resource.collection or resource.id)
        families: dict[int, int] = state.setdefault("f", {})
        last = families.get(family)
        if last == day:
            return None
        known = (last is not None and day - last <= self._days) or (last is None and _in_bloom(state, family))
        _put(state, families, family, max(day, last or 0))
        fact.peers.move("D06f", day, None, family)
        if known or day - state["a"] < self._history:
            return None
        return self._judge(fact, settled_day(fact.time), family, last)

    def _judge(self, fact: Fact, day: int, family: int, last: int | None) -> Finding | None:
        all_days = fact.peers.counts("D06", day).get(0, 0)
        share = fact.peers.counts("D06f", day).get(family, 0) / all_days if all_days >= LEAST else None
        if share is not None and share >= self._share:
            return None
        resource = fact.event.resource
        return make_finding(
            self.meta,
            fact,
            value=1,
            threshold=1,
            window_s=int(self._days) * DAY_S,
            evidence=[fact.place],
            act="signal",
            text=f"{fact.event.actor.principal} touched {resource.collection or resource.id}, restricted, for the first time in "
            f"{self._days:.0f} days.",
            credential=fact.event.actor.credential,
            features={"peers_share": share or 0, "days_since": 0 if last is None else int(fact.time // DAY_S) - last},
            peers=share,
            missing=["peers"] if share is None else [],
        )


def _put(state: State, families: dict[int, int], family: int, day: int) -> None:
    families[family] = day
    while len(families) > _MOST:
        oldest = min(families, key=lambda one: (families[one], one))
        del families[oldest]
        bloom = int.from_bytes(state.get("b", b""), "big")
        for bit in _bits(oldest):
            bloom |= 1 << bit
        # Half full it would take every eighth new family for known: then it begins anew.
        state["b"] = bloom.to_bytes(_BITS // 8, "big") if bloom.bit_count() <= _BITS // 5 else b""


def _in_bloom(state: State, family: int) -> bool:
    bloom = int.from_bytes(state.get("b", b""), "big")
    return bool(bloom) and all(bloom >> bit & 1 for bit in _bits(family))


def _bits(family: int) -> tuple[int, int, int]:
    return family % _BITS, family // _BITS % _BITS, family // (_BITS * _BITS) % _BITS

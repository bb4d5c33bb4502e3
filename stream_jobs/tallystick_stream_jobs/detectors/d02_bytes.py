"""D02: many bytes in a short time, against the own hours and the size of the collection."""

from collections.abc import Mapping
from typing import Any, Final

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, in_force, make_finding
from .credentials import one_credential
from .facts import PANE_S, Fact
from .peers import level, value_of

_PANE_S: Final = 600
_FACT_PANES: Final = _PANE_S // PANE_S
_PANES: Final = 6
_KEPT: Final = _PANES + 2
_HOURS: Final = 20
_MIB: Final = 1 << 20
_AGAIN_S: Final = 3600
_MAX_EVIDENCE: Final = 16
_MOST: Final = 1 << 56
"""Bytes that ten minutes count up to: sums of all panes stay below the 64 bits that states and findings have, whatever an agent says."""
META: Final = Meta(
    id="D02",
    title="Unusual volume of bytes",
    techniques=("T1567", "AML.T0025"),
    severity="medium",
    most="alert",
    blind_spots="Doors that do not count bytes; volume spread over more than an hour (D04); on EDGAR bytes alone told harvesters badly.",
    parameters={
        "floor": Parameter(50e6, "bytes in 10 or 60 min", "default; a public default of vendors, per 10 min", most=1e18),
        "times_own": Parameter(3, "times the own 99th percentile of hours", "default"),
        "share": Parameter(0.05, "of the collection's bytes (attrs `collection_bytes`)", "default", least=0, most=1),
    },
)


class Volume:
    """Panes of ten minutes. The own hours are a histogram by level (19 % steps), each fed once, after its panes are past all lateness."""

    alone: Final = True
    actions: Final = frozenset({"artifact.download", "artifact.read", "artifact.copy", "dataset.read", "dataset.export"})

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._floor, self._times_own, self._share = values["floor"], values["times_own"], values["share"]

    def observe(self, state: State, fact: Fact) -> Finding | None:
        usage = fact.event.usage
        size = usage.bytes if usage is not None else None
        if not size or fact.outcome != "allowed":
            return None
        pane = fact.pane // _FACT_PANES
        newest: int | None = state.get("n")
        if newest is None:
            newest = state["n"] = pane
            state["p"], state["t"] = {}, 0
        elif pane <= newest - _KEPT:
            return None
        panes: dict[int, int] = state["p"]
        before = panes.get(pane, 0)
        panes[pane] = after = min(_MOST, before + size)
        total: int = state["t"] + after - before
        state["t"] = total
        if pane > newest:
            state["n"] = newest = pane
            _close(state, panes, pane)
            total = state["t"]
        if 4 * total <= self._floor:
            return None
        credential = one_credential(state, fact.credential, fact.time, _PANE_S * _PANES)
        places: list[Any] | None = state.get("e")
        if places is None:
            places = state["e"] = []
        place = fact.place
        places.append((pane, place[0], place[1], place[2]))
        if len(places) > _MAX_EVIDENCE:
            del places[0]
        if total <= self._floor:
            return None
        value = max(_window(panes, end) for end in range(pane, min(newest, pane + _PANES - 1) + 1))
        return self._judge(state, fact, value, credential) if value > self._floor else None

    def _judge(self, state: State, fact: Fact, value: int, credential: str | None) -> Finding | None:
        own = _percentile(state.get("h", {}), 0.99)
        line = max(self._floor, self._times_own * own) if own is not None else self._floor
        whole = _count((fact.event.attrs or {}).get("collection_bytes", ""))
        if value <= line or (whole and value < self._share * whole) or fact.time - state.get("told", -_AGAIN_S) < _AGAIN_S:
            return None
        state["told"] = fact.time
        missing = [label for label, figure in (("own hours", own), ("size of the collection", whole)) if figure is None]
        return make_finding(
            self.meta,
            fact,
            value=value,
            threshold=line,
            window_s=_PANE_S * _PANES,
            evidence=[(one[1], one[2], one[3]) for one in state["e"] if one[0] > fact.pane // _FACT_PANES - _PANES],
            act="signal" if missing else "alert",
            text=f"{fact.event.actor.principal} moved {value / 1e6:.0f} MB within an hour; {line / 1e6:.0f} MB is the line.",
            credential=credential,
            features={"bytes": value, "own_p99": own or 0, "collection_bytes": whole or 0},
            baseline=own,
            missing=missing,
        )


def _close(state: State, panes: dict[int, int], newest: int) -> None:
    """Hours that are past all lateness go into the histogram, once each (MiB, by level)."""
    hour = (newest - 2) // _PANES
    closed = state.get("c", hour - 1)
    ended = sorted({pane // _PANES for pane in panes if closed < pane // _PANES < hour}) if closed < hour - 1 else []
    for one in ended:
        volume = sum(size for pane, size in panes.items() if pane // _PANES == one)
        hours: dict[int, int] = state.setdefault("h", {})
        step = level(volume / _MIB)
        hours[step] = hours.get(step, 0) + 1
        if sum(hours.values()) > 2000:
            state["h"] = {number: count // 2 for number, count in hours.items() if count > 1}
    state["c"] = max(closed, hour - 1)
    for old in [pane for pane in panes if pane <= newest - _KEPT - _PANES]:
        state["t"] -= panes.pop(old)


def _window(panes: dict[int, int], end: int) -> int:
    return sum([volume for one, volume in panes.items() if end - _PANES < one <= end])


def _percentile(hours: dict[int, int], share: float) -> float | None:
    total = sum(hours.values())
    if total < _HOURS:
        return None
    left = share * total
    for number in sorted(hours):
        left -= hours[number]
        if left <= 0:
            return value_of(number) * _MIB
    return value_of(max(hours)) * _MIB


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) <= 18 else None

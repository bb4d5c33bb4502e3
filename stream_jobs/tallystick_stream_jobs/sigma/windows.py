"""The memory of a window for one principal and group: bounded panes of hits, and what they measure. Pure; the state is plain values.

A window that ends with pane e holds panes e - 11 to e (a rule without correlation: one pane). It is judged for each pane in which something was
hit, so what is found depends on the hits and not on the order in which they came, as long as they come within the lateness that is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tallystick_schemas.messages import Place

from ..detectors.base import State
from ..detectors.facts import LATENESS_S
from .definition import Measure, Window

SATURATED: Final = 2**62
"""What a sum stops at: more would not fit into what is kept."""
_MAX_ORDERED: Final = 16
"""Hits of one rule in one pane; beyond, the first and the last eight are kept."""
_MIN_DISTINCT: Final = 512
_MAX_PLACES: Final = 50
Hit = tuple[int, Place, tuple[int, ...], int]
"""(microseconds since 1970, place, which of the rules it meets, value: a digest for `distinct`, a number for `sum`)."""


def late_panes(window: Window) -> int:
    """Panes that are kept behind the window for what comes late: agents' clocks may be so far from the broker's, to both sides."""
    return -(-2 * int(LATENESS_S) * window.panes // window.span_s) + 1


def add(window: Window, group: State, hit: Hit) -> list[tuple[int, int]]:
    """Take a hit in; (pane, value) of each window that has reached the line by it and was not told, oldest first."""
    micros, place, _, value = hit
    pane = window.pane(micros)
    panes: dict[int, Any] = group.setdefault("panes", {})
    newest = group["newest"] = max(pane, group.get("newest", pane))
    oldest = newest - window.panes + 1 - late_panes(window)
    if pane < oldest:
        return []
    panes[pane] = _ADD[window.measure](panes.get(pane), hit, value)
    places: list[list[int]] = group.setdefault("places", [])
    places.append([pane, *place])
    del places[:-_MAX_PLACES]
    told: list[int] = group.setdefault("told", [])
    if len(panes) > 1:
        for old in [one for one in panes if one < oldest]:
            del panes[old]
        told[:] = [one for one in told if one >= oldest]
        if window.measure == "distinct":
            _bound_distinct(panes, max(_MIN_DISTINCT, 2 * window.threshold))
    reached = [(end, measured(window, panes, end)) for end in sorted(panes) if pane <= end < pane + window.panes and end not in told]
    found = [(end, value) for end, value in reached if value >= window.threshold]
    told += [end for end, _ in found]
    return found


def measured(window: Window, panes: Mapping[int, Any], end: int) -> int:
    """What the window that ends with pane `end` measures."""
    return _MEASURE[window.measure]([panes[pane] for pane in range(end - window.panes + 1, end + 1) if pane in panes])


def evidence(window: Window, group: State, end: int) -> list[Place]:
    """Where the newest hits of that window are recorded."""
    return [(shard, index, pos) for pane, shard, index, pos in group["places"] if end - window.panes < pane <= end]


def _add_distinct(pane: dict[int, int] | None, _: Hit, value: int) -> dict[int, int]:
    pane = {} if pane is None else pane
    pane[value] = 1
    return pane


def _add_rules(pane: int | None, hit: Hit, _: int) -> int:
    return (pane or 0) | sum(1 << rule for rule in hit[2])


def _add_ordered(pane: list[list[int]] | None, hit: Hit, _: int) -> list[list[int]]:
    """Sorted by time and place; the middle hits of a rule that is hit very often are left out."""
    pane = pane or []
    for rule in hit[2]:
        pane.append([hit[0], *hit[1], rule])
        same = sorted(one for one in pane if one[4] == rule)
        if len(same) > _MAX_ORDERED:
            pane.remove(same[_MAX_ORDERED // 2])
    pane.sort()
    return pane


def _in_order(panes: list[list[list[int]]]) -> int:
    """How many of the rules, from the first on, are met by events one after the other (greedy: the earliest that fits is always as good)."""
    met, last = 0, [-1, -1, -1, -1]
    for *at, rule in (hit for pane in panes for hit in pane):
        if rule == met and at > last:
            met, last = met + 1, at
    return met


def _bound_distinct(panes: dict[int, dict[int, int]], most: int) -> None:
    """First values that a newer pane has as well are forgotten, then the oldest: what the newest window counts stays as it is."""
    if sum(map(len, panes.values())) <= most:
        return
    seen: set[int] = set()
    for pane in sorted(panes, reverse=True):
        panes[pane] = {value: 1 for value in panes[pane] if value not in seen and len(seen) < most}
        seen.update(panes[pane])
    for pane in [pane for pane, values in panes.items() if not values]:
        del panes[pane]


_ADD: Final[Mapping[Measure, Callable[[Any, Hit, int], Any]]] = {
    "count": lambda pane, _, __: (pane or 0) + 1,
    "sum": lambda pane, _, value: min(SATURATED, (pane or 0) + value),
    "distinct": _add_distinct,
    "rules": _add_rules,
    "ordered": _add_ordered,
}


def _any_of(masks: list[int]) -> int:
    every = 0
    for mask in masks:
        every |= mask
    return every.bit_count()


_MEASURE: Final[Mapping[Measure, Callable[[list[Any]], int]]] = {
    "count": sum,
    "sum": lambda panes: min(SATURATED, sum(panes)),
    "distinct": lambda panes: len(set().union(*panes)),
    "rules": _any_of,
    "ordered": _in_order,
}

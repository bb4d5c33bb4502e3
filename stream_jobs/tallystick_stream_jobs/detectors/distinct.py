"""Distinct things over a sliding window of event-time panes: exact up to 64 of them, then one HyperLogLog a pane (Flajolet et al. 2007).

An event up to ten minutes late counts in its own pane, in every window that holds it. Counts of a window only grow, so what a window comes to
does not depend on the order in which its events arrive.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final

from tallystick_schemas.messages import Place

from .base import State
from .facts import DAY_S, LATENESS_S, Boxed
from .sketches import sketch_add, sketch_add_all, sketch_count, sketch_union

EXACT: Final = 64
MAX_EVIDENCE: Final = 50
_EACH: Final = 8
"""Sketches are counted at each 8th new thing: they err by more than that."""
_CROWDED: Final = 16
_FEW: Final = 16
"""So many things are kept as they are: a sketch of them is no smaller, and takes 3 µs."""
_DAYS: Final = 30


Entry = Sequence[int]
"""A tuple, or a list where it was read from a kept state: never changed in place, since tuples take one piece of memory and lists two."""


Held = list[int] | bytes
"""Few things, or a sketch of many."""


class Distinct:
    """State: `k` thing -> [newest pane, mask of panes back from it, shard, index, pos of the first sight]; `n` newest pane; beyond 64 things
    `h` pane -> sketch, `c` how many were new, `e` places of the newest."""

    def __init__(self, pane_s: int, panes: int) -> None:
        self.pane_s, self.panes = pane_s, panes
        self._kept = panes + ceil(LATENESS_S / pane_s) + 1
        self._mask = (1 << self._kept) - 1

    def add(self, state: State, pane: int, key: Any, place: Boxed) -> int:
        """Take one in. 0 when that changes no window; else no window holds more than the number that comes back.

        `key` is a number that stays an object: it is looked for and kept, and never reckoned with.
        """
        keys: dict[Any, Entry] | None = state.get("k")
        if keys is None:
            keys = state["k"] = {}
            state["n"] = pane
        newest: int = state["n"]
        sketched = "h" in state
        if pane > newest:
            state["n"] = pane
            if pane - newest >= self._kept:
                keys.clear()
            if sketched:
                self._expire(state, pane)
                sketched = "h" in state
        elif newest - pane >= self._kept:
            return 0
        if sketched:
            return self._add_sketched(state, pane, key, place)
        entry = keys.get(key)
        if entry is None:
            keys[key] = (pane, 1, place[0], place[1], place[2])
            return len(keys) if len(keys) <= EXACT else self._spill(state)
        return self._add_again(keys, pane, key, place, entry)

    def _add_again(self, keys: dict[Any, Entry], pane: int, key: Any, place: Boxed, entry: Entry) -> int:
        top, mask = entry[0], entry[1]
        shift = pane - top
        if shift > 0:
            if shift >= self._kept:
                del keys[key]
                keys[key] = (pane, 1, place[0], place[1], place[2])
            else:
                keys[key] = (pane, (mask << shift | 1) & self._mask, entry[2], entry[3], entry[4])
            return len(keys)
        bit = 1 << -shift
        if mask & bit:
            return 0
        keys[key] = (top, mask | bit, entry[2], entry[3], entry[4])
        return len(keys)

    def counts(self, state: State, pane: int) -> list[tuple[int, int]]:
        """(last pane, distinct things) of every window that holds the pane and has ended with something in it."""
        newest = state["n"]
        if "h" not in state:
            keys = state["k"]
            if len(keys) > _CROWDED:
                self._prune(state)
            if pane == newest:
                oldest = pane - self.panes
                return [(pane, sum([one[0] > oldest for one in keys.values()]))]
        return [(end, self._count(state, end)) for end in range(pane, min(newest, pane + self.panes - 1) + 1)]

    def of_day(self, state: State, day: int) -> tuple[int, Held]:
        """(how many distinct things at the most, what they are) of a day (UTC) of which all panes are still held."""
        first, last = day * DAY_S // self.pane_s, (day + 1) * DAY_S // self.pane_s - 1
        if "h" in state:
            sketch = sketch_union(sketch for pane, sketch in state["h"].items() if first <= pane <= last)
            return 2 * sketch_count([sketch]), sketch
        span = (1 << last - first + 1) - 1
        keys: dict[int, Entry] = state.get("k", {})
        # The mask reads backwards from the newest pane: bits of the day are those from `last` down to `first`.
        seen = [key for key, one in keys.items() if one[0] >= first and one[1] >> max(0, one[0] - last) & span >> max(0, last - one[0])]
        return len(seen), seen if len(seen) <= _FEW else sketch_add_all(None, seen)

    def evidence(self, state: State, end: int) -> list[Place]:
        """Where the things of a window stand, first sights, at most the newest 50."""
        if "h" in state:
            return [(one[0], one[1], one[2]) for one in state["e"]]
        return [(one[2], one[3], one[4]) for one in state["k"].values() if self._within(one, end)][-MAX_EVIDENCE:]

    def day(self, end: int) -> int:
        """The day of a window's last pane."""
        return end * self.pane_s // DAY_S

    def _count(self, state: State, end: int) -> int:
        if "h" in state:
            return sketch_count(sketch for pane, sketch in state["h"].items() if end - self.panes < pane <= end)
        return sum(1 for one in state["k"].values() if self._within(one, end))

    def _within(self, entry: Entry, end: int) -> bool:
        above = entry[0] - end
        if above <= 0:
            return above + self.panes > 0
        return bool(entry[1] >> above & (1 << self.panes) - 1)

    def _prune(self, state: State) -> None:
        keys: dict[int, Entry] = state["k"]
        oldest = state["n"] - self._kept
        for old in [key for key, one in keys.items() if one[0] <= oldest]:
            del keys[old]

    def _spill(self, state: State) -> int:
        """More than 64: from names to sketches, until the window is empty once."""
        self._prune(state)
        keys: dict[int, Entry] = state["k"]
        if len(keys) <= EXACT:
            return len(keys)
        sketches: dict[int, bytes] = {}
        for key, (last, mask, *_) in keys.items():
            for back in range(mask.bit_length()):
                if mask >> back & 1:
                    sketches[last - back] = sketch_add(sketches.get(last - back), key)
        state["h"], state["c"] = sketches, 0
        state["e"] = [one[2:] for one in keys.values()][-MAX_EVIDENCE:]
        count = len(keys)
        keys.clear()
        return count

    def _add_sketched(self, state: State, pane: int, key: int, place: Boxed) -> int:
        sketches: dict[int, bytes] = state["h"]
        before = sketches.get(pane)
        after = sketches[pane] = sketch_add(before, key)
        if before == after:
            return 0
        evidence: list[Any] = state["e"]
        evidence.append(list(place))
        del evidence[:-MAX_EVIDENCE]
        state["c"] += 1
        return 0 if state["c"] % _EACH else 1 << 30

    def _expire(self, state: State, newest: int) -> None:
        sketches: dict[int, bytes] = state["h"]
        for old in [pane for pane in sketches if pane <= newest - self._kept]:
            del sketches[old]
        if not sketches:
            del state["h"], state["c"], state["e"]


def count_held(parts: Sequence[Held]) -> int:
    """How many distinct things are in any of the parts: exact while all of them are few."""
    few = [held for held in parts if not isinstance(held, bytes)]
    if len(few) == len(parts):
        return len(set().union(*few))
    return sketch_count([*(held for held in parts if isinstance(held, bytes)), sketch_add_all(None, set().union(*few))])


def raise_peak(state: State, day: int, value: int) -> int | None:
    """Keep a day's highest value in `d` (the newest 30 days); what it was before, or -1 when it is not above that."""
    peaks: dict[int, int] = state.setdefault("d", {})
    old = peaks.get(day)
    if old is not None and value <= old:
        return -1
    peaks[day] = value
    while len(peaks) > _DAYS:
        del peaks[min(peaks)]
    return old


def own_peak(state: State, day: int) -> int | None:
    """The highest value of the 30 days before `day`; None when there is none."""
    return max((value for one, value in state.get("d", {}).items() if day - _DAYS <= one < day), default=None)

"""What other principals of the partition do: counts by day, which rules read for the days before.

Each bucket holds the part of its own principals, so a bucket that is kept and read again is whole. A principal's day stands once in a
histogram, at the highest value that it reached; it moves when the value rises. Moves commute: the order of principals changes nothing, and a rule
reads settled days only. The peers are those with the same partition, a quarter of all by hash.
"""

from collections.abc import Mapping
from math import log2
from typing import Any, Final

Shelf = dict[str, dict[int, dict[int, int]]]
"""Measure -> day (UTC, from 1970) -> level -> how many principals."""
DAYS: Final = 7
"""How many days before the day in question are looked at."""
LEAST: Final = 20
"""Principal-days below which a figure would be an anecdote."""
MAX_LEVELS: Final = 128
_EXACT: Final = 32


def level(value: float) -> int:
    """Whole numbers below 32 are themselves; above, four levels an octave (19 %)."""
    return int(value) if value < _EXACT else _EXACT + int(4 * log2(value / _EXACT))


def value_of(number: int) -> float:
    """The lower edge of a level."""
    return number if number < _EXACT else float(round(_EXACT * 2 ** ((number - _EXACT) / 4)))


class Peers:
    """The shelves of one partition; `here` is the one of the principal in hand."""

    def __init__(self, shelves: Mapping[int, Shelf]) -> None:
        self._shelves = shelves
        self.here: Shelf = {}
        self.collections: dict[str, dict[str, Any]] = {}
        """What D14 keeps of collections, in the same bucket."""
        self.changed: set[str] = set()
        """Collections that somebody new touched since the last summary."""
        self._known: dict[str, dict[int, dict[int, int]]] = {}
        """Measure -> day -> what `counts` came to."""

    def turn_to(self, shelf: Shelf, collections: dict[str, dict[str, Any]]) -> None:
        """The bucket of the principal in hand."""
        self.here, self.collections = shelf, collections

    def move(self, measure: str, day: int, old: int | None, new: int) -> None:
        """One principal's value of a day rose from level `old` (None: it had none) to level `new`."""
        if old == new:
            return
        days = self.here.get(measure)
        if days is None:
            days = self.here[measure] = {}
        counts = days.get(day)
        if counts is None:
            counts = days[day] = {}
            for late in [one for one in days if one < max(days) - DAYS - 1]:
                del days[late]
        if old is not None and old in counts:
            counts[old] -= 1
            if not counts[old]:
                del counts[old]
        if new in counts or len(counts) < MAX_LEVELS:
            counts[new] = counts.get(new, 0) + 1
        known = self._known.get(measure)
        if known:
            for later in [one for one in known if one > day]:
                del known[later]

    def counts(self, measure: str, day: int) -> dict[int, int]:
        """Level -> principal-days, over the seven days before `day`."""
        days = self._known.setdefault(measure, {})
        known = days.get(day)
        if known is None:
            known = {}
            for shelf in self._shelves.values():
                for one, counts in shelf.get(measure, {}).items():
                    if day - DAYS <= one < day:
                        for number, count in counts.items():
                            known[number] = known.get(number, 0) + count
            if len(days) >= DAYS:
                days.clear()
            days[day] = known
        return known

    def forget(self) -> None:
        """A shelf was replaced."""
        self._known.clear()

    def quantile(self, measure: str, day: int, share: float) -> float | None:
        """The value that this share of the principal-days before `day` does not exceed; None below 20 of them."""
        counts = self.counts(measure, day)
        total = sum(counts.values())
        if total < LEAST:
            return None
        left = share * total
        for number in sorted(counts):
            left -= counts[number]
            if left <= 0:
                return value_of(number)
        return value_of(max(counts))


NOBODY: Final = Peers({})

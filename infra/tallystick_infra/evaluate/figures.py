"""Thresholds, recall and their intervals. Pure numpy; every draw has a fixed seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATES: Final = (0.01, 0.05)
"""False alarms a user and day."""
_RESAMPLED: Final = 1000
_LEVELS: Final = (2.5, 97.5)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Caught:
    """One hijack as a measure saw it: the highest score, and the victim that it is counted under."""

    victim: str
    highest: float


def threshold(untouched: Sequence[float] | Floats, rate: float, days: int) -> float:
    """The score that at most `rate` a user and day of these exceed. Scores are each user's highest of the whole log."""
    ordered = np.sort(np.asarray(untouched, dtype=np.float64))[::-1]
    allowed = int(rate * days * len(ordered))
    return float(ordered[min(allowed, len(ordered) - 1)])


def recall(frozen: Sequence[float], hijacks: Sequence[Caught], rate: float, days: int) -> Figure:
    """Share of hijacks above the threshold of `frozen`. Interval: both parts are drawn again by principal, so that it knows the threshold's own error."""
    if not hijacks or not frozen:
        return Figure(float("nan"), float("nan"), float("nan"))
    line = threshold(frozen, rate, days)
    highest = np.array([one.highest for one in hijacks])
    names, whose = np.unique([one.victim for one in hijacks], return_inverse=True)
    per_name = np.bincount(whose, minlength=len(names)).astype(np.float64)
    draw = np.random.default_rng(20170101)
    scores = np.asarray(frozen, dtype=np.float64)
    shares = []
    for _ in range(_RESAMPLED):
        again = threshold(scores[draw.integers(0, len(scores), len(scores))], rate, days)
        hits = np.bincount(whose, weights=highest > again, minlength=len(names))
        chosen = draw.integers(0, len(names), len(names))
        shares.append(hits[chosen].sum() / per_name[chosen].sum())
    low, high = np.percentile(shares, _LEVELS)
    return Figure(float((highest > line).mean()), float(low), float(high))


def alarms(untouched: Sequence[float], line: float, days: int, *, reached: bool = False) -> Figure:
    """False alarms a user and day above a threshold that is given; drawn again by principal."""
    scores = np.asarray(untouched, dtype=np.float64)
    over = (scores >= line if reached else scores > line).astype(np.float64) / days
    return mean(over)


def mean(values: Sequence[float] | Floats) -> Figure:
    """A mean over principals, drawn again by principal."""
    given = np.asarray(values, dtype=np.float64)
    if not len(given):
        return Figure(float("nan"), float("nan"), float("nan"))
    draw = np.random.default_rng(20170102)
    means = [given[draw.integers(0, len(given), len(given))].mean() for _ in range(_RESAMPLED)]
    low, high = np.percentile(means, _LEVELS)
    return Figure(float(given.mean()), float(low), float(high))


def at_most(count: int, trials: int) -> float:
    """The share that so few of so many exclude at 95 %, one-sided (Clopper and Pearson 1934): what is still possible when nothing was seen."""
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        few = sum(comb(trials, seen) * share**seen * (1 - share) ** (trials - seen) for seen in range(count + 1))
        low, high = (share, high) if few > 0.05 else (low, share)
    return high

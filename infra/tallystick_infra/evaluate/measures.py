"""Scores of a principal, event by event: the baselines of others, and our detector. Each is given the same events that the engine would be given.

A measure is told one principal's events in the order of time and gives a score after each; an alarm is a score above a threshold.
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from math import log1p, sqrt
from typing import Any, Final, Protocol

from tallystick_stream_jobs.detectors.base import State
from tallystick_stream_jobs.detectors.facts import Fact

_HOUR: Final = 3600


class Measure(Protocol):
    """Deterministic; keeps nothing between principals."""

    name: str

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        """One score an event, of all up to it."""
        ...


class Scoring(Protocol):
    """A detector whose score can be read: `take` is what its `observe` calls."""

    def take(self, state: State, fact: Fact) -> float: ...


class Detector:
    """A detector's own score, by the code that runs in the engine."""

    def __init__(self, name: str, rule: Scoring) -> None:
        self.name, self._rule = name, rule

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        state: State = {}
        return [self._rule.take(state, fact) for fact in facts]


class Rolling:
    """Sum over a window of what each event weighs."""

    def __init__(self, name: str, window_s: int, weight: Callable[[Fact], float]) -> None:
        self.name, self._window, self._weight = name, window_s, weight

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        inside: deque[tuple[float, float]] = deque()
        total, out = 0.0, []
        for fact in facts:
            weight = self._weight(fact)
            inside.append((fact.time, weight))
            total += weight
            while inside[0][0] <= fact.time - self._window:
                total -= inside.popleft()[1]
            out.append(total)
        return out


class Distinct:
    """Distinct keys within a window."""

    def __init__(self, name: str, window_s: int, key: Callable[[Fact], Hashable]) -> None:
        self.name, self._window, self._key = name, window_s, key

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        inside: deque[tuple[float, Hashable]] = deque()
        counts: Counter[Hashable] = Counter()
        out: list[float] = []
        for fact in facts:
            key = self._key(fact)
            inside.append((fact.time, key))
            counts[key] += 1
            while inside[0][0] <= fact.time - self._window:
                old = inside.popleft()[1]
                counts[old] -= 1
                if not counts[old]:
                    del counts[old]
            out.append(float(len(counts)))
        return out


class HourlyZ:
    """Exponentially weighted mean and variance of requests an hour (West 1979), empty hours included; the variance is at least Poisson's of 1."""

    name = "EW z-score of requests an hour"

    def __init__(self, alpha: float = 0.1) -> None:
        self._alpha = alpha

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        mean = variance = 0.0
        out: list[float] = []
        hour, count = int(facts[0].time // _HOUR), 0
        for fact in facts:
            now = int(fact.time // _HOUR)
            for finished in [count, *[0] * (min(now - hour, 200) - 1)] if now > hour else []:
                delta = finished - mean
                mean += self._alpha * delta
                variance = (1 - self._alpha) * (variance + self._alpha * delta * delta)
            count = count + 1 if now == hour else 1
            hour = now
            out.append((count - mean) / sqrt(variance + 1))
        return out


class HalfSpaceForest:
    """river's HalfSpaceTrees over a principal's hours (requests, distinct objects, bytes), taught with the ordinary users of the first part.

    It is fed once an hour of a principal, never once an event: fed by the event it learns what busy clients do (measured, far worse).
    """

    name = "river HalfSpaceTrees, by the hour"
    _SCALE: Final = (log1p(2000), log1p(2000), log1p(1e10))

    def __init__(self, taught: Sequence[Sequence[Fact]]) -> None:
        from river import anomaly

        trees: Any = anomaly.HalfSpaceTrees
        self._forest = trees(n_trees=25, height=8, window_size=250, seed=1)
        hours = [(facts[end - 1].time, x) for facts in taught for end, x in _hours(facts)]
        for _, x in sorted(hours, key=lambda one: one[0]):
            self._forest.learn_one(self._features(x))

    def scores(self, facts: Sequence[Fact]) -> list[float]:
        out = [0.0] * len(facts)
        for end, x in _hours(facts):
            out[end - 1] = float(self._forest.score_one(self._features(x)))
        return out

    def _features(self, x: tuple[float, float, float]) -> dict[str, float]:
        return {name: min(1.0, log1p(value) / most) for name, value, most in zip("abc", x, self._SCALE, strict=True)}


def _hours(facts: Sequence[Fact]) -> list[tuple[int, tuple[float, float, float]]]:
    """(place after the hour's last event, (requests, distinct objects, bytes)) of each hour in which something happened."""
    out = []
    begin = 0
    for end in range(1, len(facts) + 1):
        if end == len(facts) or facts[end].time // _HOUR != facts[begin].time // _HOUR:
            hour = facts[begin:end]
            out.append((end, (float(len(hour)), float(len({_object(fact) for fact in hour})), sum(map(_bytes, hour)))))
            begin = end
    return out


def _document(fact: Fact) -> Hashable:
    return fact.event.resource.id


def _object(fact: Fact) -> Hashable:
    return (fact.event.resource.id, fact.event.resource.part)


def _bytes(fact: Fact) -> float:
    return float(fact.event.usage.bytes or 0) if fact.event.usage else 0.0


def _one(fact: Fact) -> float:  # noqa: ARG001 - weighs every event the same
    return 1.0


VENDORS: Final[tuple[tuple[Measure, float], ...]] = (
    (Rolling("50 requests in 15 min", 900, _one), 50),
    (Rolling("100 requests in 60 min", 3600, _one), 100),
    (Rolling("500 requests in 60 min", 3600, _one), 500),
    (Rolling("50 MB in 10 min", 600, _bytes), 50e6),
)
"""Thresholds that vendors publish for mass download; each counts as reached from that value on."""
SIMPLE: Final[tuple[Measure, ...]] = (
    Distinct("distinct documents in 24 h", 86_400, _document),
    Distinct("distinct objects in 24 h", 86_400, _object),
    Distinct("distinct documents in 60 min", 3600, _document),
    Rolling("requests in 24 h", 86_400, _one),
    HourlyZ(),
)

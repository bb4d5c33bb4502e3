"""The whole evaluation of one log: who is an ordinary user, how each measure scores them, which hijacks it sees and how soon."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tallystick_stream_jobs.detectors.d15_hijack import Hijack as HijackRule
from tallystick_stream_jobs.detectors.facts import Fact

from .figures import Caught, Figure, alarms, recall, threshold
from .log import Log, part_of
from .measures import SIMPLE, VENDORS, Detector, HalfSpaceForest, Measure
from .splice import Hijack, Span, splices

OURS: Final = "D15"
SPANS: Final[tuple[Span, ...]] = ("whole", "one-day")
SPLICES: Final = 12
WAYS: Final = 40
Step = Callable[[str, int, int], None]
"""Told what is being done, how far it is, and out of how much."""


@dataclass(frozen=True)
class Seen:
    """What one measure saw of one hijack: its highest score, and the scores at the thief's requests with their seconds since the first."""

    victim: str
    seed: int
    speed: float
    highest: float
    course: tuple[tuple[float, float], ...] = ()
    """(score, seconds since the thief began) at each of the thief's requests; kept for our own detector alone."""


@dataclass
class Scores:
    """One measure: each untouched user's highest score, and every hijack by kind of splice."""

    untouched: dict[str, float] = field(default_factory=dict)
    hijacks: dict[Span, list[Seen]] = field(default_factory=lambda: {span: [] for span in SPANS})


@dataclass(frozen=True)
class Result:
    """Scores by measure's name. `days` is the length of the log."""

    users: list[str]
    hijacked: int
    days: int
    scores: dict[str, Scores]
    names: list[str]

    def part(self, name: str, number: int) -> list[float]:
        """Highest scores of a part's users, each as the log has them: a user's own log without a splice is untouched."""
        return [score for user, score in self.scores[name].untouched.items() if part_of(user) == number]

    def line(self, name: str, rate: float) -> float:
        """The threshold frozen on the first part at so many false alarms a user and day."""
        return threshold(self.part(name, 0), rate, self.days)

    def reported(self, name: str, span: Span) -> list[Seen]:
        """The second part's hijacks."""
        return [one for one in self.scores[name].hijacks[span] if part_of(one.victim)]

    def recall(self, name: str, rate: float, span: Span) -> Figure:
        """Share of the second part's hijacks above it."""
        return recall(self.part(name, 0), self._caught(name, span), rate, self.days)

    def _caught(self, name: str, span: Span) -> list[Caught]:
        return [Caught(one.victim, one.highest) for one in self.reported(name, span)]

    def split_otherwise(self, name: str, rate: float, span: Span) -> tuple[float, float]:
        """(mean, tenth percentile) of recall over other ways of splitting the same users: how much of a figure is the luck of the split."""
        shares = []
        for way in range(WAYS):
            # Not the seed of a draw of victims: the same seed would choose the same people.
            drawn = random.Random(f"split {way}")  # noqa: S311 - a fixed draw, not a secret
            frozen = set(drawn.sample(self.users, len(self.users) // 2))
            line = threshold([self.scores[name].untouched[user] for user in sorted(frozen)], rate, self.days)
            seen = [one.highest > line for one in self.scores[name].hijacks[span] if one.victim not in frozen]
            shares += [sum(seen) / len(seen)] if seen else []
        return (sum(shares) / len(shares), sorted(shares)[len(shares) // 10]) if shares else (float("nan"), float("nan"))

    def recall_paid(self, name: str, rate: float, span: Span) -> Figure:
        """The same with the threshold that the second part's own users allow: what so many false alarms, really paid, would have bought."""
        return recall(self.part(name, 1), self._caught(name, span), rate, self.days)

    def false_alarms(self, name: str, rate: float) -> Figure:
        """What the second part's users really paid for it, a user and day."""
        return alarms(self.part(name, 1), self.line(name, rate), self.days)


def measures_for(facts: dict[str, list[Fact]]) -> list[Measure]:
    """Ours first, then the baselines."""
    taught = [one for user, one in facts.items() if part_of(user) == 0]
    return [Detector(OURS, HijackRule()), *SIMPLE, *(measure for measure, _ in VENDORS), HalfSpaceForest(taught)]


def evaluate(log: Log, step: Step, count: int = SPLICES, measures: Sequence[Measure] | None = None) -> Result:
    """Score everybody and every hijack. Deterministic: draws have fixed seeds, and the log's order is made its own."""
    users = log.users()
    facts: dict[str, list[Fact]] = {}
    for at, user in enumerate(users):
        facts[user] = log.facts(user, log.people[user])
        if not at % 50:
            step("reading users", at, len(users))
    given = measures if measures is not None else measures_for(facts)
    scores = {measure.name: Scores() for measure in given}
    for at, (user, own) in enumerate(facts.items()):
        for measure in given:
            scores[measure.name].untouched[user] = max(measure.scores(own))
        if not at % 50:
            step("scoring users", at, len(users))
    hijacked = 0
    for at, (span, seed, hijack) in enumerate(_all_splices(log, count)):
        hijacked += (span, seed) == ("whole", 0)
        for measure in given:
            scores[measure.name].hijacks[span].append(_seen(measure, hijack, seed))
        step("scoring hijacks", at, len(SPANS) * count * min(60, len(users) // 2))
    return Result(users, hijacked, log.days, scores, [measure.name for measure in given])


def _all_splices(log: Log, count: int) -> Iterator[tuple[Span, int, Hijack]]:
    for span in SPANS:
        for seed in range(count):
            for hijack in splices(log, seed, span):
                yield span, seed, hijack


def _seen(measure: Measure, hijack: Hijack, seed: int) -> Seen:
    scores = measure.scores(hijack.facts)
    course: tuple[tuple[float, float], ...] = ()
    if measure.name == OURS:
        begun = next(fact.time for fact, stolen in zip(hijack.facts, hijack.stolen, strict=True) if stolen)
        course = tuple((score, f.time - begun) for score, f, stolen in zip(scores, hijack.facts, hijack.stolen, strict=True) if stolen)
    return Seen(hijack.victim, seed, hijack.speed, max(scores), course)

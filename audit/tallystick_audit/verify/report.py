"""What a verification says: three verdicts, the failures behind them, and the exit code (SPEC section 11). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

MAX_KEPT: Final = 1000
"""Failures that are kept in words; all are counted."""


class Aspect(StrEnum):
    """What is judged."""

    INTEGRITY = "integrity"
    COMPLETENESS = "completeness"
    FRESHNESS = "freshness"


class Outcome(StrEnum):
    """How it was judged. Unknown never passes."""

    PASS = "pass"  # noqa: S105  # the verdict's name
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong (or could not be judged: `outcome` unknown). `shard` and `index` are null where it has no such place.

    In step 1 and 2 without a shard, `index` counts leaves of the root log.
    """

    step: int
    shard: int | None
    index: int | None
    reason: str
    verdict: Aspect = Aspect.INTEGRITY
    outcome: Outcome = Outcome.FAIL


@dataclass
class Findings:
    """Collects failures: the first MAX_KEPT in words, all in `counts`, by (aspect, outcome)."""

    kept: list[Failure] = field(default_factory=list)
    counts: dict[tuple[Aspect, Outcome], int] = field(default_factory=dict)

    def add(self, failure: Failure) -> None:
        kind = (failure.verdict, failure.outcome)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.kept) < MAX_KEPT:
            self.kept.append(failure)

    def fail(self, step: int, shard: int | None, index: int | None, reason: str) -> None:
        """Integrity is broken at this place."""
        self.add(Failure(step, shard, index, reason))

    def incomplete(self, step: int, shard: int | None, index: int | None, reason: str, outcome: Outcome = Outcome.FAIL) -> None:
        """Something that belongs into the history is not there, or may not be."""
        self.add(Failure(step, shard, index, reason, Aspect.COMPLETENESS, outcome))

    def merge(self, others: Iterable["Findings"]) -> None:
        """What other processes found. Counts stay exact, also where they kept fewer in words."""
        for other in others:
            for kind, count in other.counts.items():
                self.counts[kind] = self.counts.get(kind, 0) + count
            self.kept = [*self.kept, *other.kept][:MAX_KEPT]

    def count(self, aspect: Aspect) -> int:
        """Failures of one aspect, those that could not be judged aside."""
        return self.counts.get((aspect, Outcome.FAIL), 0)

    def outcome(self, aspect: Aspect) -> Outcome:
        """The worst that was found about one aspect."""
        for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
            if self.counts.get((aspect, outcome)):
                return outcome
        return Outcome.PASS


@dataclass(frozen=True, slots=True)
class Fork:
    """Two different segments that one key signed under one number. The log holds both: evidence about the agent, no fault of the log."""

    shard: int
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Which rules a shard's newest judged entry was folded by, and since which entry: its index, and the broker's time of it (wire time).

    Level 1 holds from the beginning, without a record: both are null then.
    """

    shard: int
    level: int
    index: int | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class UnfitSeen:
    """An agent's `seen` that does not lie on the history and that no pinned sealer key signed: its word alone, which proves nothing.

    Shard and index of the first segment that says so, what it says, and today's root at that size (empty where today's log is shorter).
    `count`: how many different ones of this agent are alike.
    """

    agent: str
    shard: int
    index: int
    size: int
    root: str
    today: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class AgentsSeen:
    """Step 10: how many different root checkpoints that agents were shown lie on this history, and what agents say alone and does not, one an agent."""

    fit: int = 0
    unfit: tuple[UnfitSeen, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result. `failures` has at most MAX_KEPT; `failure_count` counts all of them."""

    integrity: Outcome
    completeness: Outcome
    freshness: Outcome
    entries: int
    events: int
    failures: tuple[Failure, ...]
    failure_count: int
    forks: tuple[Fork, ...]
    unproven_rejections: int
    """Segments rejected for their body whose bytes were not kept: the verdict stands as recorded."""
    erased: int
    checkpoints: int
    root_size: int | None
    seconds: float
    unjudged: str = ""
    """Why the pinned keys could judge nothing: they are wrong, or everything was replaced. Integrity fails then."""
    deployment: str = ""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Ids of the pinned keys, by whose they are."""
    at: str = ""
    """When it was verified, as the verifier's clock says."""
    root_hash: str | None = None
    note: str | None = None
    """The newest root checkpoint that holds: its root in hex, and the signed note (C2SP signed-note)."""
    directives: int = 0
    """Accepted records in which the operator says something about rules or agents (kind 7)."""
    rules: tuple[RulesInForce, ...] = ()
    """By shard."""
    seen: AgentsSeen = AgentsSeen()
    notes: tuple[str, ...] = ()
    """What was not looked at, and what was seen that no verdict speaks of."""

    @property
    def exit_code(self) -> int:
        """0 all pass, 1 a failure, 2 unknown."""
        verdicts = (self.integrity, self.completeness, self.freshness)
        if Outcome.FAIL in verdicts:
            return 1
        return 2 if Outcome.UNKNOWN in verdicts else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON object; the keys are a contract, more may come. `error` stands in it when the pinned keys fit nothing."""
        fields = asdict(self)
        if unjudged := fields.pop("unjudged"):
            fields |= {"error": unjudged, "exit": self.exit_code}
        fields["failures"] = [asdict(failure) for failure in self.failures]
        fields["forks"] = [asdict(fork) for fork in self.forks]
        fields["seen"]["unfit"] = [asdict(one) for one in self.seen.unfit]
        fields["notes"] = list(self.notes)
        fields["rules"] = [asdict(one) for one in self.rules]
        fields["events_per_s"] = round(self.events / self.seconds) if self.seconds else 0
        return fields

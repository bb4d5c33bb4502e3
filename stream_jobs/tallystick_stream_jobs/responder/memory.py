"""What the responder remembers: topic `decisions`, folded. Pure; `put` is the only way in, so that a replayed topic gives the same memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from tallystick_schemas.messages import Decision, Finding, Lock, Place
from tallystick_schemas.names import canonical
from tallystick_schemas.notices import BREAKER_WINDOW_S, choice_of, withdrawn
from tallystick_schemas.times import seconds_of

from .ladder import seconds

DAY_S: Final = 86_400.0
_MAX_PRINCIPALS: Final = 50_000
_MAX_DETECTORS: Final = 32
_MAX_OWNERS: Final = 8
_MAX_DECISIONS: Final = 20_000
_MAX_ACTS: Final = 1_000
ME: Final = "responder"
WITNESS: Final = "witness"
"""In a decision's `policy`: as what its finding counts for others (signal, alert, …), or why not."""
ACTS: Final = ("signal", "alert", "step-up", "suspend")
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Word:
    """What one detector last said of a principal. `at` in seconds since 1970."""

    at: float
    act: str
    evidence: frozenset[Place]


class Memory:
    """Bounded: the newest decisions by id, the newest principals with what was said of them, the newest automatic locks."""

    def __init__(self) -> None:
        self._decisions: dict[str, Decision] = {}
        self._said: dict[str, dict[str, Word]] = {}
        self._acted: list[tuple[float, str, str]] = []
        self._owners: dict[str, tuple[str, ...]] = {}
        self._first: dict[tuple[str, str], Decision] = {}

    def put(self, decision: Decision) -> None:
        """The newest decision. One whose id is known changes nothing."""
        if decision.id in self._decisions:
            return
        self._decisions[decision.id] = decision
        if len(self._decisions) > _MAX_DECISIONS:
            del self._decisions[next(iter(self._decisions))]
        if decision.proposed is not None:
            _put_bounded(self._first, (decision.subject, choice_of(decision.proposed)), decision, _MAX_ACTS)
        elif decision.lock is not None:
            self._first.pop((decision.subject, choice_of(decision.lock)), None)
        elif ended := withdrawn(decision):
            self._first = {key: waits for key, waits in self._first.items() if waits.id not in ended}
        if decision.detectors:
            self._note_act(decision)
            self._note_word(decision)
        if decision.principal and decision.subject.startswith("credential:"):
            known = self._owners.get(decision.subject, ())
            owner = canonical(decision.principal)
            names = known if owner in known else (*known, owner)
            _put_bounded(self._owners, decision.subject, names[:_MAX_OWNERS], _MAX_PRINCIPALS)

    def told(self, command: str) -> Decision | None:
        """The decision that carried out a command, if it was told."""
        return self._decisions.get(command)

    def owners(self, subject: str) -> tuple[str, ...]:
        """Whose subject it is, as far as decisions said, the first known one first: a principal is its own. Who used it later takes it from nobody."""
        kind, _, name = subject.partition(":")
        return (canonical(name),) if kind == "principal" else self._owners.get(subject, ())

    def first(self, lock: Lock) -> Decision | None:
        """The first of two orders for such a lock; whether it still waits, its `expires` says."""
        return self._first.get((lock.subject, choice_of(lock)))

    def firsts(self, subject: str) -> list[Decision]:
        """The first orders about a subject; as with `first`, some may be over."""
        return [one for one in self._first.values() if one.subject == subject]

    def seconds(self, finding: Finding, now: float) -> list[str]:
        """The detectors that back a finding: they spoke of its principal within a day, of other evidence."""
        places = frozenset(finding.evidence)
        words = self._said.get(canonical(finding.principal), {})
        return sorted(
            detector
            for detector, word in words.items()
            if now - word.at < DAY_S and seconds(finding, detector, word.act, bool(places & word.evidence))
        )

    def acted(self, level: str, now: float) -> int:
        """How many subjects got an automatic lock of a level in the breaker's window. Prolonging one's lock is no further lock."""
        return len({subject for at, what, subject in self._acted if what == level and 0 <= now - at < BREAKER_WINDOW_S})

    def newest(self) -> Iterator[Decision]:
        """Decisions, newest first."""
        return reversed(self._decisions.values())

    def _note_act(self, decision: Decision) -> None:
        if decision.lock is not None and decision.lock.state == "locked":
            self._acted = [*self._acted, (seconds_of(decision.at), decision.lock.level, decision.subject)][-_MAX_ACTS:]

    def _note_word(self, decision: Decision) -> None:
        act = decision.policy.get(WITNESS, "")
        if act not in ACTS or not decision.principal or not decision.detectors:
            return
        principal = canonical(decision.principal)
        words = self._said.pop(principal, {})
        detector = decision.detectors[0]
        known = words.pop(detector, None)
        at = seconds_of(decision.at)
        # A detector's strongest word of the day stands: a later signal must not hide its alert.
        if known is not None and at - known.at < DAY_S and ACTS.index(known.act) > ACTS.index(act):
            act = known.act
        _put_bounded(words, detector, Word(at, act, frozenset(decision.evidence)), _MAX_DETECTORS)
        _put_bounded(self._said, principal, words, _MAX_PRINCIPALS)


def _put_bounded(into: dict[K, V], key: K, value: V, most: int) -> None:
    into.pop(key, None)
    into[key] = value
    if len(into) > most:
        del into[next(iter(into))]

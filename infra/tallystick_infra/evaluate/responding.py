"""Engine and responder over a stretch of events, as in production but without topics: every detector, then the whole ladder with its guards."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.messages import Finding, Lock, VerifiedBatch, VerifiedSegment
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import JobSettings
from tallystick_schemas.times import seconds_of
from tallystick_stream_jobs.detectors.base import Rule
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.facts import Fact
from tallystick_stream_jobs.detectors.registry import build_rules
from tallystick_stream_jobs.responder.book import LockBook
from tallystick_stream_jobs.responder.decisions import about_finding, automatic, subject_of
from tallystick_stream_jobs.responder.memory import Memory
from tallystick_stream_jobs.responder.policy import Weighing, decide

_LOCK_S: Final = 3600.0
_BREAKER: Final[int] = JobSettings.__dataclass_fields__["breaker_limit"].default  # type: ignore[assignment] # an int, as declared there


@dataclass
class Told:
    """What engine and responder said. `indices`: of each finding, the number of the event at which it came."""

    findings: list[Finding] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    suspended: set[str] = field(default_factory=set)
    stepped_up: set[str] = field(default_factory=set)
    events: int = 0
    state_bytes: float = 0.0

    def principals(self, detector: str) -> set[str]:
        """Of whom a detector spoke."""
        return {finding.principal for finding in self.findings if finding.detector == detector}

    def detectors(self) -> list[str]:
        """Who spoke at all."""
        return sorted({finding.detector for finding in self.findings})


def respond(people: Iterable[Sequence[Fact]], rules: tuple[Rule, ...] | None = None) -> Told:
    """Everybody's events in the order of time through one engine; each finding is decided on at its own time."""
    engine, told = Engine(rules or build_rules()), Told()
    book, memory = LockBook(LockTopic(Opener("evaluate", Keyring({})))), Memory()
    facts = sorted((fact for one in people for fact in one), key=lambda fact: fact.time)
    for segment in _segments(facts):
        found = engine.process(VerifiedBatch(1, 0, [segment], []))
        for finding in found:
            _decide(finding, book, memory, told)
        told.findings += found
        told.indices += [segment.index] * len(found)
    told.events = len(facts)
    count, size = engine.sizes()
    told.state_bytes = size / max(1, count)
    return told


def _decide(finding: Finding, book: LockBook, memory: Memory, told: Told) -> None:
    """The responder's steps (job.py) without its topics: book and memory are put right at once."""
    now = seconds_of(finding.time)
    for ended in book.expired(now):
        _put(book, ended)
    standing = book.get(subject_of(finding))
    verdict = decide(Weighing(finding, memory.seconds(finding, now), memory, standing, frozenset(), _BREAKER, now))
    lock = automatic(finding, verdict, standing, now, now + _LOCK_S)
    if lock is not None:
        _put(book, lock)
        (told.suspended if lock.level == "suspend" else told.stepped_up).add(finding.principal)
    memory.put(about_finding(finding, verdict, lock, standing, now))


def _put(book: LockBook, lock: Lock) -> None:
    book.put(Held(lock, Number(1, book.topic.newest.n + 1), "responder", ""))


def _segments(facts: Sequence[Fact]) -> Iterator[VerifiedSegment]:
    """One event a segment: its append time is the event's own, as when an agent sends at once."""
    for index, fact in enumerate(facts):
        yield VerifiedSegment(index, "evaluate", "0" * 32, index, int(fact.time * 1000), [(0, fact.raw)])

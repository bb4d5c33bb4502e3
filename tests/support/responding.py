"""Findings, and a responder's pure half, for tests of the ladder."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.signing import opener

from tallystick_schemas.envelope import Number
from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.messages import Decision, Finding, Lock
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.book import LockBook
from tallystick_stream_jobs.responder.decisions import about_finding, automatic, subject_of
from tallystick_stream_jobs.responder.memory import Memory
from tallystick_stream_jobs.responder.policy import Weighing, decide

NOW = 1_795_406_400.0


def finding(detector: str = "D13", act: str = "suspend", who: str = "ann", number: int = 1, **more: Any) -> Finding:
    """A finding of now about `who`, with evidence of its own."""
    known: dict[str, Any] = {
        "id": f"F-{number}",
        "version": 1,
        "title": "t",
        "severity": "high",
        "credential": "tok",
        "time": wire_time(NOW),
        "value": 1.0,
        "threshold": 1.0,
        "window_s": 60,
        "evidence": [(0, number, 2)],
        "deterministic": True,
        "techniques": [],
        "text": "Something.",
        "emitted_ms": 0,
    }
    return Finding(detector=detector, act=act, principal=who, **known | more)


def book() -> LockBook:
    """An empty one."""
    return LockBook(LockTopic(opener()))


def put(into: LockBook, lock: Lock) -> None:
    """A lock as the responder's next word."""
    into.put(Held(lock, Number(1, into.topic.newest.n + 1), "responder", ""))


@dataclass
class Deciding:
    """Book and memory, and what the shell does with them: decide, lock, remember."""

    protected: frozenset[str] = frozenset()
    breaker_limit: int = 3
    book: LockBook = field(default_factory=book)
    memory: Memory = field(default_factory=Memory)

    def on(self, one: Finding, now: float = NOW) -> Decision:
        standing = self.book.get(subject_of(one))
        weighing = Weighing(one, self.memory.seconds(one, now), self.memory, standing, self.protected, self.breaker_limit, now)
        verdict = decide(weighing)
        lock = automatic(one, verdict, standing, now, now + 3600)
        decision = about_finding(one, verdict, lock, standing, now)
        if lock is not None:
            put(self.book, lock)
        self.memory.put(decision)
        return decision

    def put(self, lock: Lock) -> None:
        put(self.book, lock)

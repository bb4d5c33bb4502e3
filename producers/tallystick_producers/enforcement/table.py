"""Which principals and credentials are locked: a state machine that is given locks, heartbeats and now.

It leaves to the shell (`feed`): reading the topic, whose word counts, which heartbeats came live, and whether the topic has what they say. A lock table
knows who is locked for `stale_s` from the time that such a heartbeat bears, by the clock of this machine. After that, and once it was told that values
are missing, it does not know whether somebody was locked meanwhile, and denies everyone (or nobody, when the deployment chose to fail open).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tallystick_schemas.locks import UNREADABLE, Subject, in_force
from tallystick_schemas.messages import Level, Lock
from tallystick_schemas.names import canonical
from tallystick_schemas.times import seconds_of

from ..instants import Instant

NEVER: Final = float("-inf")


@dataclass(frozen=True)
class Denial:
    """Why a principal or credential may not go on. `level` and `command` (the id to quote) are None when the table cannot know."""

    text: str
    policy: str
    level: Level | None = None
    command: str | None = None
    max_age_s: int | None = None
    """For a step-up: how old, at most, the proof of who it is may be (RFC 9470, section 4: `max_age`)."""


class _Knows(NamedTuple):
    """Until when the table knows, and when it last heard a heartbeat that it believed (both monotonic); what is amiss since then."""

    until: float = NEVER
    heard: float | None = None
    amiss: str = ""


class LockTable:
    """Written by one feed thread, read by the event loop: every change replaces one whole value, so a reader sees before or after."""

    def __init__(self, stale_s: float, fail_open: bool = False) -> None:
        self._stale_s, self._fail_open = stale_s, fail_open
        self._locks: dict[str, tuple[Lock, ...]] = {}
        self._knows = _Knows()
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` from the writer's thread after each change: who is under way need not be looked at all the time."""
        self._watchers.append(changed)

    def apply(self, lock: Lock) -> None:
        """The newest believed word about a subject. ParseError when it is about no subject, and then nobody is locked by it."""
        name = str(Subject.parse(lock.subject))
        # A word lifts what was said under its own spelling alone, so that it lifts here what it lifts in the responder's book.
        others = tuple(one for one in self._locks.get(name, ()) if one.subject != lock.subject)
        if lock.state == "locked":
            self._locks[name] = (*others, lock)
        elif others:
            self._locks[name] = others
        else:
            self._locks.pop(name, None)
        self._tell()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()

    def heartbeat(self, at: float, now: Instant) -> bool:
        """A signed heartbeat of `at` (Unix seconds) came live, and the topic has what it says; whether it is of now, by our own clock.

        One that is not closes the table at once: a broker delays what it hands out, or one of the two clocks is wrong.
        """
        age = now.wall - at
        if abs(age) > self._stale_s:
            side = "behind" if age > 0 else "ahead of"
            self.doubt(f"finds the responder's newest word {abs(age):.0f} s {side} its own clock")
            return False
        self._knows = _Knows(now.mono + self._stale_s - max(0.0, age), now.mono)
        return True

    def doubt(self, amiss: str) -> None:
        """The table cannot know any more, until the next heartbeat that is believed. `amiss` goes on `This door …`."""
        self._knows = _Knows(NEVER, self._knows.heard, amiss)

    def fresh(self, now: Instant) -> bool:
        """Whether the table can know who is locked."""
        return now.mono <= self._knows.until

    def locked(self, now: Instant) -> list[Lock]:
        """The locks in force."""
        return [lock for locks in list(self._locks.values()) for lock in locks if in_force(lock, now.wall)]

    def check(self, principal: str, credential: str | None, now: Instant, issued: float | None = None) -> Denial | None:
        """None: may go on. A known lock is told before the table's own ignorance: it is the better answer.

        Every spelling of a principal's name feels the lock of any other (ADR 0026); credentials are compared by their bytes.

        `issued`: when the credential shown was issued (Unix seconds), where that is known. One that is younger than the lock passes a step-up,
        and the revocation of a principal: it was given to somebody who proved who he is after the doubt arose.
        """
        for subject in (f"principal:{canonical(principal)}", f"credential:{credential}"):
            for lock in self._locks.get(subject, ()):
                if in_force(lock, now.wall) and not _renewed(lock, issued):
                    return _locked(lock, now)
        return None if self._fail_open or self.fresh(now) else self._unknown(now)

    def _unknown(self, now: Instant) -> Denial:
        _, heard, amiss = self._knows
        last = "has not heard from the responder yet" if heard is None else f"last heard from the responder {now.mono - heard:.0f} s ago"
        text = f"This door {amiss or last}, so it cannot know whether this access is locked, and denies it."
        return Denial(f"{text} Try again shortly; tell the operator if this lasts.", "locks.known")


def _renewed(lock: Lock, issued: float | None) -> bool:
    if issued is None or (lock.level != "step-up" and not (lock.level == "revoke" and lock.subject.startswith("principal:"))):
        return False
    return issued > seconds_of(lock.at)


def _locked(lock: Lock, now: Instant) -> Denial:
    kind, _, name = lock.subject.partition(":")
    until = f" until {_minute(lock.until)}" if lock.until else ""
    since = f" since {_minute(lock.at)}" if lock.command != UNREADABLE else ""
    why = lock.reason.rstrip(". ")
    quote = f"quote {lock.command} to your security team."
    if lock.level == "step-up":
        text = f"Access of {kind} {name} needs a fresh proof of who it is{since}{until}: {why}. Ask for a new token; if in doubt, {quote}"
        return Denial(text, f"lock.{kind}", "step-up", lock.command, max(0, int(now.wall - seconds_of(lock.at))))
    if lock.level == "revoke":
        text = f"Access of {kind} {name} was revoked for good{since}: {why}. The way back is a new credential; {quote}"
        return Denial(text, f"lock.{kind}", "revoke", lock.command)
    text = f"Access of {kind} {name} is suspended{since}{until}: {why}. To have it lifted, {quote}"
    return Denial(text, f"lock.{kind}", "suspend", lock.command)


def _minute(wire: str) -> str:
    return wire[:16].replace("T", " ") + " UTC"

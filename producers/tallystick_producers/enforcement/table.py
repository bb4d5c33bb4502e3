"""Which principals and credentials are locked: a state machine that is given locks, heartbeats and now.

It leaves to the shell: reading the topic (lock_feed), and saying which heartbeats were seen live. A lock table that has not heard a heartbeat for `stale_s`
does not know whether somebody was locked meanwhile, and denies everyone (or nobody, when the deployment chose to fail open).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Level, Lock
from tallystick_schemas.names import canonical, canonical_subject

from ..instants import Instant, from_wire

UNREADABLE: Final = "unreadable"


@dataclass(frozen=True)
class Denial:
    """Why a principal or credential may not go on. `level` and `command` (the id to quote) are None when the table cannot know."""

    text: str
    policy: str
    level: Level | None = None
    command: str | None = None
    max_age_s: int | None = None
    """For a step-up: how old, at most, the proof of who it is may be (RFC 9470, section 4: `max_age`)."""


class LockTable:
    """Written by one feed thread, read by the event loop: every change replaces one whole value, so a reader sees before or after."""

    def __init__(self, stale_s: float, fail_open: bool = False) -> None:
        self._stale_s, self._fail_open = stale_s, fail_open
        self._locks: dict[str, Lock] = {}
        self._heard: float | None = None
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` from the writer's thread after each change: who is under way need not be looked at all the time."""
        self._watchers.append(changed)

    def apply(self, lock: Lock) -> None:
        """The newest word about a subject; the topic's order decides, not the `at` of its writers, whose clocks may differ."""
        subject = canonical_subject(lock.subject)
        if lock.state == "locked":
            self._locks[subject] = lock
        else:
            self._locks.pop(subject, None)
        self._tell()

    def apply_unreadable(self, subject: str) -> None:
        """The newest word about a subject cannot be read. It may have been a lock, so it counts as one."""
        reason = "the newest lock record about this subject cannot be read; an operator must lock or unlock it again"
        self._locks[canonical_subject(subject)] = Lock(
            subject=subject, state="locked", command=UNREADABLE, reason=reason, by="gateway", at=""
        )
        self._tell()

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()

    def forget(self, subject: str) -> None:
        """The topic no longer speaks about a subject (a tombstone)."""
        self._locks.pop(canonical_subject(subject), None)

    def heartbeat(self, mono: float) -> None:
        """A heartbeat arrived live at `mono`, everything before it applied. One that is older history must not be passed on."""
        self._heard = mono

    def age_s(self, now: Instant) -> float | None:
        """Seconds since the last live heartbeat; None when there never was one."""
        return None if self._heard is None else now.mono - self._heard

    def fresh(self, now: Instant) -> bool:
        """Whether the table can know who is locked."""
        age = self.age_s(now)
        return age is not None and age <= self._stale_s

    def locked(self, now: Instant) -> list[Lock]:
        """The locks in force."""
        return [lock for lock in list(self._locks.values()) if not _over(lock, now)]

    def check(self, principal: str, credential: str | None, now: Instant, issued: float | None = None) -> Denial | None:
        """None: may go on. A known lock is told before the table's own ignorance: it is the better answer.

        Every spelling of a principal's name feels the lock of any other (ADR 0026); credentials are compared by their bytes.

        `issued`: when the credential shown was issued (Unix seconds), where that is known. One that is younger than the lock passes a step-up,
        and the revocation of a principal: it was given to somebody who proved who he is after the doubt arose.
        """
        for subject in (f"principal:{canonical(principal)}", f"credential:{credential}"):
            lock = self._locks.get(subject)
            if lock is not None and not _over(lock, now) and not _renewed(lock, issued):
                return _locked(lock, now)
        return None if self._fail_open or self.fresh(now) else self._unknown(now)

    def _unknown(self, now: Instant) -> Denial:
        age = self.age_s(now)
        heard = "has not heard from the responder yet" if age is None else f"last heard from the responder {age:.0f} s ago"
        text = f"This door {heard}, so it cannot know whether this access is locked, and denies it. Try again shortly; tell the operator if this lasts."
        return Denial(text, "locks.known")


def _over(lock: Lock, now: Instant) -> bool:
    try:
        return lock.until is not None and from_wire(lock.until) <= now.wall
    except ParseError:
        return False  # an end that cannot be read is no end


def _renewed(lock: Lock, issued: float | None) -> bool:
    if issued is None or (lock.level != "step-up" and not (lock.level == "revoke" and lock.subject.startswith("principal:"))):
        return False
    try:
        return issued > from_wire(lock.at)
    except ParseError:
        return False


def _locked(lock: Lock, now: Instant) -> Denial:
    kind, _, name = lock.subject.partition(":")
    until = f" until {_minute(lock.until)}" if lock.until else ""
    since = f" since {_minute(lock.at)}" if lock.at else ""
    why = lock.reason.rstrip(". ")
    quote = f"quote {lock.command} to your security team."
    if lock.level == "step-up":
        text = f"Access of {kind} {name} needs a fresh proof of who it is{since}{until}: {why}. Ask for a new token; if in doubt, {quote}"
        return Denial(text, f"lock.{kind}", "step-up", lock.command, max(0, int(now.wall - _at(lock, now))))
    if lock.level == "revoke":
        text = f"Access of {kind} {name} was revoked for good{since}: {why}. The way back is a new credential; {quote}"
        return Denial(text, f"lock.{kind}", "revoke", lock.command)
    text = f"Access of {kind} {name} is suspended{since}{until}: {why}. To have it lifted, {quote}"
    return Denial(text, f"lock.{kind}", "suspend", lock.command)


def _at(lock: Lock, now: Instant) -> float:
    try:
        return from_wire(lock.at)
    except ParseError:
        return now.wall


def _minute(wire: str) -> str:
    return wire[:16].replace("T", " ") + " UTC"

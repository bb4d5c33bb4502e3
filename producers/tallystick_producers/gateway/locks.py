"""Which principals and credentials are locked: a state machine that is given locks, heartbeats and now.

It leaves to the shell: reading the topic (lock_feed), and saying which heartbeats were seen live. A lock table that has not heard a heartbeat for `stale_s`
does not know whether somebody was locked meanwhile, and denies everyone (or nobody, when the deployment chose to fail open).
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Lock

from .errors import Refusal
from .instants import Instant, from_wire

UNREADABLE: Final = "unreadable"


@dataclass(frozen=True)
class Denial:
    """Why a principal or credential may not go on. `command` is the id to quote; None when the table cannot know."""

    status: HTTPStatus
    text: str
    policy: str
    command: str | None = None

    def refusal(self) -> Refusal:
        """The same as an answer to a request. GatedRepo is the code that Hub clients raise at once and show with our sentence."""
        if self.command is None:
            return Refusal(self.status, "LocksUnknown", self.text, outcome="denied", policies=[self.policy], facts={"retry_after": "2"})
        return Refusal(self.status, "GatedRepo", self.text, outcome="denied", policies=[self.policy], facts={"lock": self.command})


class LockTable:
    """Written by one feed thread, read by the event loop: every change replaces one whole value, so a reader sees before or after."""

    def __init__(self, stale_s: float, fail_open: bool = False) -> None:
        self._stale_s, self._fail_open = stale_s, fail_open
        self._locks: dict[str, Lock] = {}
        self._heard: float | None = None

    def apply(self, lock: Lock) -> None:
        """The newest word about a subject; the topic's order decides, not the `at` of its writers, whose clocks may differ."""
        if lock.state == "locked":
            self._locks[lock.subject] = lock
        else:
            self._locks.pop(lock.subject, None)

    def apply_unreadable(self, subject: str) -> None:
        """The newest word about a subject cannot be read. It may have been a lock, so it counts as one."""
        reason = "the newest lock record about this subject cannot be read; an operator must lock or unlock it again"
        self._locks[subject] = Lock(subject=subject, state="locked", command=UNREADABLE, reason=reason, by="gateway", at="")

    def forget(self, subject: str) -> None:
        """The topic no longer speaks about a subject (a tombstone)."""
        self._locks.pop(subject, None)

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

    def check(self, principal: str, credential: str | None, now: Instant) -> Denial | None:
        """None: may go on. A known lock is told before the table's own ignorance: it is the better answer."""
        for subject in (f"principal:{principal}", f"credential:{credential}"):
            lock = self._locks.get(subject)
            if lock is not None and not _over(lock, now):
                return _locked(lock)
        return None if self._fail_open or self.fresh(now) else self._unknown(now)

    def _unknown(self, now: Instant) -> Denial:
        age = self.age_s(now)
        heard = "has not heard from the responder yet" if age is None else f"last heard from the responder {age:.0f} s ago"
        text = f"The gateway {heard}, so it cannot know whether this access is locked, and denies it. Try again shortly; tell the operator if this lasts."
        return Denial(HTTPStatus.SERVICE_UNAVAILABLE, text, "locks.known")


def _over(lock: Lock, now: Instant) -> bool:
    try:
        return lock.until is not None and from_wire(lock.until) <= now.wall
    except ParseError:
        return False  # an end that cannot be read is no end


def _locked(lock: Lock) -> Denial:
    kind, _, name = lock.subject.partition(":")
    until = f" until {_minute(lock.until)}" if lock.until else ""
    since = f" since {_minute(lock.at)}" if lock.at else ""
    text = f"Access of {kind} {name} is suspended{since}{until}: {lock.reason.rstrip('. ')}. To have it lifted, quote {lock.command} to your security team."
    return Denial(HTTPStatus.FORBIDDEN, text, f"lock.{kind}", lock.command)


def _minute(wire: str) -> str:
    return wire[:16].replace("T", " ") + " UTC"

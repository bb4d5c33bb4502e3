"""Locks, in one place: whom one names, whether it is in force, and what topic `locks` says (SPEC section 12). Pure, and given the time."""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from .encoding import digest
from .envelope import NO_NUMBER, Number, Opener
from .errors import OldMessage, ParseError
from .messages import HEARTBEAT_KEY, ROLE_KEY, Level, Lock, LockHeartbeat, parse_lock
from .names import canonical
from .roles import Holder
from .times import seconds_of
from .topics import LOCKS

LEVELS: Final[tuple[Level, ...]] = ("step-up", "suspend", "revoke")
"""From the weakest to the strongest."""
UNREADABLE: Final = "unreadable"
"""The command of a lock that was signed and that this version cannot read."""
MAX_SUBJECT_BYTES: Final = 4096
_ROLES_REMEMBERED: Final = 16
_WHY_UNREADABLE: Final = "the newest lock record about this subject cannot be read; an operator must lock or unlock it again"
_LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"


class Subject(NamedTuple):
    """Whom a lock names; a principal by the canonical form of its name, a credential by its bytes."""

    kind: Literal["principal", "credential"]
    name: str

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """`principal:NAME` or `credential:ID`; ParseError for anything else."""
        kind, _, name = text.partition(":")
        if name and len(text.encode("utf-8", "replace")) <= MAX_SUBJECT_BYTES:
            if kind == "principal":
                return cls("principal", canonical(name))
            if kind == "credential":
                return cls("credential", name)
        raise ParseError(f"{text[:100]!r} is neither principal:NAME nor credential:ID")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def in_force(lock: Lock | None, now: float) -> bool:
    """Whether a lock holds at `now` (seconds since 1970): it is locked, and not over."""
    return lock is not None and lock.state == "locked" and (lock.until is None or seconds_of(lock.until) > now)


def weaker(one: Lock, other: Lock) -> bool:
    """Whether `one` would hold less than `other`: a lower level, or a sooner end."""
    if LEVELS.index(one.level) < LEVELS.index(other.level):
        return True
    return one.until is not None and (other.until is None or seconds_of(one.until) < seconds_of(other.until))


@dataclass(frozen=True)
class Held:
    """The newest believed word about a subject, and who signed it."""

    lock: Lock
    number: Number
    agent: str
    key: str


@dataclass(frozen=True)
class Lost:
    """The topic no longer has a value that holds: a tombstone lifts nothing."""

    subject: str


Taken = Held | LockHeartbeat | Holder | Lost | None
"""What one value was: a word about a subject, a heartbeat, a key with a role, a lock that went missing, or nothing new."""


def read_word(key: bytes, body: bytes) -> Lock | LockHeartbeat:
    """A signed body. One about a subject that cannot be read may have been a lock, so it counts as one."""
    try:
        return parse_lock(key, body)
    except ParseError:
        if key == HEARTBEAT_KEY:
            raise
        subject = key.decode("utf-8", "replace")
        Subject.parse(subject)
        return Lock(subject=subject, state="locked", command=UNREADABLE, reason=_WHY_UNREADABLE, by="", at=_LONG_AGO)


class LockTopic:
    """The fold of topic `locks`: believes what an active responder signed, with a number above all before it, and forgets nothing by itself."""

    def __init__(self, opener: Opener) -> None:
        self.opener = opener
        self.held: dict[str, Held] = {}
        self.newest = NO_NUMBER
        self._digest: str | None = None
        self._roles: deque[str] = deque(maxlen=_ROLES_REMEMBERED)

    def take(self, key: bytes | None, value: bytes | None) -> Taken:
        """One value in the topic's order; ParseError says why it is nobody's word. Nothing changes then."""
        if key is None:
            raise ParseError("a value without a key")
        if value is None:
            return self._tombstone(key)
        if key.startswith(ROLE_KEY):
            before = self.opener.keyring.digest()
            holder = self.opener.keyring.take(value)
            if self.opener.keyring.digest() != before:
                self._roles.append(before)
            return holder
        opened = self.opener.open(LOCKS, key, value)
        if opened.number <= self.newest:
            raise OldMessage(opened.number, self.newest)
        said = read_word(key, opened.body)
        self.newest = opened.number
        if isinstance(said, LockHeartbeat):
            return said
        held = Held(said, opened.number, opened.holder.agent, opened.holder.key)
        self.put(held)
        return held

    def put(self, held: Held) -> None:
        """A word that is known to be signed, from wherever: the higher number stands."""
        known = self.held.get(held.lock.subject)
        if known is None or known.number < held.number:
            self.held[held.lock.subject] = held
            self._digest = None
        self.newest = max(self.newest, held.number)

    def _tombstone(self, key: bytes) -> Lost | None:
        subject = key.decode("utf-8", "replace")
        known = self.held.get(subject)
        if known is None:
            return None
        if known.lock.state == "unlocked":
            del self.held[subject]
            return None
        return Lost(subject)

    def locked(self, now: float) -> list[Lock]:
        """The locks in force."""
        return [held.lock for held in list(self.held.values()) if in_force(held.lock, now)]

    def standing(self) -> tuple[int, str]:
        """(count, digest) of the words that lock, whether their time is over or not: the responder ends them by a signed lifting."""
        locking = [held for held in self.held.values() if held.lock.state == "locked"]
        if self._digest is None:
            lines = sorted(b"%d %d %b\n" % (*held.number, digest(held.lock.subject.encode())) for held in locking)
            self._digest = digest(b"".join(lines)).hex()
        return len(locking), self._digest

    def heartbeat(self, at: str) -> LockHeartbeat:
        """What who writes the topic says of it now."""
        return LockHeartbeat(at, *self.standing(), self.opener.keyring.digest())

    def agrees(self, beat: LockHeartbeat) -> bool:
        """Whether who wrote the topic had the same locks and roles as were read here: nothing was dropped, rolled back or held back."""
        mine = self.heartbeat(beat.at)
        # Who writes the topic reads a new role a moment after it stands there: the roles of a moment ago are no rollback.
        return (beat.count, beat.digest) == (mine.count, mine.digest) and (beat.roles == mine.roles or beat.roles in self._roles)

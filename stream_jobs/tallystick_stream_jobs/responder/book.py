"""The book of locks: the newest state of each subject, which commands were carried out, and what runs out when. Pure."""

from datetime import datetime
from typing import Final

from tallystick_schemas.messages import Finding, Lock
from tallystick_schemas.signing import wire_time

_MAX_COMMANDS: Final = 100_000


def seconds_of(wire: str) -> float:
    """A time of the wire as seconds since 1970."""
    return datetime.fromisoformat(wire).timestamp()


class LockBook:
    """What topic `locks` says. `put` is the only way in, so that a replayed topic gives the same book."""

    def __init__(self) -> None:
        self.locks: dict[str, Lock] = {}
        self._commands: dict[str, None] = {}

    def put(self, lock: Lock) -> None:
        """The newest word about a subject."""
        self.locks[lock.subject] = lock
        self._commands[lock.command] = None
        if len(self._commands) > _MAX_COMMANDS:
            del self._commands[next(iter(self._commands))]

    def done(self, command: str) -> bool:
        """Whether a command was carried out: a replay, or an impatient second press, changes nothing."""
        return command in self._commands

    def suspend(self, finding: Finding, reason: str, by: str, now: float, minutes: float) -> Lock | None:
        """The lock for a finding; None when it is in force for longer already."""
        subject = f"credential:{finding.credential}" if finding.credential else f"principal:{finding.principal}"
        current, until = self.locks.get(subject), now + minutes * 60
        if current is not None and current.state == "locked" and (current.until is None or seconds_of(current.until) >= until):
            return None
        return Lock(
            subject=subject,
            state="locked",
            command=f"auto-{finding.id}",
            reason=reason,
            by=by,
            at=wire_time(now),
            until=wire_time(until),
            finding=finding.id,
            evidence=finding.evidence,
        )

    def expired(self, now: float) -> list[Lock]:
        """Locks whose time is over, as unlocked."""
        over = [lock for lock in self.locks.values() if lock.state == "locked" and lock.until and seconds_of(lock.until) <= now]
        return [
            Lock(
                subject=lock.subject,
                state="unlocked",
                command=f"expire-{lock.command}",
                reason=f"its time was over; it was locked because: {lock.reason}",
                by="responder",
                at=wire_time(now),
                finding=lock.finding,
            )
            for lock in over
        ]

"""The book of locks: the newest state of each subject, which commands were carried out, and what runs out when. Pure."""

from datetime import datetime
from typing import Final

import msgspec

from tallystick_schemas.events import TIME_PATTERN
from tallystick_schemas.messages import Level, Lock
from tallystick_schemas.names import canonical_subject
from tallystick_schemas.signing import wire_time

_MAX_COMMANDS: Final = 100_000
LEVELS: Final[tuple[Level, ...]] = ("step-up", "suspend", "revoke")


def seconds_of(wire: str) -> float:
    """A time of the wire as seconds since 1970."""
    return datetime.fromisoformat(wire).timestamp()


def is_time(text: str) -> bool:
    """Whether a text is a time of the wire: the form alone would let the 31st of February in."""
    try:
        return TIME_PATTERN.fullmatch(text) is not None and seconds_of(text) > 0
    except ValueError:
        return False


class LockBook:
    """What topic `locks` says. `put` is the only way in, so that a replayed topic gives the same book."""

    def __init__(self) -> None:
        self.locks: dict[str, Lock] = {}
        self._commands: dict[str, Lock] = {}

    def put(self, lock: Lock) -> None:
        """The newest word about a subject."""
        self.locks[canonical_subject(lock.subject)] = lock
        self._commands[lock.command] = lock
        if len(self._commands) > _MAX_COMMANDS:
            del self._commands[next(iter(self._commands))]

    def made_by(self, command: str) -> Lock | None:
        """The lock that a command made: a replay, or an impatient second press, changes nothing."""
        return self._commands.get(command)

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
                evidence=lock.evidence,
                level=lock.level,
                drill=lock.drill,
            )
            for lock in over
        ]


def lifted(order: Lock, standing: Lock | None) -> Lock:
    """An order to unlock, with the finding that the lifted lock was for: it tells automation that people decided about it."""
    if standing is None or order.state != "unlocked":
        return order
    return msgspec.structs.replace(
        order, finding=order.finding or standing.finding, level=standing.level, drill=order.drill or standing.drill
    )

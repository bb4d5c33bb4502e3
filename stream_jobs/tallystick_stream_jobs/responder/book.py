"""The book of locks: the newest believed word about each subject, which commands were carried out, and what runs out when. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.messages import Lock
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of

_MAX_COMMANDS: Final = 100_000


class LockBook:
    """Words by their numbers, from the topic, the history or the responder's own hand: the same set of words gives the same book in any order."""

    def __init__(self, topic: LockTopic) -> None:
        self.topic = topic
        self._commands: dict[str, Lock] = {}
        for held in topic.held.values():
            self._commands[held.lock.command] = held.lock

    @property
    def held(self) -> Mapping[str, Held]:
        """Subject -> its newest word."""
        return self.topic.held

    def get(self, subject: str) -> Lock | None:
        """The newest word about a subject."""
        held = self.topic.held.get(subject)
        return held.lock if held else None

    def put(self, held: Held) -> None:
        """A word that is known to be signed."""
        self.topic.put(held)
        self._commands[held.lock.command] = held.lock
        if len(self._commands) > _MAX_COMMANDS:
            del self._commands[next(iter(self._commands))]

    def made_by(self, command: str) -> Lock | None:
        """The lock that a command made: a replay, or an impatient second press, changes nothing."""
        return self._commands.get(command)

    def expired(self, now: float) -> list[Lock]:
        """Locks whose time is over at `now` (seconds since 1970), as unlocked."""
        locks = [held.lock for held in self.topic.held.values()]
        over = [lock for lock in locks if lock.state == "locked" and lock.until and seconds_of(lock.until) <= now]
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

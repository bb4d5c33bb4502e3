"""Topic `locks` as whoever comes new to it reads it: beside the responder's book, it shows what was dropped, overwritten or rolled back."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kafka import TopicPartition

from tallystick_producers.following import POLL_MS, follow
from tallystick_producers.keyring import read_roles, take_role
from tallystick_producers.refused import Refused
from tallystick_schemas.envelope import NO_NUMBER, Number, Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.locks import Held, read_word
from tallystick_schemas.messages import HEARTBEAT_KEY, RETIRE_KEY, ROLE_KEY, Lock
from tallystick_schemas.roles import Keyring
from tallystick_schemas.topics import LOCKS

log: Final = logging.getLogger(__name__)
_PARTITION: Final = TopicPartition(LOCKS, 0)
_SILENT_POLLS: Final = 15
_MAX_STRANGE: Final = 1_000


class Value(NamedTuple):
    """One value of a responder: its number, and whether it locks its subject."""

    number: Number
    locks: bool


@dataclass
class Seen:
    """What the topic holds now, by its newest values. Pure: `take` is the only way in."""

    opener: Opener
    values: dict[bytes, Value | None] = field(default_factory=dict)
    """Key of a subject -> its last value, which is what compaction leaves; None where that is nobody's word, or a tombstone."""
    believed: dict[bytes, Value] = field(default_factory=dict)
    """Key of a subject -> the value that whoever reads all of them goes by: the last one with a number above all before it."""
    roles: dict[bytes, bytes] = field(default_factory=dict)
    newest: Number = NO_NUMBER

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One value, in the topic's order."""
        if key is None:
            return
        if key.startswith(ROLE_KEY):
            take_role(self.opener.keyring, key, value)
            self.roles[key] = value or b""
            return
        read = self._read(key, value)
        if read is not None and read.number > self.newest:
            self.newest = read.number
            self.believed[key] = read
        if key != HEARTBEAT_KEY and (read is not None or key in self.values or len(self.values) < _MAX_STRANGE):
            self.values[key] = read

    def _read(self, key: bytes, value: bytes | None) -> Value | None:
        if value is None:
            return None
        try:
            opened = self.opener.open(LOCKS, key, value)
            said = read_word(key, opened.body)
            return Value(opened.number, isinstance(said, Lock) and said.state == "locked")
        except ParseError as error:
            log.error("topic %s, key %r: %s", LOCKS, key[:200], error)
            return None

    def lacking(self, words: Iterable[Held]) -> list[Held]:
        """Words that were written before the newest value here, and without which whoever comes new knows other locks."""
        return [held for held in words if held.number <= self.newest and self._lacks(held)]

    def _lacks(self, held: Held) -> bool:
        key = held.lock.subject.encode()
        last = self.values.get(key)
        if held.lock.state == "locked":
            return last is None or last.number != held.number
        # Whose lock is not found either needs no lifting. An older lock in its place, for who reads all values or what compaction leaves, does.
        found = (last, self.believed.get(key))
        return any(one is not None and one.locks and one.number < held.number for one in found)

    def lacking_roles(self, keyring: Keyring) -> list[tuple[bytes, bytes]]:
        """(key, record) of directives that the topic does not carry: roles first, so that no retirement takes one away that was said again."""
        named = [(ROLE_KEY + f"{holder.agent}/{holder.key}".encode(), holder.raw) for holder in keyring]
        named += [(RETIRE_KEY + one.key.encode(), one.raw) for one in keyring.retirements()]
        return [(key, raw) for key, raw in named if self.roles.get(key) != raw]


class Mirror:
    """Follows the topic in a thread until closed. After a topic was made anew, what was seen of the old one is forgotten."""

    def __init__(self, opener: Opener, connect: Callable[[], Any]) -> None:
        self._opener, self._connect = opener, connect
        self._seen: Seen | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: follow("the topic of locks", connect, self._read, self._stopping), daemon=True)
        self._thread.start()

    @property
    def seen(self) -> Seen | None:
        """What the topic holds, once it was read to its end; None before that and while it cannot be read."""
        return self._seen

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)

    def _read(self, consumer: Any) -> None:
        self._seen, seen = None, Seen(self._opener)
        consumer.assign([_PARTITION])
        # Roles first, as every reader: compaction may leave one behind what its holder signed, which would be said again for nothing.
        read_roles(consumer, self._opener.keyring, Refused(LOCKS))
        consumer.seek_to_beginning(_PARTITION)
        end, silent, expected = _end(consumer), 0, 0
        while not self._stopping.is_set():
            records = consumer.poll(timeout_ms=POLL_MS).get(_PARTITION, [])
            if records and records[0].offset < expected:
                # The client itself went back to the beginning of what is another topic under the name.
                log.error("topic %s begins again at offset %d, after %d: it was made anew", LOCKS, records[0].offset, expected)
                return
            expected = records[-1].offset + 1 if records else expected
            for record in records:
                seen.take(record.key, record.value)
            if consumer.position(_PARTITION) >= end:
                self._seen = seen
            silent = 0 if records else silent + 1
            if silent >= _SILENT_POLLS:
                silent, end = 0, _end(consumer)
                if consumer.position(_PARTITION) > end:
                    log.error("topic %s is shorter than what was read of it: it was made anew", LOCKS)
                    return


def _end(consumer: Any) -> int:
    end: int = consumer.end_offsets([_PARTITION])[_PARTITION]
    return end

"""What an application asks before it lets somebody go on: a lock table of its own, fed like the gateway's, and a point that says so."""

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.envelope import Signer
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import Level, Lock
from tallystick_schemas.settings import AgentSettings

from ..following import connect
from ..forking import keep_forever
from ..instants import now
from ..keyring import opener_of
from .announce import Announcer, Identity, KafkaTopic
from .feed import LockFeed
from .table import Denial, LockTable


@dataclass(frozen=True)
class LockState:
    """Whether somebody may go on; true in a condition when not. `known` false: the locks cannot be known now, which counts as locked.

    `command` is the id to quote, `text` the sentence for whom it stops. A `step-up` is over for a credential that was issued after the lock;
    who asks without an issue time is denied.
    """

    locked: bool
    known: bool
    level: Level | None = None
    command: str | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return self.locked


_FREE = LockState(False, True)
_LEAVE_S: Final = 2.0
"""For signing off. A thread that waits for a Kafka that is away is left behind; then the point is missed instead, and shown as silent."""


class LockCache:
    """Table, feed and announcer of one process. Starts at once; closes when its recorder does."""

    def __init__(self, settings: AgentSettings, signer: Signer, record: Callable[..., str]) -> None:
        self._table = LockTable(settings.lock_stale_s)
        self._known = threading.Event()
        self._began = time.monotonic()
        self.name = f"{settings.agent}@{socket.gethostname()}:{os.getpid()}"
        self._announcer = Announcer(Identity(self.name, "sdk"), signer, lambda: KafkaTopic(settings.kafka), record)
        self._feed = LockFeed(self._table, LockTopic(opener_of(settings.log)), lambda: connect(settings.kafka), self)

    def applied(self, lock: Lock, *, stood: bool = False) -> None:
        """From the feed."""
        self._announcer.applied(lock, stood=stood)

    def heard(self, at: str) -> None:
        """From the feed: now the table knows."""
        self._announcer.heard(at)
        self._known.set()

    def check(self, principal: str, credential: str | None, issued: float | None, wait_s: float) -> LockState:
        """The answer of now. The first ones wait for the table to be fed, until `wait_s` after it was begun: once that is over none waits again."""
        if not self._known.is_set() and (left := self._began + wait_s - time.monotonic()) > 0:
            self._known.wait(left)
        denial = self._table.check(principal, credential, now(), issued)
        return _FREE if denial is None else _state(denial)

    def close(self) -> None:
        """Sign off, within _LEAVE_S."""
        until = time.monotonic() + _LEAVE_S
        for part in (self._feed, self._announcer):
            part.stop()
        for part in (self._feed, self._announcer):
            part.close(max(0.0, until - time.monotonic()))

    def forget(self) -> None:
        """In a forked child: the threads are the parent's, and so are the sockets, which must not be closed here."""
        keep_forever(self)


def _state(denial: Denial) -> LockState:
    return LockState(True, denial.command is not None, denial.level, denial.command, denial.text)

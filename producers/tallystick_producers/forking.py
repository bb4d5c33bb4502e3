"""What must happen around fork (pthread_atfork): SQLite is at rest and closed before, and the child starts with nothing of the parent's.

SQLite keeps its POSIX locks in tables of the process. A child would inherit the tables but not the locks, and could then write over
what its parent reads (sqlite.org/howtocorrupt.html, 2.6). So every connection is closed before a fork, and opened again when it is next used.
"""

import os
import threading
import weakref
from typing import Any, Final, Protocol


class Quiet(Protocol):
    """Something that can be put to rest for a fork."""

    def rest(self) -> None:
        """Wait until nobody uses it, keep it so, and hold nothing open."""

    def go_on(self) -> None:
        """The fork is done; called in the parent."""


class Inherited(Protocol):
    """Something that a child must not use."""

    def forget(self) -> None:
        """Drop what belongs to the parent; called in the child."""


_quiet: "weakref.WeakSet[Quiet]" = weakref.WeakSet()
_inherited: "weakref.WeakSet[Inherited]" = weakref.WeakSet()
_guard: Final = threading.RLock()
"""Held from before a fork until after it, so that the sets do not change meanwhile."""
_resting: Final[list[Quiet]] = []
_never_freed: Final[list[Any]] = []


def rest_for_forks(one: Quiet) -> None:
    """Put `one` to rest around every fork, as long as it lives."""
    with _guard:
        _quiet.add(one)


def forget_in_children(one: Inherited) -> None:
    """Tell `one` in every child, as long as it lives."""
    with _guard:
        _inherited.add(one)


def keep_forever(thing: Any) -> None:
    """In a child: what the parent's client libraries would do when their objects die must not happen here."""
    _never_freed.append(thing)


def _before() -> None:
    _guard.acquire()
    for one in list(_quiet):
        one.rest()
        _resting.append(one)


def _after_in_parent() -> None:
    while _resting:
        _resting.pop().go_on()
    _guard.release()


def _after_in_child() -> None:
    # The thread that forked holds the locks, so it can give them back here as well.
    _after_in_parent()
    for one in list(_inherited):
        one.forget()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

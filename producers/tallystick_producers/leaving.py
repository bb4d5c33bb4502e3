"""A process that ends without closing its recorders: what they hold goes to disk all the same, as far as Python lets anybody know that it ends."""

import atexit
import logging
import weakref
from typing import Final, Protocol

from .errors import ProducerError

log: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 5.0


class Closable(Protocol):
    """A recorder, as far as it matters here."""

    def close(self, timeout: float) -> None: ...


_open: "weakref.WeakSet[Closable]" = weakref.WeakSet()


def close_when_leaving(one: Closable) -> None:
    """Close `one` when the interpreter ends, if it still lives. In a forked child that ends by `os._exit`, as multiprocessing's do, nobody asks."""
    _open.add(one)


def close_all() -> None:
    """What did not reach the disk is said: there is nobody left to raise to."""
    for one in list(_open):
        try:
            one.close(_TIMEOUT_S)
        except ProducerError as error:
            log.error("at the end of the process: %s", error)


atexit.register(close_all)

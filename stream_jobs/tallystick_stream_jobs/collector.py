"""Python's collector of cycles, set for processes that hold many containers for long and make hardly any cycles of them."""

import gc
import time
from typing import Any, Final

_YOUNG: Final = 10_000
_MANY_YOUNG: Final = 50_000
_OLDER: Final = 20
_SERVING: Final = (2_000, 5, 2)
"""All of 20,000 new containers, so of some 600 connections, which are about as many as a server has at once."""
SWEEP_EVERY_S: Final = 3600.0


def walk_once() -> None:
    """From now on, what outlives a collection of the middle generation is set aside, and walked through again once an hour only.

    A part's modules alone are 100,000 to 400,000 containers. Measured: a full collection of them held a part up for 40 to 220 ms, several times a minute,
    and took a core from the others meanwhile; whoever waited for a lock just then waited for it.
    """
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)
    gc.callbacks.append(_Aside())


def walk_modules_once() -> None:
    """The same for a part that serves strangers: only what lives now is set aside, for good, and all else is walked through often.

    A connection that ended is a ring of some 35 objects, with TLS of 350 kB. Whoever holds many of them over a collection of the middle generation and
    lets them go would have the part keep them for an hour, and as many more with each such collection.
    """
    gc.set_threshold(*_SERVING)
    gc.collect()
    gc.freeze()


class _Aside:
    """Called by the collector around each collection (gc.callbacks)."""

    def __init__(self) -> None:
        self._sweep_at = time.monotonic() + SWEEP_EVERY_S

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "stop":
            if info["generation"]:
                gc.freeze()
        elif info["generation"] == 2 and time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_EVERY_S
            gc.unfreeze()


def calm_collector() -> None:
    """Look for cycles after 50,000 new containers and not after 700: measured, it took up to half of the detectors' time."""
    gc.set_threshold(_MANY_YOUNG, _OLDER, _OLDER)


def set_aside() -> None:
    """After each message: what lives now is state, and need not be walked through even once (2 of 22 µs an event). Counts of references free it."""
    gc.freeze()


def sweep() -> None:
    """Each hour: cycles that others made among what was set aside. It walks through all states once: 1.8 s for those of 10,000 principals."""
    gc.unfreeze()
    gc.collect()

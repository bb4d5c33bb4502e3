"""How the cost of some work grows with the size of what it is given: a ratio of CPU times, never a time."""

import contextlib
import gc
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMES = 8
QUADRATIC = TIMES * TIMES


def cost(work: Callable[[T], object], given: T) -> float:
    """CPU seconds, the least of five: what else the machine did is not the work's. Work that refuses counts as done.

    Without the garbage collector, which looks at all that this process holds whenever some work makes many objects.
    """
    least, collects = float("inf"), gc.isenabled()
    gc.disable()
    try:
        for _ in range(5):
            began = time.thread_time()
            with contextlib.suppress(Exception):
                work(given)
            least = min(least, time.thread_time() - began)
    finally:
        if collects:
            gc.enable()
    return max(least, 1e-4)


def growth(work: Callable[[T], object], make: Callable[[int], T], size: int) -> float:
    """How many times more `TIMES` the size costs: about 8 where the work is linear, 64 where it is quadratic."""
    small, large = make(size), make(size * TIMES)
    return cost(work, large) / cost(work, small)

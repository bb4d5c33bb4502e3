"""Now, as the cores are given it: wall clock for what people agreed on, monotonic clock for what was measured here."""

import time
from typing import NamedTuple


class Instant(NamedTuple):
    """One moment on two clocks, both in seconds. `mono` never steps; `wall` is Unix time."""

    wall: float
    mono: float


def now() -> Instant:
    """The shell's clock; cores never call it."""
    return Instant(time.time(), time.monotonic())

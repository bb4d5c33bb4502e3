"""Now, as the cores are given it: wall clock for what people agreed on, monotonic clock for what was measured here."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import TIME_PATTERN


class Instant(NamedTuple):
    """One moment on two clocks, both in seconds. `mono` never steps; `wall` is Unix time."""

    wall: float
    mono: float


def now() -> Instant:
    """The shell's clock; cores never call it."""
    return Instant(time.time(), time.monotonic())


def from_wire(text: str) -> float:
    """Unix seconds of a wire time (SPEC section 2), or ParseError."""
    if not TIME_PATTERN.fullmatch(text):
        raise ParseError("time is not YYYY-MM-DDThh:mm:ss.ffffffZ")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise ParseError(f"no such time: {text}") from error


def to_wire(seconds: float) -> str:
    """Wire time of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""One line of `tallystick doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One line: what, whether it is well, what was seen, and what to do when it is not."""

    name: str
    ok: bool
    seen: str
    mend: str = ""

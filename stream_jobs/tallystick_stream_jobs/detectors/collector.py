"""Python's collector of cycles, set for a process that holds millions of small containers and makes no cycles of them."""

import gc
from typing import Final

_YOUNG: Final = 50_000
_OLDER: Final = 20


def calm_collector() -> None:
    """Look for cycles after 50,000 new containers and not after 700: measured, it took up to half of the detectors' time."""
    gc.set_threshold(_YOUNG, _OLDER, _OLDER)

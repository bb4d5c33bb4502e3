"""Telling what strangers are refused: the shell around `strangers`, with its clock and its second."""

import asyncio
from collections.abc import Callable
from typing import Final

from ..instants import Instant, now
from .strangers import Refused, Strangers

TELL_S: Final = 1.0


class Counting:
    """`record`: takes an event that stands for others. While `is_ready` says no, what was counted waits here, where it has a bound."""

    def __init__(
        self, record: Callable[[Refused], None], is_ready: Callable[[], bool] = lambda: True, clock: Callable[[], Instant] = now
    ) -> None:
        self._record, self._is_ready, self._clock = record, is_ready, clock
        self._strangers = Strangers()
        self._timer: asyncio.TimerHandle | None = None

    def is_told(self, source: str, refused: Refused) -> bool:
        """Whether the caller has to record this refusal by itself; else it is counted, and told within a second or so. Loop's thread."""
        told = self._strangers.is_told(source, refused, self._clock())
        if not told and self._timer is None:
            self._wait()
        return told

    def flush(self) -> None:
        """Tell now what was counted, whatever `is_ready` says: at the end there is no later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for refused in self._strangers.counted():
            self._record(refused)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TELL_S, self._due)

    def _due(self) -> None:
        if self._is_ready():
            self.flush()
        else:
            self._wait()

"""A timer that is started anew in place of itself."""

import asyncio
from collections.abc import Callable


class Timer:
    """At most one call to come."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float, then: Callable[[], object]) -> None:
        """Call `then` in so many seconds, and not what was to come before."""
        self.stop()
        self._handle = self._loop.call_later(seconds, then)

    def stop(self) -> None:
        """No call comes."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

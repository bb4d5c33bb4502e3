"""When a part that died is started again: a state machine that is given the time."""

from dataclasses import dataclass

_WAITS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 30.0
"""A part that ran this long is well again."""


@dataclass
class Backoff:
    """One part's. Times in seconds of a monotonic clock."""

    failures: int = 0
    started_at: float = 0.0
    restart_at: float | None = None

    def started(self, now: float) -> None:
        """The part was started."""
        self.started_at, self.restart_at = now, None

    def died(self, now: float) -> float:
        """Seconds until it is started again: longer each time, from the beginning after it had run steadily."""
        if now - self.started_at >= STEADY_S:
            self.failures = 0
        wait = _WAITS_S[min(self.failures, len(_WAITS_S) - 1)]
        self.failures += 1
        self.restart_at = now + wait
        return wait

    def due(self, now: float) -> bool:
        """Whether it is time to start it again."""
        return self.restart_at is not None and now >= self.restart_at

"""Which segments to send when (SPEC section 8): a state machine that is given the time. It leaves sending, reading and deleting to the shell."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tallystick_schemas.verdicts import Verdict

from .spool import Waiting

WINDOW_BYTES: Final = 8 << 20
_BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
Key = tuple[str, int]
"""(run, n)."""


class Answer(Enum):
    """What a receipt means for a segment."""

    FREE = "free"
    KEEP = "keep"
    ASIDE = "aside"


@dataclass
class _Item:
    size: int
    sent_at: float | None = None
    not_before: float = 0.0
    refusals: int = 0


class SenderCore:
    """Segments in the order of the spool; at most `window` bytes without a receipt are on their way."""

    def __init__(self, resend_s: float, window: int = WINDOW_BYTES) -> None:
        self._resend_s, self._window = resend_s, window
        self._items: OrderedDict[Key, _Item] = OrderedDict()
        self._flying = 0
        self.bytes_waiting = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, waiting: Waiting) -> None:
        """A segment that the spool holds; adding it twice changes nothing."""
        key = (waiting.run, waiting.n)
        if key not in self._items:
            self._items[key] = _Item(waiting.size)
            self.bytes_waiting += waiting.size

    def due(self, now: float) -> list[Key]:
        """What to hand to Kafka now, in order; counts as sent. One that waited too long for its receipt brings all that fly with it."""
        overdue = next((True for item in self._items.values() if item.sent_at is not None and now - item.sent_at >= self._resend_s), False)
        if overdue:
            for item in self._items.values():
                item.sent_at = None
            self._flying = 0
        chosen: list[Key] = []
        for key, item in self._items.items():
            if self._flying >= self._window:
                break
            if item.sent_at is not None:
                continue
            if now < item.not_before:
                break  # what comes after it in its run would only arrive out of order
            item.sent_at = now
            self._flying += item.size
            chosen.append(key)
        return chosen

    def next_due(self, now: float) -> float:
        """Seconds until `due` may have something again without a receipt."""
        times = [
            item.not_before - now if item.sent_at is None else item.sent_at + self._resend_s - now
            for item, _ in zip(self._items.values(), range(8), strict=False)
        ]
        return max(0.0, min(times, default=self._resend_s))

    def receipt(self, run: str, n: int, verdict: int, now: float) -> Answer | None:
        """What the notary said; None when it is about nothing that waits here."""
        item = self._items.get((run, n))
        if item is None:
            return None
        if item.sent_at is not None:
            self._flying -= item.size
            item.sent_at = None
        if verdict == Verdict.UNKNOWN_KEY:
            # Enrolment may be on its way: slower and slower, but never given up.
            item.not_before = now + _BACK_OFF_S[min(item.refusals, len(_BACK_OFF_S) - 1)]
            item.refusals += 1
            return Answer.KEEP
        del self._items[(run, n)]
        self.bytes_waiting -= item.size
        return Answer.FREE if verdict <= Verdict.SEEN else Answer.ASIDE

"""Shards that stand still: why, and when it is looked whether what stopped them is otherwise now. Given the time; what is asked may block."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

log: Final = logging.getLogger(__name__)
FIRST_S: Final = 5.0
MOST_S: Final = 300.0
"""Between two looks, which come half as often each time that nothing changed."""


@dataclass
class Still:
    """One shard. `changed` asks store and Kafka about the very place that stopped it, and about nothing else: it is asked for as long as it takes."""

    changed: Callable[[], bool]
    wait_s: float = FIRST_S
    look_at: float = field(default=0.0)


class Standing:
    """The shards that stand still, and when each is looked at again."""

    def __init__(self) -> None:
        self._still: dict[int, Still] = {}

    def put(self, shard: int, changed: Callable[[], bool], now: float) -> None:
        """A shard stands still from now on."""
        self._still[shard] = Still(changed, look_at=now + FIRST_S)

    def forget(self, shard: int) -> None:
        self._still.pop(shard, None)

    def due(self, now: float) -> bool:
        """Whether any is to be looked at."""
        return any(now >= one.look_at for one in self._still.values())

    def look(self, now: float) -> list[int]:
        """Those of the due ones for which it is otherwise now. A store or a Kafka that does not answer has nothing new."""
        found = []
        for shard, one in list(self._still.items()):
            if now < one.look_at:
                continue
            one.wait_s = min(MOST_S, 2 * one.wait_s)
            one.look_at = now + one.wait_s
            try:
                if one.changed():
                    found.append(shard)
            except Exception as error:  # noqa: BLE001 - whatever a client raises; the next look is due anyway
                log.warning("shard %d stands still, and cannot be looked at (%s: %s)", shard, type(error).__name__, str(error)[:200])
        return found

"""What the supervisor runs: names, order, commands, and how each says that it is ready."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

JOBS = ("notary", "detectors", "responder", "outbox")
START_ORDER = ("kafka", "clickhouse", "notary", "detectors", "responder", "outbox", "sealer", "signals", "gateway", "console")
STOP_ORDER = (("console", "gateway", "signals"), ("sealer", "detectors", "responder", "outbox"), ("notary",), ("clickhouse", "kafka"))
"""Doors first, then what reads the stores, then the stores: nobody loses what he was writing."""

_BEHIND: Final = {"clickhouse": 5, "sealer": 5}
"""Nobody waits for them on the way from an event to a lock, and merging takes what it gets."""


@dataclass(frozen=True)
class Part:
    """One process. `ready` answers whether it serves; None when running is all there is to know."""

    name: str
    command: list[str]
    ready: Callable[[], bool] | None = None

    @property
    def behind(self) -> int:
        """How far it stands back where processors are scarce (nice(1))."""
        return _BEHIND.get(self.name, 0)


def own_command(data: Path, *arguments: str) -> list[str]:
    """A command of ours on this deployment, whatever is on PATH."""
    return [sys.executable, "-m", "tallystick_infra.cli", *arguments, "--data", str(data)]

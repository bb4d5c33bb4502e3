"""Errors of the outbox.

TallystickError
└── JobError
    ├── OrderImpossible     a person's order about a delivery cannot be carried out
    ├── OrderUnseen         an order was recorded, and nothing came of it in time
    └── OutboxBusy          another outbox runs on this deployment
"""

from pathlib import Path

from ..errors import JobError


class OrderImpossible(JobError):
    """Nothing was changed."""

    def __init__(self, delivery: str, reason: str) -> None:
        super().__init__(f"{delivery}: {reason}; `tallystick outbox list` shows what waits and what was given up")


class OrderUnseen(JobError):
    """The order stands in the history; the outbox has not acted on it yet."""

    def __init__(self, delivery: str, seconds: float) -> None:
        super().__init__(f"the order about {delivery} is recorded, but nothing changed within {seconds:.0f} s; is the outbox running?")


class OutboxBusy(JobError):
    """Two of them would deliver everything twice and out of order."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"another outbox runs on {directory}; stop it first")

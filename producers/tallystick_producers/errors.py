"""Errors of the producer SDK, by whose fault it is.

TallystickError
└── ProducerError
    ├── InvalidEvent       what the caller gave is not an event
    ├── RecorderClosed     the caller used a recorder after closing it
    ├── SpoolFull          the spool's bound is reached, and the setting says to raise
    ├── SpoolFailed        the disk did not take a segment
    ├── ReceiptTimeout     the history did not confirm in time; nothing is lost
    └── KeyFileError       the agent's key cannot be used
"""

from pathlib import Path

from tallystick_schemas.errors import TallystickError


class ProducerError(TallystickError):
    """Base of what the SDK raises."""


class InvalidEvent(ProducerError):
    """Not recorded: the event breaks section 2 of the format."""


class RecorderClosed(ProducerError):
    def __init__(self, agent: str) -> None:
        super().__init__(f"the recorder of {agent} is closed")


class SpoolFull(ProducerError):
    def __init__(self, path: str, used: int, limit: int) -> None:
        super().__init__(
            f"not recorded: the spool {path} holds {used} of {limit} bytes that the history has not confirmed; "
            "is Kafka reachable and the notary running? (spool_max_bytes raises the limit)"
        )


class SpoolFailed(ProducerError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the spool {path} did not take the segment: {reason}; free some space or mend the disk, it is tried again")


class ReceiptTimeout(ProducerError):
    def __init__(self, waiting: int, seconds: float) -> None:
        super().__init__(f"{waiting} segments have no receipt after {seconds:.1f} s; they stay in the spool and are sent again")


class KeyFileError(ProducerError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the key file {path} {reason}")

"""Errors of the producer SDK, by whose fault it is.

TallystickError
└── ProducerError
    ├── InvalidEvent       what the caller gave is not an event
    ├── InvalidQuestion    what `is_locked` was asked is no principal or credential
    ├── RecorderClosed     the caller used a recorder after closing it
    ├── SpoolFull          the spool's bound is reached, and the setting says to raise
    ├── SpoolFailed        the disk did not take a segment
    ├── ReceiptTimeout     the history did not confirm in time; nothing is lost
    ├── SegmentsRefused    the history refused segments for good; they are kept aside
    ├── KeyFileError       the agent's key cannot be used
    ├── LineRefused        a line of a log is not an event; the others are recorded
    ├── SourceUnreadable   a log cannot be opened, or ends where it must not
    ├── MappingUnusable    a mapping of columns to an event's fields has mistakes
    ├── LockFeedBroken     the topic of locks is not the one that was read: it is read from its beginning
    └── BatchRefused       a batch from Kafka is over a bound or has no form: readers see empty records in its place
"""

from pathlib import Path

from tallystick_schemas.errors import TallystickError
from tallystick_schemas.words import counted


class ProducerError(TallystickError):
    """Base of what the SDK raises."""


class InvalidEvent(ProducerError):
    """Not recorded: the event breaks section 2 of the format."""


class InvalidQuestion(ProducerError):
    """Not answered: a wrong question must not be told that nobody is locked."""


class RecorderClosed(ProducerError):
    """Not recorded: there is nobody left to write it down."""

    def __init__(self, agent: str) -> None:
        super().__init__(f"the recorder of {agent} is closed")


class SpoolFull(ProducerError):
    """Not recorded: the spool's bound is reached."""

    def __init__(self, path: str, used: int, limit: int) -> None:
        super().__init__(
            f"not recorded: the spool {path} holds {used} of {limit} bytes that the history has not confirmed; "
            "is Kafka reachable and the notary running? (spool_max_bytes raises the limit)"
        )


class SpoolFailed(ProducerError):
    """The disk refuses. What was taken in before stays in memory and is tried again; a durable event that came later was not taken in."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the spool {path} did not take the segment: {reason}; free some space or mend the disk, it is tried again")


class ReceiptTimeout(ProducerError):
    """No receipt in time. The segments stay in the spool."""

    def __init__(self, waiting: int, seconds: float) -> None:
        who = counted(waiting, "segment has", "segments have")
        super().__init__(f"{who} no receipt after {seconds:.1f} s; what is not confirmed stays in the spool and is sent again")


class SegmentsRefused(ProducerError):
    """The notary refused segments of this recorder with a verdict that sending again cannot change."""

    def __init__(self, agent: str, count: int) -> None:
        super().__init__(
            f"the history refused {counted(count, 'segment')} of {agent} for good; what it refused is kept aside in its spool, the log names them"
        )


class KeyFileError(ProducerError):
    """The agent's key file cannot be used; the message says what to do."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the key file {path} {reason}")


class LineRefused(ProducerError):
    """A line or record of a log cannot be an event; the message says why."""


class SourceUnreadable(ProducerError):
    """A log that cannot be read, or not to its end. What came before is recorded."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source} cannot be read: {reason}")
        self.source = source
        self.reason = reason


class MappingUnusable(ProducerError):
    """What is wrong in a mapping file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the mapping {name} cannot be used: {reason}")


class LockFeedBroken(ProducerError):
    """The topic of locks was cut or made anew."""


class BatchRefused(ProducerError):
    """A batch that nobody should parse. Its readers never see this: they get empty records."""

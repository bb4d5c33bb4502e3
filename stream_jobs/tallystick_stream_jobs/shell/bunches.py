"""Small records of one partition and one fetch go through Faust as one message: a message costs it tens of microseconds, whatever is in it. Pure.

Whoever may write to a topic can write thousands of small ones a second; with a message each, they would take the time of whoever waits behind them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from aiokafka.structs import ConsumerRecord

from .messages import Message

MOST_RECORDS: Final = 64
MOST_BYTES: Final = 64 << 10
"""Of keys and values in a bunch. Faust holds some hundred messages: as bunches they may not be larger than records are by themselves."""

Record: TypeAlias = "ConsumerRecord[Any, Any]"


def bunched(records: Iterable[Record]) -> list[Record]:
    """The same as bunches, in order: records whose value is a tuple of messages, at the place of the last. A large record is a bunch by itself."""
    made: list[Record] = []
    bunch: list[Record] = []
    size = 0
    for record in records:
        its = len(record.key or b"") + len(record.value or b"")
        if bunch and (len(bunch) == MOST_RECORDS or size + its > MOST_BYTES):
            made.append(_bunch(bunch))
            bunch, size = [], 0
        bunch.append(record)
        size += its
    return [*made, _bunch(bunch)] if bunch else made


def _bunch(records: Sequence[Record]) -> Record:
    """Kafka's headers are left behind: nobody reads them, no bound counts them, and a few packed kilobytes may say megabytes of them."""
    said = tuple(Message(one.partition, one.offset, one.timestamp, one.key, one.value) for one in records)
    return replace(records[-1], key=None, value=said, headers=())


def messages_in(taken: Any) -> list[Message]:
    """What one of Faust's messages holds: itself, or each record of a bunch."""
    if isinstance(taken.value, tuple):
        return list(taken.value)
    return [Message(taken.partition, taken.offset, round(taken.timestamp * 1000), taken.key, taken.value)]

"""A fence: the number of whoever owns a job now, higher than that of everybody before. It is the place of the owner's start in the history.

The start is an event of the agent, durable and signed; its number is the broker's time of the segment that holds it, and more than every number that
was seen before. So two owners that start at once have different ones, the later the higher, whatever their own clocks say, and no store is needed.
"""

import time
from typing import Any, Final

from kafka import TopicPartition

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.consumer import Consumer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.records import parse_record
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS

from .errors import NoFence

_WAIT_S: Final = 30.0


def claim_fence(kafka: KafkaSettings, recorder: Recorder, part: str, above: int, wait_s: float = _WAIT_S) -> int:
    """A fence above `above` (the highest that was seen, -1 for none). NoFence when the start does not reach the log in `wait_s` seconds."""
    agent = recorder.settings.agent
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    try:
        partitions = [TopicPartition(EVENTS, number) for number in sorted(consumer.partitions_for_topic(EVENTS) or ())]
        consumer.assign(partitions)
        for partition, end in consumer.end_offsets(partitions).items():
            consumer.seek(partition, end)
        place = recorder.record("agent.start", actor=Actor(agent, "service"), resource=Resource("part", part), durable=True)
        run, seq = place.rpartition("/")[0].rpartition("/")[2], int(place.rpartition("/")[2])
        appended = _appended(consumer, agent, run, seq, time.monotonic() + wait_s)
    finally:
        consumer.close()
    if appended is None:
        raise NoFence(part, wait_s)
    # If we crash here, nobody has written under this fence, and the next start takes a higher one.
    return max(appended, above + 1)


def _appended(consumer: Any, agent: str, run: str, seq: int, deadline: float) -> int | None:
    """The broker's time in milliseconds of the segment with an event of ours; None when it does not come before `deadline` (monotonic)."""
    while time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                if _holds(record.value or b"", agent, run, seq):
                    return int(record.timestamp)
    return None


def _holds(raw: bytes, agent: str, run: str, seq: int) -> bool:
    """Whether a record is the segment that holds event `seq` of a run. Whose it really is the notary judges; a stranger's copy only moves our number."""
    try:
        header = parse_record(raw).header
    except ParseError:
        return False
    return (
        isinstance(header, SegmentHeader)
        and (header.agent, header.run) == (agent, run)
        and header.first <= seq < header.first + header.count
    )

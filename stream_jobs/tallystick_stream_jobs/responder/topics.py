"""Reading what the responder tells: topic `decisions`, from its newest values."""

import logging
from typing import Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, parse_message
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.times import is_time
from tallystick_schemas.topics import DECISIONS

log: Final = logging.getLogger(__name__)
NEWEST: Final = 20_000


class Told(NamedTuple):
    """One decision, its number and its place."""

    decision: Decision
    number: Number
    offset: int


def read_decisions(kafka: KafkaSettings, opener: Opener, newest: int = NEWEST) -> list[Decision]:
    """The newest decisions, oldest first, each id once. Values that no responder signed are left out: they were decided by nobody."""
    return [one.decision for one in read_told(kafka, opener, newest)]


def read_told(kafka: KafkaSettings, opener: Opener, newest: int = NEWEST) -> list[Told]:
    """As `read_decisions`, with numbers and places."""
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    found: dict[str, Told] = {}
    unreadable = 0
    try:
        partition = TopicPartition(DECISIONS, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(consumer.beginning_offsets([partition])[partition], end - newest))
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                try:
                    opened = opener.open(DECISIONS, record.key, record.value or b"")
                    decision = parse_message(Decision, opened.body)
                    sound = is_time(decision.at) and (decision.expires is None or is_time(decision.expires))
                except ParseError:
                    sound = False
                if sound:
                    found.setdefault(decision.id, Told(decision, opened.number, record.offset))
                unreadable += not sound
    finally:
        consumer.close()
    if unreadable:
        log.warning("topic %s: %d values are no decisions and are left out", DECISIONS, unreadable)
    return list(found.values())

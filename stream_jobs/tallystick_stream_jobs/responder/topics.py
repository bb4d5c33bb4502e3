"""Reading what the responder tells: topic `decisions`, from its newest values."""

import logging
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.envelope import NO_NUMBER, Number, Opener
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
    """As `read_decisions`, with numbers and places.

    A value whose number is not above all before it is left out too: a responder that had lost its turn said it, or somebody put an old one there again.
    """
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    records: list[Any] = []
    try:
        partition = TopicPartition(DECISIONS, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(consumer.beginning_offsets([partition])[partition], end - newest))
        while consumer.position(partition) < end:
            records += consumer.poll(timeout_ms=500).get(partition, [])
    finally:
        consumer.close()
    return told_in(records, opener)


def told_in(records: Iterable[Any], opener: Opener) -> list[Told]:
    """What a responder said in records of the topic, in their order. Pure but for the log."""
    found: dict[str, Told] = {}
    refused, highest = 0, NO_NUMBER
    for record in records:
        try:
            opened = opener.open(DECISIONS, record.key, record.value or b"")
            decision = parse_message(Decision, opened.body)
            timely = is_time(decision.at) and (decision.expires is None or is_time(decision.expires))
            sound = timely and opened.number > highest
        except ParseError:
            sound = False
        if sound:
            highest = opened.number
            found.setdefault(decision.id, Told(decision, opened.number, record.offset))
        refused += not sound
    if refused:
        log.warning("topic %s: %d values are no decisions, or old ones, and are left out", DECISIONS, refused)
    return list(found.values())

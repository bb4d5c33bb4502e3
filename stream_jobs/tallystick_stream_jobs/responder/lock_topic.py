"""Topic `locks` as it is now, read to its end: for the responder, for commands and for drills."""

import logging
from dataclasses import dataclass
from typing import Final

from kafka import TopicPartition

from tallystick_producers.following import connect
from tallystick_producers.keyring import take_role
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import LockHeartbeat
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import LOCKS

log: Final = logging.getLogger(__name__)
_PARTITION: Final = TopicPartition(LOCKS, 0)


@dataclass(frozen=True)
class ReadTopic:
    """The fold of what was read; the newest heartbeat, and whether what came before it was what it speaks of; values that were nobody's word."""

    topic: LockTopic
    heartbeat: LockHeartbeat | None
    agreed: bool
    refused: int


def read_lock_topic(kafka: KafkaSettings, opener: Opener) -> ReadTopic:
    """Roles first, into the opener's keyring, then the rest: compaction may leave a role behind what its holder signed."""
    topic = LockTopic(opener)
    values: list[tuple[bytes | None, bytes | None]] = []
    consumer = connect(kafka)
    try:
        consumer.assign([_PARTITION])
        end = consumer.end_offsets([_PARTITION])[_PARTITION]
        consumer.seek_to_beginning(_PARTITION)
        while consumer.position(_PARTITION) < end:
            for record in consumer.poll(timeout_ms=500).get(_PARTITION, []):
                values.append((record.key, record.value))
                take_role(topic.opener.keyring, record.key, record.value)
    finally:
        consumer.close()
    return fold_values(topic, values)


def fold_values(topic: LockTopic, values: list[tuple[bytes | None, bytes | None]]) -> ReadTopic:
    """The fold over all values, in order. Pure but for the log."""
    beat, agreed, refused = None, False, 0
    for key, value in values:
        try:
            taken = topic.take(key, value)
        except ParseError as error:
            log.error("topic %s, key %r: %s", LOCKS, (key or b"")[:200], error)
            refused += 1
            continue
        if isinstance(taken, LockHeartbeat):
            beat, agreed = taken, topic.agrees(taken)
    return ReadTopic(topic, beat, agreed, refused)

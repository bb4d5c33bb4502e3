"""The sealer's side of Kafka: seals out, receipts in, checkpoints out. Any of it may be away; what matters is sent again."""

from collections.abc import Iterator
from typing import Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from tallystick_producers.consumer import Consumer
from tallystick_producers.refused import Refused
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.receipts import SEALER, Receipt, parse_receipts
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import CHECKPOINTS, EVENTS, RECEIPT_PARTITIONS, RECEIPTS

from .core import Signed
from .rounds import Notes, StoredNote

_READ_MS: Final = 500
_PATIENCE: Final = 40
"""Polls without a record, after which the topic does not answer: 20 s."""


def read_published(kafka: KafkaSettings, notes: Notes) -> list[StoredNote]:
    """What topic `checkpoints` holds now of notes that a sealer of this deployment signed, in its order, each once. KafkaTimeoutError when it is silent."""
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, enable_auto_commit=False)
    try:
        return list(_published(consumer, notes).values())
    finally:
        consumer.close()


def _published(consumer: Consumer, notes: Notes) -> dict[bytes, StoredNote]:
    place = TopicPartition(CHECKPOINTS, 0)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    consumer.seek_to_beginning(place)
    found: dict[bytes, StoredNote] = {}
    left = _PATIENCE
    while consumer.position(place) < end:
        records = consumer.poll(timeout_ms=_READ_MS).get(place, [])
        left = _PATIENCE if records else left - 1
        if not left:
            raise KafkaTimeoutError(f"topic {CHECKPOINTS} does not answer before its end, so it is not known what was signed")
        for record in records:
            note = record.value or b""
            if note not in found and notes.open(note) is not None:
                found[note] = StoredNote(note, wire_time(record.timestamp / 1000))
    return found


class SealerLink:
    """A producer, and a consumer of receipts from now on. `opener` says which of them a notary signed."""

    def __init__(self, kafka: KafkaSettings, opener: Opener) -> None:
        self._opener, self._refused = opener, Refused(RECEIPTS)
        self._producer = KafkaProducer(**kafka.client_kwargs(), enable_idempotence=True, acks="all", linger_ms=0, compression_type=None)
        self._consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="latest", fetch_max_wait_ms=500)
        self._consumer.assign([TopicPartition(RECEIPTS, partition) for partition in range(RECEIPT_PARTITIONS)])
        self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            # Seeking is lazy; a receipt that comes before the first poll must not be missed.
            self._consumer.position(partition)

    def send_seal(self, shard: int, record: bytes) -> None:
        """Hand a seal to Kafka; whether it arrived is what the receipt says."""
        self._producer.send(EVENTS, key=SEALER.encode(), value=record, partition=shard)

    def receipts(self, wait_ms: int) -> Iterator[Receipt]:
        """Receipts for seals that came within `wait_ms`."""
        for records in self._consumer.poll(timeout_ms=wait_ms).values():
            for record in records:
                if record.key == SEALER.encode():
                    try:
                        receipts = parse_receipts(self._opener.open(RECEIPTS, record.key, record.value or b"").body)
                    except ParseError as error:
                        # A genuine one by a key whose role comes later is lost with it: the tick is sent again.
                        self._refused.note(record.key, error)
                        continue
                    yield from receipts

    def publish(self, signed: list[Signed]) -> None:
        """For agents' `seen` and for consoles; each round in its order, which is what a sealer that forgot puts together again."""
        for one in signed:
            self._producer.send(CHECKPOINTS, key=one.origin.encode(), value=one.note)
        self._producer.flush(timeout=10)

    def close(self) -> None:
        self._consumer.close()
        self._producer.close(timeout=5)

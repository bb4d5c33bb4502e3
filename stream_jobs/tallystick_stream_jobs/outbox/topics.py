"""Kafka, as far as the outbox needs it: states read back, decisions followed from where the last process was, values written for sure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from tallystick_producers.consumer import Consumer
from tallystick_producers.refused import Refused
from tallystick_schemas.envelope import Number, Numbers, Opener, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.settings import KafkaSettings

GROUP: Final = "tallystick-outbox"
_SENT_S: Final = 30.0


class Word(NamedTuple):
    """The newest believed word under a key; its number, and the broker's time in ms."""

    body: bytes
    number: Number
    broker_ms: int


GONE: Final = b""
"""Body of a word that says that nobody needs what stood there; a tombstone alone says nothing."""


def read_signed(kafka: KafkaSettings, topic: str, opener: Opener) -> dict[bytes, Word]:
    """Key -> its newest believed word, for a topic of one partition up to its end as it is now; what is gone is among them, with its number."""
    newest: dict[bytes, Word] = {}
    refused = Refused(topic)
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek_to_beginning(partition)
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                if record.key is not None and record.value is not None:
                    try:
                        put_word(newest, opener, topic, record)
                    except ParseError as error:
                        refused.note(record.key, error)
    finally:
        consumer.close()
    return newest


def put_word(newest: dict[bytes, Word], opener: Opener, topic: str, record: Any) -> None:
    """One value in the topic's order; ParseError when it is nobody's word. One that is older than what is known of its key changes nothing."""
    opened = opener.open(topic, record.key, record.value)
    known = newest.get(record.key)
    if known is None or known.number < opened.number:
        newest[record.key] = Word(opened.body, opened.number, record.timestamp)


class Feed:
    """Follows topics of one partition. Those in `resumed` go on where `commit` was last called; those in `whole` are read from the beginning."""

    def __init__(self, kafka: KafkaSettings, resumed: tuple[str, ...], whole: tuple[str, ...]) -> None:
        self._consumer = Consumer(
            **kafka.client_kwargs(), group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=500
        )
        self._resumed = [TopicPartition(topic, 0) for topic in resumed]
        rest = [TopicPartition(topic, 0) for topic in whole]
        self._consumer.assign([*self._resumed, *rest])
        if rest:
            self._consumer.seek_to_beginning(*rest)
        self._reached: dict[TopicPartition, int] = {}

    def poll(self, wait_ms: int) -> Iterator[tuple[str, int, int, bytes | None, bytes | None]]:
        """(topic, offset, broker's time in ms, key, value) of what came within `wait_ms`."""
        for partition, records in self._consumer.poll(timeout_ms=wait_ms).items():
            for record in records:
                yield partition.topic, record.offset, record.timestamp, record.key, record.value
                if partition in self._resumed:
                    self._reached[partition] = record.offset + 1

    def place(self, topic: str) -> int:
        """The offset that comes next of a topic."""
        offset: int = self._consumer.position(TopicPartition(topic, 0))
        return offset

    def commit(self) -> None:
        """Everything that was polled has had its effect. If we crash before, it comes again and changes nothing."""
        if self._reached:
            self._consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self._reached.items()})
            self._reached = {}

    def close(self) -> None:
        self._consumer.close()


class Pen:
    """Writes for sure, under one owner's numbers: `write` returns when the broker has it."""

    def __init__(self, kafka: KafkaSettings, signer: Signer, fence: int) -> None:
        self._signer, self._numbers = signer, Numbers(fence)
        self._producer = KafkaProducer(**kafka.client_kwargs(), enable_idempotence=True, acks="all", linger_ms=0, compression_type=None)

    def write(self, topic: str, key: str, body: bytes) -> None:
        """One message; an exception when nobody knows whether the broker has it."""
        value = self._signer.sign(topic, key.encode(), self._numbers.next(), body)
        self._producer.send(topic, key=key.encode(), value=value).get(timeout=_SENT_S)

    def remove(self, topic: str, key: str) -> None:
        """Say that it is gone, then clean up behind that."""
        self.write(topic, key, GONE)
        # If we crash here, the word stays until the topic is no more: it is small.
        self._producer.send(topic, key=key.encode(), value=None).get(timeout=_SENT_S)

    def close(self) -> None:
        self._producer.close(timeout=5)

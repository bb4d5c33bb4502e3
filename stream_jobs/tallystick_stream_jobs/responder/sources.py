"""Where the responder's knowledge comes from: the topic, the ledger, its spool, and single records of `events`. Everything here blocks."""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import clickhouse_connect
from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from tallystick_producers import Recorder
from tallystick_producers.consumer import Consumer
from tallystick_schemas.envelope import Opener
from tallystick_schemas.evidence import Ask
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Decision
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings
from tallystick_schemas.topics import EVENTS

from ..shell.fence import claim_fence
from .history import Words, asking, read_words, words_in
from .lock_topic import ReadTopic, read_lock_topic
from .order_history import Found, Ordered, read_acting, read_decided, read_orders
from .stored import read_entries
from .topics import read_decisions

log: Final = logging.getLogger(__name__)
_RECORD_S: Final = 5.0
_STORE_S: Final = 10
_FETCH_BYTES: Final = 64 << 10


class Sources(Protocol):
    """What a responder reads. Fakes are the quick twin of `RealSources` in tests."""

    def topic(self) -> ReadTopic: ...
    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words: ...
    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered: ...
    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found: ...
    def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]: ...
    def spooled(self, keyring: Keyring) -> list[Held]: ...
    def entries(self, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]: ...
    def decisions(self, opener: Opener) -> list[Decision]: ...
    def fence(self, above: int) -> int: ...
    def record_at(self, shard: int, offset: int) -> bytes: ...
    def warm(self) -> None: ...


@dataclass(frozen=True)
class RealSources:
    """Kafka, the store and the recorder's spool."""

    settings: JobSettings
    recorder: Recorder
    opener: Opener
    reader: "RecordReader"
    store: "Store"

    def topic(self) -> ReadTopic:
        return read_lock_topic(self.settings.kafka, self.opener)

    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words:
        with self.store.asking() as ask:
            return read_words(ask, keyring, self.settings.log.shards, marks)

    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered:
        with self.store.asking() as ask:
            return read_orders(ask, keyring, self.settings.log.shards, marks, since)

    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found:
        with self.store.asking() as ask:
            return read_acting(ask, keyring, self.settings.log.shards, marks, since)

    def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]:
        with self.store.asking() as ask:
            return read_decided(ask, keyring, self.settings.log.shards, commands)

    def spooled(self, keyring: Keyring) -> list[Held]:
        return words_in(self.recorder.unconfirmed(), keyring)

    def entries(self, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        with self.store.asking() as ask:
            return read_entries(ask, segments)

    def decisions(self, opener: Opener) -> list[Decision]:
        return read_decisions(self.settings.kafka, opener)

    def fence(self, above: int) -> int:
        return claim_fence(self.settings.kafka, self.recorder, "responder", above)

    def record_at(self, shard: int, offset: int) -> bytes:
        return self.reader.read(shard, offset)

    def warm(self) -> None:
        self.reader.warm(self.settings.log.shards)


class Store:
    """One client of the store for whoever asks next; made at the first question, and anew after any error. A new one reads all of the store's settings."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._client: Any = None

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """For one caller at a time."""
        with self._guard:
            if self._client is None:
                kwargs = self._settings.client_kwargs()
                self._client = clickhouse_connect.get_client(**kwargs, connect_timeout=_STORE_S, send_receive_timeout=_STORE_S)
            try:
                yield asking(self._client)
            except BaseException:
                client, self._client = self._client, None
                client.close()
                raise


class RecordReader:
    """Reads single records of `events` over one connection; made at the first question, and anew after any error."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._guard = threading.Lock()
        self._consumer: Consumer | None = None

    def read(self, shard: int, offset: int) -> bytes:
        """The record at one place; KafkaTimeoutError when it does not come, as for a place that no longer is or never was."""
        with self._guard:
            consumer = self._consumer = self._consumer or _consumer(self._kafka)
            try:
                return _read(consumer, TopicPartition(EVENTS, shard), offset)
            except BaseException:
                self._consumer = None
                consumer.close()
                raise

    def warm(self, shards: int) -> None:
        """Have a connection that stands before a record is wanted: making one takes 0.3 s, for which a lock would wait. Nothing while one is being read."""
        if not self._guard.acquire(blocking=False):
            return
        try:
            self._consumer = self._consumer or _consumer(self._kafka)
            self._consumer.end_offsets([TopicPartition(EVENTS, shard) for shard in range(shards)])
        except KafkaError as error:
            log.warning("%s cannot be read (%s: %s)", EVENTS, type(error).__name__, error)
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
        finally:
            self._guard.release()


def _consumer(kafka: KafkaSettings) -> Consumer:
    """One that fetches little and waits for nothing: a single record is wanted, it is there, and what stands behind it is not wanted."""
    return Consumer(
        **kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=1, max_partition_fetch_bytes=_FETCH_BYTES
    )


def _read(consumer: Any, partition: TopicPartition, offset: int) -> bytes:
    if consumer.assignment() != {partition}:
        consumer.assign([partition])
    consumer.seek(partition, offset)
    deadline = time.monotonic() + _RECORD_S
    while time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=200, max_records=1).get(partition, []):
            if record.offset != offset:  # the place is gone, or never was: the client went to the beginning
                raise KafkaTimeoutError(f"{EVENTS} has no offset {offset} in partition {partition.partition}")
            return bytes(record.value or b"")
    raise KafkaTimeoutError(f"no answer to what {EVENTS} has at offset {offset} of partition {partition.partition}")

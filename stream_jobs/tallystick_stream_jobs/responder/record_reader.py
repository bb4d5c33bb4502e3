"""Single records of `events`, read where they stand: what a finding or an order rests on."""

import contextlib
import logging
import threading
import time
from typing import Any, Final

from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, KafkaTimeoutError
from kafka.record import MemoryRecords

from tallystick_producers.batch_form import plain_size
from tallystick_producers.batches import Batches
from tallystick_producers.consumer import Consumer
from tallystick_producers.errors import BatchRefused
from tallystick_producers.refused import Refused
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS

log: Final = logging.getLogger(__name__)
_RECORD_S: Final = 5.0
_WARM_MS: Final = 1_000
"""A reader waits for it at the most so long, or as long as for a connection."""
_FETCH_BYTES: Final = 1
"""A broker sends the batch at the place whole, whatever its size (KIP-74), and with this none behind it: they would be unpacked and checked for nothing."""

_QUICK_BYTES: Final = 16 << 10
"""Of a fetch, packed and unpacked: at the worst 10 ms."""
_REFUSED: Final = Refused(EVENTS)


def is_quick(fetched: bytes) -> bool:
    """Whether `record_in` holds nobody up: a few packed bytes may say a hundred thousand records or headers, and each of them is looked at."""
    try:
        return len(fetched) <= _QUICK_BYTES and plain_size(fetched) <= _QUICK_BYTES
    except BatchRefused:
        return False  # it has an empty record for each offset, however many


def record_in(fetched: bytes, offset: int) -> bytes:
    """The record at an offset among batches as a broker sent them; KafkaTimeoutError when it is not among them, CorruptRecordError when they are
    damaged."""
    try:
        return _record_in(fetched, offset)
    except KafkaError:
        raise
    except Exception as error:
        raise CorruptRecordError(f"what {EVENTS} sent for offset {offset}: {error}") from error


def _record_in(fetched: bytes, offset: int) -> bytes:
    batches = Batches(fetched, MemoryRecords, _REFUSED)
    while (batch := batches.next_batch()) is not None:
        if not batch.validate_crc():  # the library's own consumer does so
            raise CorruptRecordError(f"what {EVENTS} sent for offset {offset} is damaged")
        for record in batch:
            if record.offset == offset:
                return bytes(record.value or b"")
    raise KafkaTimeoutError(f"what {EVENTS} sent has no offset {offset}")


class RecordReader:
    """Reads single records of `events` over one connection; made at the first question, and anew after any error."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._guard = threading.Lock()
        self._consumer: Consumer | None = None

    def read(self, shard: int, offset: int) -> bytes:
        """The record at one place; KafkaTimeoutError when it does not come, as for a place that no longer is or never was."""
        deadline = time.monotonic() + _RECORD_S
        if not self._guard.acquire(timeout=_RECORD_S):
            raise KafkaTimeoutError(
                f"others still wait for what {EVENTS} has elsewhere; offset {offset} of partition {shard} was not asked for"
            )
        try:
            self._consumer = self._consumer or _consumer(self._kafka)
            return _read(self._consumer, TopicPartition(EVENTS, shard), offset, deadline)
        except BaseException:
            self._drop()
            raise
        finally:
            self._guard.release()

    def warm(self, shards: int) -> None:
        """Have a connection that stands before a record is wanted: making one takes 0.3 s, for which a lock would wait. Nothing while one is being read.

        It helps and no more, so nothing that goes wrong here is anybody's error.
        """
        if not self._guard.acquire(blocking=False):
            return
        try:
            self._consumer = self._consumer or _consumer(self._kafka)
            self._consumer.end_offsets([TopicPartition(EVENTS, shard) for shard in range(shards)], timeout_ms=_WARM_MS)
        except Exception as error:  # noqa: BLE001 - whatever it is, who reads next makes a new one and hears of it
            log.warning("%s cannot be read (%s: %s)", EVENTS, type(error).__name__, error)
            self._drop()
        finally:
            self._guard.release()

    def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(Exception):
                consumer.close()


def _consumer(kafka: KafkaSettings) -> Consumer:
    """One that fetches little and waits for nothing: a single record is wanted, it is there, and what stands behind it is not wanted."""
    return Consumer(
        **kafka.client_kwargs(),
        group_id=None,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=1,
        max_partition_fetch_bytes=_FETCH_BYTES,
        bootstrap_timeout_ms=round(_RECORD_S * 1000),
    )


def _read(consumer: Any, partition: TopicPartition, offset: int, deadline: float) -> bytes:
    if consumer.assignment() != {partition}:
        consumer.assign([partition])
    consumer.seek(partition, offset)
    while time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=200, max_records=1).get(partition, []):
            if record.offset != offset:  # the place is gone, or never was: the client went to the beginning
                raise KafkaTimeoutError(f"{EVENTS} has no offset {offset} in partition {partition.partition}")
            return bytes(record.value or b"")
    raise KafkaTimeoutError(f"no answer to what {EVENTS} has at offset {offset} of partition {partition.partition}")

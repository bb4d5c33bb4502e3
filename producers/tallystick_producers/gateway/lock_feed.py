"""Reads topic `locks` for the gateway: from the beginning, then as it grows, for ever. A thread of its own."""

import contextlib
import logging
import threading
import time
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import HEARTBEAT_KEY, Lock, LockHeartbeat, parse_lock
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import LOCKS

from .instants import from_wire
from .locks import LockTable

log: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 0.5
_LIVE_S: Final = 10.0
"""A heartbeat older than this by its own clock is history, and says nothing about now."""


class LockFeed:
    """Keeps a LockTable up to date until closed. When Kafka is away the table grows stale, and the gateway denies."""

    def __init__(self, kafka: KafkaSettings, table: LockTable) -> None:
        self._kafka, self._table = kafka, table
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallystick-locks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = KafkaConsumer(**self._kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=100)
                partition = TopicPartition(LOCKS, 0)
                consumer.assign([partition])
                consumer.seek_to_beginning(partition)
                self._follow(consumer, partition)
            except (KafkaError, OSError, AssertionError) as error:
                log.warning("locks cannot be read (%s: %s); they are tried again", type(error).__name__, error)
                self._stopping.wait(_AGAIN_S)
            finally:
                if consumer is not None:
                    with contextlib.suppress(KafkaError, OSError):
                        consumer.close()

    def _follow(self, consumer: Any, partition: TopicPartition) -> None:
        end = consumer.end_offsets([partition])[partition]
        while not self._stopping.is_set():
            heard = False
            for record in consumer.poll(timeout_ms=200).get(partition, []):
                heard = self._apply(record) or heard
            # Only what was read to the end as it stood is knowledge.
            if heard and consumer.position(partition) >= end:
                self._table.heartbeat(time.monotonic())

    def _apply(self, record: Any) -> bool:
        """Whether this was a heartbeat of now."""
        if record.value is None:
            self._table.forget((record.key or b"").decode("utf-8", "replace"))
            return False
        try:
            value = parse_lock(record.key, record.value)
        except ParseError as error:
            log.error("topic %s, offset %d: %s", LOCKS, record.offset, error)
            if record.key and record.key != HEARTBEAT_KEY and record.key.startswith((b"principal:", b"credential:")):
                self._table.apply_unreadable(record.key.decode("utf-8", "replace"))
            return False
        if isinstance(value, Lock):
            self._table.apply(value)
            log.info("%s is %s (command %s)", value.subject, value.state, value.command)
            return False
        return _is_live(value)


def _is_live(heartbeat: LockHeartbeat) -> bool:
    try:
        return abs(time.time() - from_wire(heartbeat.at)) < _LIVE_S
    except ParseError:
        return False

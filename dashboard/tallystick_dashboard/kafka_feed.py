"""Shell: one thread that reads Kafka into the hub. Topic `verified` from its end (the tail), the others from the beginning.

No consumer group: every console reads everything, and nothing is committed. The thread starts again after any failure of Kafka.
"""

import logging
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError

from tallystick_producers.consumer import Consumer
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, EVENTS, FINDINGS, LOCKS, VERIFIED

from .group_lag import GroupLag
from .hub import Hub
from .intake import take_message

_log = logging.getLogger(__name__)
_POLL_MS: Final = 200
_GATHER_S: Final = 0.1
"""While events flow they are fetched ten times a second: a page hears of them five times."""
_FETCH: Final = 16 * 1024 * 1024
_WAIT_FOR_TOPICS_S: Final = 2.0
_MEASURE_EVERY_S: Final = 2.0


class KafkaFeed:
    """Reads until `close`. `ready` is set once every topic was found and the positions stand."""

    def __init__(self, hub: Hub, settings: KafkaSettings) -> None:
        self._hub, self._settings = hub, settings
        self._stop = Event()
        self.ready = Event()
        self.refused = 0
        self._measured = 0.0
        self._thread = Thread(target=self._run, name="console-kafka", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait until the thread has let go of its connections."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (KafkaError, OSError, ValueError) as error:
                _log.warning("Kafka does not answer, trying again: %s", error)
                self._stop.wait(_WAIT_FOR_TOPICS_S)

    def _read(self) -> None:
        consumer = Consumer(
            **self._settings.client_kwargs(),
            client_id="tallystick-console",
            group_id=None,
            enable_auto_commit=False,
            max_partition_fetch_bytes=_FETCH,
            fetch_max_wait_ms=500,
        )
        try:
            parts = _partitions(consumer, (VERIFIED, FINDINGS, LOCKS, DECISIONS, ENFORCEMENT))
            if parts is None:
                self._stop.wait(_WAIT_FOR_TOPICS_S)
                return
            consumer.assign(parts)
            consumer.seek_to_beginning(*[p for p in parts if p.topic != VERIFIED])
            consumer.seek_to_end(*[p for p in parts if p.topic == VERIFIED])
            for part in parts:
                # seek_to_end is lazy: ask, or what is sent before the first poll would be missed.
                consumer.position(part)
            self.ready.set()
            while not self._stop.is_set():
                found = consumer.poll(timeout_ms=_POLL_MS)
                for records in found.values():
                    self._take(records)
                self._measure(consumer)
                if any(part.topic == VERIFIED for part in found):
                    self._stop.wait(_GATHER_S)
        finally:
            consumer.close()

    def _take(self, records: Iterable[Any]) -> None:
        for record in records:
            if not take_message(self._hub, record.topic, record.key, record.value, record.timestamp / 1000):
                self.refused += 1
                _log.warning("%s offset %d is not what the topic holds", record.topic, record.offset)

    def _measure(self, consumer: Any) -> None:
        """How many records of `events` the ledger does not hold yet."""
        now = self._hub.clock()
        if now - self._measured < _MEASURE_EVERY_S:
            return
        self._measured = now
        parts = [TopicPartition(EVENTS, n) for n in range(self._hub.log.shards)]
        held = {shard.shard: shard.offset for shard in self._hub.history.shards}
        ends = consumer.end_offsets(parts)
        self._hub.seen.behind = sum(max(0, end - held.get(p.partition, -1) - 1) for p, end in ends.items())


def _partitions(consumer: Any, topics: Iterable[str]) -> list[TopicPartition] | None:
    """Every partition of the topics, or None while one of them is not there."""
    parts: list[TopicPartition] = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            return None
        parts += [TopicPartition(topic, n) for n in sorted(numbers)]
    return parts


class Watch:
    """A thread that calls `look` every `every_s`; what it raises is logged and the next call comes as if nothing had been."""

    def __init__(self, name: str, every_s: float, look: Callable[[], None]) -> None:
        self._every, self._look, self._name = every_s, look, name
        self._stop = Event()
        self._thread = Thread(target=self._run, name=f"console-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the look that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # a watch that ends would show old news as if it were new
                _log.warning("%s: %s", self._name, error)
            self._stop.wait(self._every)


class DetectionWatch(Watch):
    """How far the detectors are, on a connection of its own: a broker that is away must not stop the feed."""

    def __init__(self, hub: Hub, settings: KafkaSettings) -> None:
        super().__init__("detection", _MEASURE_EVERY_S, self._ask)
        self._hub, self._settings = hub, settings
        self._lag: GroupLag | None = None

    def close(self) -> None:
        super().close()
        self._drop()

    def _ask(self) -> None:
        if self._lag is None:
            self._lag = GroupLag(self._settings)
        try:
            self._hub.seen.detection = self._lag.measure()
            self._hub.seen.detection_read = self._hub.clock()
        except KafkaError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._lag is not None:
            self._lag.close()
            self._lag = None

"""One Kafka producer and one consumer of receipts a process, however many recorders it has."""

import contextlib
import logging
import os
import threading
from typing import Any, Final, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tallystick_schemas.errors import ParseError, TallystickError
from tallystick_schemas.receipts import Receipt, parse_receipt
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import CHECKPOINTS, EVENTS, RECEIPT_PARTITIONS, RECEIPTS

log: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 1.0


class Member(Protocol):
    """A recorder's sending half, driven by the hub's two threads."""

    agent: str

    def send_due(self, hub: "Hub") -> float: ...
    def take_receipts(self, receipts: list[Receipt]) -> None: ...
    def take_checkpoint(self, origin: str, note: bytes) -> None: ...


class Hub:
    """Threads end when the last member left."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._members: list[Member] = []
        self._wake = threading.Condition()
        self._awake = False
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._producer: Any = None
        self.last_error = ""
        self._threads = [
            threading.Thread(target=self._send_loop, name="tallystick-sender", daemon=True),
            threading.Thread(target=self._receive_loop, name="tallystick-receipts", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def join(self, member: Member) -> None:
        with self._wake:
            self._members = [*self._members, member]
        self.wake()

    def leave(self, member: Member) -> bool:
        """Whether it was the last; then the hub is closed."""
        with self._wake:
            self._members = [m for m in self._members if m is not member]
            last = not self._members
        if last:
            self._stopping.set()
            self.wake()
            for thread in self._threads:
                thread.join(timeout=10)
        return last

    def wake(self) -> None:
        """There is something to send."""
        with self._wake:
            self._awake = True
            self._wake.notify()

    def send(self, agent: str, record: bytes) -> None:
        """Hand one record to Kafka; a receipt, not this, says that it arrived."""
        self._producer.send(EVENTS, key=agent.encode(), value=record).add_errback(self._failed)

    def _failed(self, error: Exception) -> None:
        self.last_error = f"{type(error).__name__}: {error}"[:300]
        log.warning("Kafka did not take a segment: %s", self.last_error)
        # A broker that lost its data does not know this producer any more; a new one starts afresh.
        self._broken = True

    _broken = False

    def _send_loop(self) -> None:
        # Receipts first: one that comes before the consumer stands would be missed, and its segment sent twice.
        while not self._stopping.is_set() and not self._ready.wait(0.2):
            pass
        while not self._stopping.is_set():
            try:
                self._connect()
                wait = min((member.send_due(self) for member in self._members), default=1.0)
            except (KafkaError, TallystickError, OSError) as error:
                self._failed(error)
                wait = _AGAIN_S
            with self._wake:
                if not self._awake:
                    self._wake.wait(min(max(wait, 0.001), 1.0))
                self._awake = False
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _connect(self) -> None:
        if self._broken and self._producer is not None:
            self._producer.close(timeout=0)
            self._producer, self._broken = None, False
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._kafka.client_kwargs(),
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=0,
                batch_size=512 * 1024,
                max_request_size=8 << 20,
            )

    def _receive_loop(self) -> None:
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = self._consumer()
                self._ready.set()
                while not self._stopping.is_set():
                    self._dispatch(consumer.poll(timeout_ms=200, max_records=5000))
            except (KafkaError, OSError) as error:
                self.last_error = f"{type(error).__name__}: {error}"[:300]
                log.warning("receipts cannot be read: %s", self.last_error)
                self._stopping.wait(_AGAIN_S)
            finally:
                if consumer is not None:
                    with contextlib.suppress(KafkaError, OSError):
                        consumer.close()

    def _consumer(self) -> Any:
        # latest: after a broker lost its topics, or a retention passed us by, what matters is sent again anyway.
        consumer = KafkaConsumer(**self._kafka.client_kwargs(), group_id=None, auto_offset_reset="latest", fetch_max_wait_ms=100)
        receipts = [TopicPartition(RECEIPTS, partition) for partition in range(RECEIPT_PARTITIONS)]
        checkpoints = TopicPartition(CHECKPOINTS, 0)
        consumer.assign([*receipts, checkpoints])
        consumer.seek_to_end(*receipts)
        consumer.seek_to_beginning(checkpoints)
        for partition in receipts:
            consumer.position(partition, timeout_ms=10_000)
        return consumer

    def _dispatch(self, batches: dict[Any, list[Any]]) -> None:
        members = {member.agent.encode(): [] for member in self._members}  # type: dict[bytes, list[Receipt]]
        for partition, records in batches.items():
            for record in records:
                if partition.topic == CHECKPOINTS:
                    for member in self._members:
                        member.take_checkpoint((record.key or b"").decode("utf-8", "replace"), record.value or b"")
                elif record.key in members:
                    try:
                        members[record.key].append(parse_receipt(record.value or b""))
                    except ParseError as error:
                        log.warning("receipts, partition %d, offset %d: %s", partition.partition, record.offset, error)
        for member in self._members:
            receipts = members.get(member.agent.encode())
            if receipts:
                member.take_receipts(receipts)


_hubs: dict[tuple[int, KafkaSettings], Hub] = {}
_lock = threading.Lock()


def join_hub(kafka: KafkaSettings, member: Member) -> Hub:
    """The process's hub for this cluster, made when there is none. A forked child makes its own."""
    with _lock:
        key = (os.getpid(), kafka)
        hub = _hubs.get(key)
        if hub is None:
            hub = _hubs[key] = Hub(kafka)
        hub.join(member)
        return hub


def leave_hub(kafka: KafkaSettings, hub: Hub, member: Member) -> None:
    """Close the hub when nobody is left."""
    with _lock:
        if hub.leave(member):
            _hubs.pop((os.getpid(), kafka), None)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's lock may be held by a thread that does not exist here
    _lock = threading.Lock()
    _hubs.clear()


os.register_at_fork(after_in_child=_after_fork)

"""The process's clients of Kafka, with the settings that were measured to matter. Everything here may raise KafkaError."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from tallystick_schemas.envelope import Opener
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import CHECKPOINTS, EVENTS, LOCKS, RECEIPTS

from .consumer import Consumer
from .forking import keep_forever
from .keyring import ROLES, Looks, read_roles, take_role
from .refused import Refused

_CONNECT_MS: Final = 3_000
_POSITION_MS: Final = 5_000
_ROLES_EVERY_S: Final = 2.0
"""An agent needs a role for a receipt by a key that it has not heard of, and then it looks at once (`ReceiptReader.look`)."""
_CHECKPOINT: Final = TopicPartition(CHECKPOINTS, 0)
Done = Callable[[Exception | None], None]


@contextlib.contextmanager
def _connecting(kafka: KafkaSettings) -> Iterator[None]:
    """Names the user: kafka-python tells one that is refused as a time-out, and says the rest in its log."""
    try:
        yield
    except KafkaTimeoutError as error:
        if kafka.sasl_username is None:
            raise
        raise KafkaTimeoutError(
            f"{error.args[0] if error.args else error}; does Kafka know the user {kafka.sasl_username} with this password?"
        ) from error


class Producer:
    """Idempotent, all replicas. The constructor blocks for seconds when Kafka is down."""

    def __init__(self, kafka: KafkaSettings) -> None:
        with _connecting(kafka):
            self._producer: Any = KafkaProducer(
                **kafka.client_kwargs(),
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=0,
                batch_size=512 * 1024,
                max_request_size=8 << 20,
                max_block_ms=_CONNECT_MS,
                bootstrap_timeout_ms=_CONNECT_MS,
                request_timeout_ms=10_000,
                # Kafka's answer must come before we would send again: until then the segment counts as flying.
                delivery_timeout_ms=20_000,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )

    def send(self, key: bytes, record: bytes, done: Done) -> None:
        """`done` is called from the producer's thread."""
        future = self._producer.send(EVENTS, key=key, value=record)
        future.add_callback(lambda _: done(None))
        future.add_errback(done)

    def close(self, timeout_s: float) -> None:
        """Give what flies `timeout_s`; afterwards it has failed."""
        try:
            self._producer.close(timeout=timeout_s)
        except KafkaError:
            # close() raises when its flush does not end, and leaves the thread running.
            with contextlib.suppress(KafkaError):
                self._producer._sender.force_close()
                self._producer._closed = True

    def forget(self) -> None:
        """In a forked child: its clean-up at exit would wait for a thread that is not here, and speak on the parent's sockets."""
        self._producer._closed = True
        keep_forever(self._producer)


class ReceiptReader:
    """Reads receipts of some partitions, from now on, every checkpoint, and who has which role. No group: each process reads for itself.

    Roles are read to their end before this returns: a receipt by a key of which nobody knows the role would be lost, and cost the time until the
    segment is sent again.
    """

    def __init__(self, kafka: KafkaSettings, opener: Opener) -> None:
        self._keyring, self._refused = opener.keyring, Refused(LOCKS)
        with _connecting(kafka):
            self._consumer: Any = Consumer(
                **kafka.client_kwargs(),
                group_id=None,
                # After a broker lost its topics, or a retention passed us by, what matters is sent again anyway.
                auto_offset_reset="latest",
                fetch_max_wait_ms=500,
                bootstrap_timeout_ms=_CONNECT_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        self.partitions: frozenset[int] = frozenset()
        try:
            self._consumer.assign([ROLES])
            read_roles(self._consumer, self._keyring, self._refused)
        except BaseException:
            self.close()
            raise
        self._roles_at: int = self._consumer.position(ROLES)
        self._looks = Looks(self._consumer, _ROLES_EVERY_S, time.monotonic())

    @property
    def looks(self) -> int:
        """How often roles were looked at since this was made."""
        return self._looks.done

    def look(self) -> int:
        """Look at roles with the next polls; `looks` when it is done."""
        return self._looks.want(time.monotonic())

    def follow(self, partitions: Iterable[int]) -> None:
        """Read these partitions of `receipts`: those that are new from their end on, which is known when this returns."""
        wanted = frozenset(partitions)
        kept = {p: self._consumer.position(TopicPartition(RECEIPTS, p)) for p in wanted & self.partitions}
        checkpoint_at = self._consumer.position(_CHECKPOINT) if self.partitions else None
        self._roles_at = self._consumer.position(ROLES)
        self._consumer.assign([*(TopicPartition(RECEIPTS, p) for p in sorted(wanted)), _CHECKPOINT, ROLES])
        self._consumer.seek(ROLES, self._roles_at)
        self._looks.rest(time.monotonic())
        for number in wanted:
            partition = TopicPartition(RECEIPTS, number)
            if kept.get(number) is not None:
                self._consumer.seek(partition, kept[number])
            else:
                self._consumer.seek_to_end(partition)
        if checkpoint_at is not None:
            self._consumer.seek(_CHECKPOINT, checkpoint_at)
        else:
            self._consumer.seek_to_beginning(_CHECKPOINT)
        for number in wanted:
            # Seeking is lazy; a receipt that comes before the first poll must not be missed.
            if self._consumer.position(TopicPartition(RECEIPTS, number), timeout_ms=_POSITION_MS) is None:
                raise KafkaTimeoutError(f"partition {number} of topic {RECEIPTS} does not answer; were the topics made?")
        self.partitions = wanted

    def poll(self) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        """(key, value) of new receipts, and of new checkpoints. Roles go into the opener's keyring."""
        receipts: list[tuple[bytes, bytes]] = []
        checkpoints: list[tuple[bytes, bytes]] = []
        self._looks.before_poll(time.monotonic())
        polled = self._consumer.poll(timeout_ms=200, max_records=5000)
        self._looks.after_poll(time.monotonic(), ROLES in polled)
        for partition, records in polled.items():
            if partition == ROLES:
                for record in records:
                    take_role(self._keyring, record.key, record.value, self._refused)
                continue
            into = checkpoints if partition.topic == CHECKPOINTS else receipts
            into += [(record.key or b"", record.value or b"") for record in records]
        return receipts, checkpoints

    def close(self) -> None:
        with contextlib.suppress(KafkaError, OSError):
            self._consumer.close()

    def forget(self) -> None:
        """In a forked child: see Producer.forget."""
        keep_forever(self._consumer)

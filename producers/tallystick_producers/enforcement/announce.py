"""A point says that it is there, and acknowledges each lock that it has applied: on topic `enforcement`, and as events of the history."""

import contextlib
import importlib.metadata
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from kafka.errors import AuthorizationError

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.messages import Lock, LockAck, Point, encode_json, parse_message
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT

log: Final = logging.getLogger(__name__)
BEAT_S: Final = 3.0
_AGAIN_S: Final = 1.0
_REFUSED_S: Final = 30.0
_SEND_S: Final = 5.0
_MAX_WAITING: Final = 10_000
SEPARATOR: Final = "\0"


class Topic(Protocol):
    """Topic `enforcement`, as far as a point needs it. Everything may raise what Kafka's client raises."""

    def own(self, point: str) -> Mapping[str, str]:
        """Subject -> command of what this point acknowledged, before now."""
        ...

    def send(self, key: str, value: bytes | None) -> None:
        """Returns when the broker has it."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Identity:
    """Who announces. `probe`: where a canary credential can be tried."""

    name: str
    kind: Literal["gateway", "sdk", "connector"]
    probe: str | None = None


@dataclass
class _Waiting:
    lock: Lock
    applied_at: str
    sent: bool = False


@dataclass
class _Heard:
    at: str | None = None
    known: dict[str, str] = field(default_factory=dict)


class Announcer:
    """A thread beside the feed. While Kafka is away acknowledgements wait, the newest of each subject; denying does not wait for them."""

    def __init__(self, identity: Identity, connect: Callable[[], Topic], record: Callable[..., str]) -> None:
        self._identity, self._connect, self._record = identity, connect, record
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._guard = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._heard = _Heard()
        self._began = wire_time(time.time())
        self._version = importlib.metadata.version("tallystick")
        self._thread = threading.Thread(target=self._run, name="tallystick-point", daemon=True)
        self._thread.start()

    def applied(self, lock: Lock) -> None:
        """From the feed's thread: only noted here."""
        with self._guard:
            self._waiting.pop(lock.subject, None)
            self._waiting[lock.subject] = _Waiting(lock, wire_time(time.time()))
            if len(self._waiting) > _MAX_WAITING:
                self._waiting.popitem(last=False)
        self._wake.set()

    def heard(self, at: str) -> None:
        """The responder's newest heartbeat."""
        self._heard.at = at

    def stop(self) -> None:
        """Sign off, without waiting for that."""
        self._stopping.set()
        self._wake.set()

    def close(self, timeout: float = 5.0) -> None:
        """Sign off: a point that was stopped is not one that is silent. Without Kafka nobody can be told, and `timeout` seconds are enough."""
        self.stop()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            topic: Topic | None = None
            try:
                topic = self._connect()
                self._heard.known = dict(topic.own(self._identity.name))
                self._serve(topic)
            except Exception as error:  # noqa: BLE001 - for ever: a point that no longer says so is shown as silent, and goes on denying
                log.warning("%s cannot announce itself (%s); it is tried again", self._identity.name, _why(error))
                self._stopping.wait(_REFUSED_S if isinstance(error, AuthorizationError) else _AGAIN_S)
            finally:
                if topic is not None:
                    with contextlib.suppress(Exception):
                        topic.close()

    def _serve(self, topic: Topic) -> None:
        beat_at = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= beat_at:
                topic.send(self._identity.name, encode_json(self._point()))
                beat_at = time.monotonic() + BEAT_S
            self._acknowledge(topic)
            self._wake.wait(max(0.0, beat_at - time.monotonic()))
            self._wake.clear()
        topic.send(self._identity.name, None)

    def _point(self) -> Point:
        who = self._identity
        return Point(
            name=who.name,
            kind=who.kind,
            version=self._version,
            at=wire_time(time.time()),
            probe=who.probe,
            known_until=self._heard.at,
            started=self._began,
        )

    def _acknowledge(self, topic: Topic) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    return
                subject, waiting = next(iter(self._waiting.items()))
            if not waiting.sent:
                topic.send(f"{self._identity.name}{SEPARATOR}{subject}", encode_json(self._ack(waiting)))
                waiting.sent = True
            # If we crash here, the next start acknowledges again, finds its own word for this command, and leaves the history alone: a gap of one
            # event there, never a false one. What the recorder refuses (a full spool) is tried again.
            if self._heard.known.get(subject) != waiting.lock.command:
                self._write_down(waiting)
                self._heard.known[subject] = waiting.lock.command
            with self._guard:
                if self._waiting.get(subject) is waiting:
                    del self._waiting[subject]

    def _ack(self, waiting: _Waiting) -> LockAck:
        lock = waiting.lock
        return LockAck(
            point=self._identity.name, subject=lock.subject, command=lock.command, state=lock.state, applied_at=waiting.applied_at
        )

    def _write_down(self, waiting: _Waiting) -> None:
        lock, name = waiting.lock, self._identity.name
        kind, _, subject = lock.subject.partition(":")
        attrs = {"command": lock.command, "point": name, "applied_at": waiting.applied_at, "state": lock.state, "level": lock.level}
        drill = {"drill": lock.drill} if lock.drill else {}
        self._record(
            "incident.update",
            actor=Actor(name, "service"),
            resource=Resource(kind, subject),
            why=Why(text=f"{name} has applied it: {lock.state} ({lock.level})"),
            attrs={**attrs, **drill},
        )


class KafkaTopic:
    """Topic `enforcement` on Kafka."""

    def __init__(self, kafka: KafkaSettings) -> None:
        from kafka import KafkaProducer

        self._kafka = kafka
        self._producer: Any = KafkaProducer(
            **kafka.client_kwargs(),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_block_ms=3_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=20_000,
            allow_auto_create_topics=False,
        )

    def own(self, point: str) -> Mapping[str, str]:
        from kafka import KafkaConsumer, TopicPartition

        known: dict[str, str] = {}
        consumer = KafkaConsumer(**self._kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
        try:
            partition = TopicPartition(ENFORCEMENT, 0)
            consumer.assign([partition])
            end = consumer.end_offsets([partition])[partition]
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < end:
                for record in consumer.poll(timeout_ms=500).get(partition, []):
                    _take_own(known, point, record.key, record.value)
        finally:
            consumer.close()
        return known

    def send(self, key: str, value: bytes | None) -> None:
        self._producer.send(ENFORCEMENT, key=key.encode(), value=value).get(_SEND_S)

    def close(self) -> None:
        self._producer.close(timeout=_SEND_S)


def _why(error: Exception) -> str:
    """The mend, where it is known."""
    if isinstance(error, AuthorizationError):
        return "Kafka does not let it write enforcement; `tallystick agent enrol NAME --point` makes an agent an enforcement point"
    return f"{type(error).__name__}: {error}"


def _take_own(known: dict[str, str], point: str, key: bytes | None, value: bytes | None) -> None:
    name, separator, subject = (key or b"").decode("utf-8", "replace").partition(SEPARATOR)
    if name != point or not separator:
        return
    try:
        ack = parse_message(LockAck, value or b"")
    except ParseError:
        known.pop(subject, None)
        return
    known[subject] = ack.command

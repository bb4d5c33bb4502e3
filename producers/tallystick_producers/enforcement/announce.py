"""A point says that it is there, and acknowledges each lock and each lifting that it has applied: signed on topic `enforcement`, and as events of the
history."""

import contextlib
import importlib.metadata
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from kafka import TopicPartition
from kafka.errors import AuthorizationError

from tallystick_schemas.enforcement import PointKey, word_of
from tallystick_schemas.envelope import NO_NUMBER, Number, Numbers, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.messages import Lock, LockAck, Point, encode_json
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT

log: Final = logging.getLogger(__name__)
BEAT_S: Final = 3.0
_AGAIN_S: Final = 1.0
_REFUSED_S: Final = 30.0
_SEND_S: Final = 5.0
_MAX_WAITING: Final = 10_000
_PARTITION: Final = TopicPartition(ENFORCEMENT, 0)


@dataclass
class Own:
    """What a point itself said before now. Pure: `take` is the only way in."""

    signer: Signer
    point: str
    newest: Number = NO_NUMBER
    _said: dict[str, tuple[Number, str]] = field(default_factory=dict)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One value of the topic. Whatever another key signed, or none, is not ours; of what somebody says again the newest counts."""
        try:
            place = PointKey.parse(key)
            if place.point != self.point or value is None:
                return
            claim = self.signer.own(ENFORCEMENT, key, value)
            word = word_of(place, claim.body)
        except ParseError:
            return  # the topic is everybody's, and what is not our word is none of our business here
        self.newest = max(self.newest, claim.number)
        if isinstance(word, LockAck) and claim.number > self._said.get(word.subject, (NO_NUMBER, ""))[0]:
            self._said[word.subject] = (claim.number, word.command)

    @property
    def commands(self) -> dict[str, str]:
        """Subject -> command of what was acknowledged last."""
        return {subject: command for subject, (_, command) in self._said.items()}


class Topic(Protocol):
    """Topic `enforcement`, as far as a point needs it. Everything may raise what Kafka's client raises."""

    def own(self, own: Own) -> None:
        """Hand it what stands on the topic now: everything at first, and later what came since."""
        ...

    def send(self, key: bytes, value: bytes) -> None:
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
    stood: bool
    sent: bool = False


@dataclass
class _Heard:
    at: str | None = None
    known: dict[str, str] = field(default_factory=dict)


class Announcer:
    """A thread beside the feed. While Kafka is away acknowledgements wait, the newest of each subject; denying does not wait for them.

    Its fence is the time of its start in milliseconds, and more than that of any process before it, whatever the clock says now.
    """

    def __init__(self, identity: Identity, signer: Signer, connect: Callable[[], Topic], record: Callable[..., str]) -> None:
        self._identity, self._signer, self._connect, self._record = identity, signer, connect, record
        self._numbers: Numbers | None = None
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._guard = threading.Lock()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._heard = _Heard()
        self._start_ms = int(time.time() * 1000)
        self._began = wire_time(self._start_ms / 1000)
        self._version = importlib.metadata.version("tallystick")
        self._thread = threading.Thread(target=self._run, name="tallystick-point", daemon=True)
        self._thread.start()

    def applied(self, lock: Lock, *, stood: bool = False) -> None:
        """From the feed's thread: only noted here. A lifting that `stood` is told where the lock that it ended was acknowledged."""
        with self._guard:
            self._waiting.pop(lock.subject, None)
            self._waiting[lock.subject] = _Waiting(lock, wire_time(time.time()), stood)
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
                self._serve(topic, self._look_back(topic))
            except Exception as error:  # noqa: BLE001 - for ever: a point that no longer says so is shown as silent, and goes on denying
                log.warning("%s cannot announce itself (%s); it is tried again", self._identity.name, _why(error))
                self._stopping.wait(_REFUSED_S if isinstance(error, AuthorizationError) else _AGAIN_S)
            finally:
                if topic is not None:
                    with contextlib.suppress(Exception):
                        topic.close()

    def _look_back(self, topic: Topic) -> Own:
        own = Own(self._signer, self._identity.name)
        topic.own(own)
        self._heard.known = own.commands
        if self._numbers is None:
            self._numbers = Numbers(max(self._start_ms, own.newest.fence + 1))
        return own

    def _climb(self, topic: Topic, own: Own) -> None:
        """Above whoever else speaks in our name: under his numbers ours are old words, and when he signs off nobody hears of us again."""
        assert self._numbers is not None
        topic.own(own)
        if own.newest.fence > self._numbers.fence:
            log.error("another process says that it is %s, with the same key: give each point an agent and a name of its own", own.point)
            self._numbers = Numbers(own.newest.fence + 1)

    def _say(self, topic: Topic, key: PointKey, word: Point | LockAck) -> None:
        assert self._numbers is not None
        raw = key.encode()
        topic.send(raw, self._signer.sign(ENFORCEMENT, raw, self._numbers.next(), encode_json(word)))

    def _serve(self, topic: Topic, own: Own) -> None:
        beat_at = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= beat_at:
                self._climb(topic, own)
                self._say(topic, PointKey(self._identity.name), self._point())
                beat_at = time.monotonic() + BEAT_S
            self._acknowledge(topic)
            self._wake.wait(max(0.0, beat_at - time.monotonic()))
            self._wake.clear()
        self._say(topic, PointKey(self._identity.name), self._point(left=True))

    def _point(self, *, left: bool = False) -> Point:
        who = self._identity
        return Point(
            name=who.name,
            kind=who.kind,
            version=self._version,
            at=wire_time(time.time()),
            probe=who.probe,
            known_until=self._heard.at,
            started=self._began,
            left=left,
        )

    def _acknowledge(self, topic: Topic) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    return
                subject, waiting = next(iter(self._waiting.items()))
            if not self._owed(subject, waiting):
                self._settled(subject, waiting)
                continue
            if not waiting.sent:
                self._say(topic, PointKey(self._identity.name, subject), self._ack(waiting))
                waiting.sent = True
            # If we crash here, the next start acknowledges again, finds its own word for this command, and leaves the history alone: a gap of one
            # event there, never a false one. What the recorder refuses (a full spool) is tried again.
            if self._heard.known.get(subject) != waiting.lock.command:
                self._write_down(waiting)
                self._heard.known[subject] = waiting.lock.command
            self._settled(subject, waiting)

    def _owed(self, subject: str, waiting: _Waiting) -> bool:
        """Whether there is anything to say: who never held a lock has nothing to say about the lifting that it found when it started."""
        if not waiting.stood or waiting.lock.state == "locked":
            return True
        return self._heard.known.get(subject) not in (None, waiting.lock.command)

    def _settled(self, subject: str, waiting: _Waiting) -> None:
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

        from ..consumer import Consumer

        self._consumer: Any = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
        self._consumer.assign([_PARTITION])
        self._consumer.seek_to_beginning(_PARTITION)
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

    def own(self, own: Own) -> None:
        end = self._consumer.end_offsets([_PARTITION])[_PARTITION]
        if self._consumer.position(_PARTITION) > end:  # the topic was made anew
            self._consumer.seek_to_beginning(_PARTITION)
        while self._consumer.position(_PARTITION) < end:
            for record in self._consumer.poll(timeout_ms=500).get(_PARTITION, []):
                own.take(record.key, record.value)

    def send(self, key: bytes, value: bytes) -> None:
        self._producer.send(ENFORCEMENT, key=key, value=value).get(_SEND_S)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._consumer.close()
        self._producer.close(timeout=_SEND_S)


def _why(error: Exception) -> str:
    """The mend, where it is known."""
    if isinstance(error, AuthorizationError):
        return "Kafka does not let it write enforcement; `tallystick agent enrol NAME --role point` makes an agent an enforcement point"
    return f"{type(error).__name__}: {error}"

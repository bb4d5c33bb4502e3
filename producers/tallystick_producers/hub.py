"""One Kafka producer and one reader of receipts a process, however many recorders it has."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from kafka.errors import KafkaTimeoutError

from tallystick_schemas.errors import NoRole, ParseError, RevokedWord
from tallystick_schemas.receipts import Receipt, parse_receipts
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.topics import RECEIPTS

from .answering import ORDER_S, ask, of_kafka
from .forking import forget_in_children, keep_forever
from .kafka_link import Producer, ReceiptReader
from .keyring import opener_of
from .refused import Refused
from .sending import Outlet

log: Final = logging.getLogger(__name__)
FLYING_BYTES: Final = 32 << 20
"""Bytes in the hands of the producer, of all recorders: it has no bound of its own."""
_AGAIN_S: Final = 1.0
_LOOK_S: Final = 1.0
"""Nobody is left alone for longer."""
_MOST_UNKNOWN: Final = 64
"""Receipts that wait for a look at the roles; a message has 512."""
_CLOSE_S: Final = 5.0
_DEAF_S: Final = (10.0, 30.0, 60.0, 300.0)
"""How long a reader of receipts may hear nothing of what is sent again and again; the last one for ever."""


class Member(Protocol):
    """A recorder's sending half, driven by the hub's two threads."""

    @property
    def agent(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def unanswered(self) -> bool: ...
    def send_due(self, outlet: Outlet) -> float: ...
    def take_receipts(self, receipts: Sequence[Receipt]) -> None: ...
    def take_checkpoint(self, origin: str, note: bytes) -> None: ...


class Hub:
    """Its threads end when the last member left. A receipt is one that a notary of this deployment signed, and nothing else frees a segment."""

    def __init__(self, kafka: KafkaSettings, log_settings: LogSettings, after_s: float = 0.0) -> None:
        """`after_s`: how long whoever has something to send lets others go first."""
        self._kafka, self._after_s = kafka, after_s
        self._opener, self._refused = opener_of(log_settings), Refused(RECEIPTS)
        self._members: list[Member] = []
        self._wake = threading.Condition(threading.Lock())
        self._called: set[Member] = set()
        """Who may have something to send."""
        self._due_at: dict[Member, float] = {}
        """When each may have something again if nobody calls it: the work of a wake must not grow with the number of members."""
        self._short = False
        """Somebody waits for room."""
        self._stopping = threading.Event()
        self._followed: frozenset[int] = frozenset()
        """Partitions whose receipts are being read: whoever sends before would miss the answer."""
        self._producer: Producer | None = None
        self._reader: ReceiptReader | None = None
        self._unknown: list[tuple[bytes, bytes]] = []
        """Receipts, by keys without a role, that wait for a look at the roles."""
        self._look = 0
        self._broken = False
        self._heard_at, self._deaf = time.monotonic(), 0
        """When a receipt of ours came or the reader was made; how many readers before it heard none."""
        self._flying = 0
        self.last_error = ""
        self._threads = [
            threading.Thread(target=self._send_loop, name="tallystick-sender", daemon=True),
            threading.Thread(target=self._receive_loop, name="tallystick-receipts", daemon=True),
        ]
        forget_in_children(self)
        for thread in self._threads:
            thread.start()

    @property
    def connected(self) -> bool:
        """Whether Kafka answered and nothing has gone wrong since."""
        return self._producer is not None and not self._broken

    @property
    def hopeful(self) -> bool:
        """Whether Kafka may yet answer: a process that ends at once should not leave its events behind for want of half a second."""
        return self.connected or not self.last_error

    def join(self, member: Member) -> None:
        with self._wake:
            self._members = [*self._members, member]
        self.wake(member)

    def leave(self, member: Member) -> bool:
        """Whether it was the last; then the hub stops, see `stopped`."""
        with self._wake:
            self._members = [m for m in self._members if m is not member]
            last = not self._members
        if last:
            self._stopping.set()
            self.wake(member)
        return last

    def stopped(self, timeout_s: float) -> None:
        """Wait for the threads of a hub without members, unless they wait for Kafka: they are daemons, and end with the process."""
        deadline = time.monotonic() + (timeout_s if self.connected else 0.0)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def wake(self, member: Member) -> None:
        """It may have something to send."""
        if member in self._called:
            return
        with self._wake:
            self._called.add(member)
            self._wake.notify()

    def _wake_all(self) -> None:
        with self._wake:
            self._called.update(self._members)
            self._wake.notify()

    def room(self) -> int:
        """Bytes that may be handed over now. Who finds none is called when there is some."""
        room = FLYING_BYTES - self._flying
        self._short = self._short or room <= 0
        return room

    def send(self, member: Member, record: bytes, done: Callable[[Exception | None], None]) -> None:
        """Hand one record to Kafka; a receipt, not this, says that it is in the history."""
        producer, size = self._producer, len(record)
        assert producer is not None

        def landed(error: Exception | None) -> None:
            with self._wake:
                self._flying -= size
            if error is not None and producer is self._producer:
                self._failed(error)
            done(error)
            self.wake(member)
            if self._short:
                self._short = False
                self._wake_all()

        with self._wake:
            self._flying += size
        try:
            producer.send(member.agent.encode(), record, landed)
        except BaseException:
            with self._wake:
                self._flying -= size
            raise

    def _failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"[:300]
        if text != self.last_error:
            log.warning("Kafka does not take segments, they wait in the spool: %s", text)
        self.last_error = text
        # A broker that lost its data does not know this producer any more; a new one starts afresh.
        self._broken = True

    def _send_loop(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            if self._after_s:
                self._stopping.wait(self._after_s)
            with self._wake:
                called, self._called = self._called, set()
            try:
                self._connect()
                turn += 1
                wait = self._round(turn, called)
            except Exception as error:  # noqa: BLE001 - whatever a client library raises, the next round tries again
                self._failed(error)
                wait = 0.0
                self._stopping.wait(_AGAIN_S)
                self._wake_all()
            with self._wake:
                if not self._called and not self._stopping.is_set():
                    self._wake.wait(max(wait, 0.0))
        if self._producer is not None:
            self._producer.close(_CLOSE_S)

    def _round(self, turn: int, called: set[Member]) -> float:
        """One turn for each that was called or whose time has come, beginning with another one each time; seconds until there may be more."""
        members = self._members
        first = turn % len(members) if members else 0
        now = time.monotonic()
        for member in members[first:] + members[:first]:
            if member.partition in self._followed and (member in called or self._due_at.get(member, 0.0) <= now):
                self._due_at[member] = now + min(_LOOK_S, member.send_due(_Slot(self, member)))
        self._due_at = {member: self._due_at.get(member, now + _LOOK_S) for member in self._members}
        return min(self._due_at.values(), default=now + _LOOK_S) - time.monotonic()

    def _connect(self) -> None:
        if self._broken and self._producer is not None:
            producer, self._producer = self._producer, None
            producer.close(0)
        if self._producer is None:
            ask(of_kafka(self._kafka), ORDER_S)
            self._producer = Producer(self._kafka)
            self._broken = False
            self.last_error = ""

    def _receive_loop(self) -> None:
        while not self._stopping.is_set():
            try:
                ask(of_kafka(self._kafka), ORDER_S)
                self._reader = reader = ReceiptReader(self._kafka, self._opener)
                self._heard_at, self._unknown = time.monotonic(), []
                try:
                    while not self._stopping.is_set():
                        self._receive(reader)
                finally:
                    self._followed = frozenset()
                    reader.close()
            except Exception as error:  # noqa: BLE001 - as in the send loop
                text = f"{type(error).__name__}: {error}"[:300]
                if text != self.last_error:
                    log.warning("receipts cannot be read, segments wait in the spool: %s", text)
                self.last_error = text
                self._stopping.wait(_AGAIN_S)

    def _receive(self, reader: ReceiptReader) -> None:
        wanted = frozenset(member.partition for member in self._members)
        if wanted and wanted != reader.partitions:
            reader.follow(wanted)
            self._followed = wanted
            self._wake_all()
        elif not wanted:
            self._stopping.wait(0.05)
            return
        receipts, checkpoints = reader.poll()
        self._dispatch(receipts, reader)
        if self._unknown and reader.looks >= self._look:
            again, self._unknown = self._unknown, []
            self._dispatch(again)
        self._listen()
        for origin, note in dict(checkpoints).items():  # the newest of each log
            for member in self._members:
                member.take_checkpoint(origin.decode("utf-8", "replace"), note)

    def _listen(self) -> None:
        """KafkaTimeoutError when this reader hears nothing of what is sent again and again.

        A topic that was made anew under it, or a role that it missed, would keep the spool full for ever; a new reader reads roles from their beginning.
        """
        patience = _DEAF_S[min(self._deaf, len(_DEAF_S) - 1)]
        if time.monotonic() - self._heard_at < patience or not any(member.unanswered for member in self._members):
            return
        self._deaf += 1
        raise KafkaTimeoutError(f"no receipt for {patience:g} s, of segments that Kafka has; they are read anew")

    def _dispatch(self, receipts: Sequence[tuple[bytes, bytes]], reader: ReceiptReader | None = None) -> None:
        """Give each member its receipts. Those by a key without a role wait for the look that `reader` then takes; without one they are refused."""
        members = self._members
        by_agent: dict[bytes, list[Receipt]] = {member.agent.encode(): [] for member in members}
        for key, value in receipts:
            mine = by_agent.get(key)
            if mine is None:
                continue
            try:
                mine += parse_receipts(self._opener.open(RECEIPTS, key, value).body)
            except ParseError as error:
                if reader and isinstance(error, NoRole) and not isinstance(error, RevokedWord) and len(self._unknown) < _MOST_UNKNOWN:
                    if not self._unknown:
                        self._look = reader.look()
                    self._unknown.append((key, value))
                    continue
                # A genuine one by a key whose role comes later still is lost with it: its segment is sent again.
                self._refused.note(key, error)
        for member in members:
            if mine := by_agent[member.agent.encode()]:
                self._heard_at, self._deaf = time.monotonic(), 0
                member.take_receipts(mine)
                self.wake(member)

    def forget(self) -> None:
        """In a forked child: connections and threads are the parent's."""
        for client in (self._producer, self._reader):
            if client is not None:
                client.forget()
        keep_forever(self)


@dataclass(frozen=True)
class _Slot:
    """The hub as one member's turn sees it."""

    hub: Hub
    member: Member

    def room(self) -> int:
        return self.hub.room()

    def send(self, record: bytes, done: Callable[[Exception | None], None]) -> None:
        self.hub.send(self.member, record, done)


_Whose = tuple[KafkaSettings, str, tuple[bytes, ...]]
"""Where Kafka is, whose deployment, and which operators say who its notaries are."""
_hubs: dict[_Whose, Hub] = {}
_lock = threading.Lock()


def join_hub(kafka: KafkaSettings, log_settings: LogSettings, member: Member, after_s: float = 0.0) -> Hub:
    """The process's hub for this deployment on this cluster, made when there is none; only then `after_s` counts."""
    whose = (kafka, log_settings.deployment, log_settings.operator_keys)
    with _lock:
        hub = _hubs.get(whose)
        if hub is None:
            hub = _hubs[whose] = Hub(kafka, log_settings, after_s)
        hub.join(member)
        return hub


def leave_hub(hub: Hub, member: Member, timeout_s: float) -> None:
    """Close the hub when nobody is left."""
    with _lock:
        last = hub.leave(member)
        if last:
            for whose in [whose for whose, one in _hubs.items() if one is hub]:
                del _hubs[whose]
    if last:
        hub.stopped(timeout_s)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's lock may be held by a thread that does not exist here
    _lock = threading.Lock()
    _hubs.clear()


os.register_at_fork(after_in_child=_after_fork)

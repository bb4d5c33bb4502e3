"""The outbox's loop: decisions in, attempts in threads, their outcomes written down. `tallystick jobs outbox`."""

import fcntl
import functools
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kafka.errors import KafkaError

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_producers.keyring import ROLES_EVERY_S, LiveRoles, signer_of
from tallystick_producers.refused import Refused
from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.envelope import NO_NUMBER, Number, Opener, Signer
from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.messages import Decision, Delivery, Finding, encode_json, parse_batch, parse_message
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.topics import ACTS, DECISIONS, ENFORCEMENT, FINDINGS, OUTBOX, PROOFS

from ..connectors.base import Connector
from ..errors import NotTheOwner
from ..fence import claim_fence
from ..patience import PatientOpener, wait_for_roles
from ..responder.proven import prove
from ..responder.record_reader import RecordReader
from ..responder.topics import Told, read_told
from ..triage.record import record_told
from .asking import Asker
from .core import Outbox
from .errors import OrderImpossible, OutboxBusy
from .minted import History, minted_meanwhile
from .orders import Order, orders_in
from .proofs import Prover
from .proving import Proving, Tools
from .settings import OutboxSettings
from .topics import GONE, Feed, Pen, Word, read_signed
from .worker import Outcome, Worker, attempt

log: Final = logging.getLogger(__name__)
ME: Final = Actor("outbox", "service")
_IDLE_MS: Final = 200
_WAITING_MS: Final = 50
_BUSY_MS: Final = 10
_CLEAN_S: Final = 3_600.0


class KafkaGround:
    """Ground on Kafka and on the recorder's spool."""

    def __init__(self, pen: Pen, recorder: Recorder) -> None:
        self._pen, self._recorder = pen, recorder

    def keep(self, delivery: Delivery) -> None:
        self._pen.write(OUTBOX, delivery.id, encode_json(delivery))

    def forget(self, delivery_id: str) -> None:
        self._pen.remove(OUTBOX, delivery_id)

    def find(self, finding: Finding) -> None:
        self._pen.write(FINDINGS, finding.principal, encode_json(finding))
        record_told(self._recorder, finding, ME)

    def record(self, delivery: Delivery) -> None:
        attrs = {
            "command": delivery.decision.id,
            "connector": delivery.connector,
            "subject": delivery.decision.subject[:400],
            "state": delivery.state,
            "attempts": str(delivery.attempts),
            **({"drill": delivery.decision.drill} if delivery.decision.drill else {}),
        }
        text = (delivery.detail if delivery.state == "done" else delivery.error) or ""
        self._recorder.record(
            "incident.update",
            actor=ME,
            resource=Resource("delivery", delivery.id[:1000]),
            outcome="error" if delivery.state in ("given-up", "waiting") else "allowed",
            why=Why(text=text),
            attrs=attrs,
            durable=True,
        )


def load_outbox(words: Mapping[bytes, Word], own: OutboxSettings) -> Outbox:
    """The outbox as words of its topic have it. One that cannot be read is told and left out."""
    outbox = Outbox(own.limits())
    for key, word in words.items():
        if word.body == GONE:
            continue
        try:
            delivery = parse_message(Delivery, word.body)
            if key != delivery.id.encode() or delivery.decision.lock is None:
                raise ParseError("it stands under another key, or has no lock")
            outbox.put(delivery)
        except (ParseError, ValueError) as error:
            log.error("topic %s, key %r: %s; it is not delivered", OUTBOX, key, error)
    return outbox


@dataclass(frozen=True)
class Believing:
    """Whose words count: what opens messages, and where records of `events` are read that orders stand in."""

    opener: Opener
    record_at: Callable[[int, int], bytes]
    fence: int = -1

    def check(self, number: Number) -> None:
        """NotTheOwner when another outbox took over: two that deliver would undo each other's work."""
        if number.fence > self.fence >= 0:
            raise NotTheOwner(self.fence)

    def orders(self, body: bytes) -> Iterator[Order]:
        """Orders about deliveries in the records that a batch of `acts` points at; the batch itself orders nothing."""
        batch = parse_batch(body)
        for segment in batch.segments:
            try:
                proven = prove(self.record_at(batch.shard, segment.offset), self.opener.keyring)
            except (ParseError, KafkaError) as error:
                log.error("acts points at offset %d of partition %d, which orders nothing: %s", segment.offset, batch.shard, error)
                continue
            if "commander" in proven.holder.roles:
                yield from orders_in(proven.events)


class OutboxLoop:
    """One process's state: what is under way, and when to clean up."""

    def __init__(
        self,
        worker: Worker,
        proving: Proving,
        feed: Feed,
        own: OutboxSettings,
        believing: Believing,
        newest: Number = NO_NUMBER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._worker, self._proving, self._feed, self._own, self._clock = worker, proving, feed, own, clock
        self._believing, self._newest = believing, newest
        self._refused = {topic: Refused(topic) for topic in (DECISIONS, ACTS, FINDINGS, ENFORCEMENT, OUTBOX)}
        self._pool = ThreadPoolExecutor(own.in_flight, "tallystick-outbox")
        self._flying: set[Future[Outcome]] = set()
        self._clean_at = 0.0

    def turn(self) -> None:
        """Take in what came, write down what ended, begin what is due."""
        for topic, offset, broker_ms, key, value in self._feed.poll(self._wait_ms()):
            try:
                self._take(topic, broker_ms, key, value)
            except ParseError as error:
                self._refused[topic].note(key, f"offset {offset} is left out: {error}")
        self._feed.commit()
        self._finish()
        now = self._clock()
        for connector, delivery in self._worker.begin(now, self._own.in_flight - len(self._flying)):
            self._flying.add(self._pool.submit(attempt, connector, delivery, now))
        self._proving.turn(self._clock(), list(self._worker.connectors))
        if now >= self._clean_at:
            self._clean_at = now + _CLEAN_S
            self._worker.clean(now)
            self._proving.clean(now)

    def _wait_ms(self) -> int:
        if self._flying or self._proving.busy:
            return _BUSY_MS
        return _WAITING_MS if self._proving.waiting else _IDLE_MS

    def _take(self, topic: str, broker_ms: int, key: bytes | None, value: bytes | None) -> None:
        now = self._clock()
        if topic == ENFORCEMENT:
            self._proving.enforcement(key, value, broker_ms)
            return
        opened = self._believing.opener.open(topic, key, value or b"")
        if topic == OUTBOX:
            self._believing.check(opened.number)
            return
        if topic == FINDINGS:
            self._proving.finding(opened.body)
        elif topic == DECISIONS:
            if opened.number <= self._newest:
                raise OldMessage(opened.number, self._newest)
            decision = parse_message(Decision, opened.body)
            self._worker.look(decision, now)
            if decision.lock is not None:
                self._worker.take(decision, now)
                self._proving.take(decision, now)
            # If we crash here, the decision is read again; its deliveries are known by their ids.
            self._newest = opened.number
        elif topic == ACTS:
            for one in self._believing.orders(opened.body):
                try:
                    if one.verb == "retry":
                        self._worker.retry(one.delivery, now)
                    else:
                        self._worker.cancel(one.delivery, f"cancelled by {one.by}: {one.reason}", now)
                except OrderImpossible as error:
                    log.warning("%s ordered to %s: %s", one.by, one.verb, error)

    def _finish(self) -> None:
        for future in [one for one in self._flying if one.done()]:
            self._flying.discard(future)
            outcome, now = future.result(), self._clock()
            self._worker.finish(outcome, now)
            if outcome.detail is not None:
                self._proving.delivered(self._worker.outbox.deliveries[outcome.delivery], now)

    def close(self) -> None:
        """What is under way gets its time-out to end and is written down; if we are killed meanwhile, it is tried again."""
        self._pool.shutdown(wait=True)
        self._finish()
        self._proving.close(list(self._worker.connectors))


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """One outbox a deployment. The system lets go of the lock when we die."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(directory / "outbox.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutboxBusy(directory) from error
        yield
    finally:
        os.close(handle)


def _before(told: Sequence[Told], place: int) -> Number:
    """The highest number of the decisions before an offset: what comes from there on with a lower one is said again by somebody else."""
    return max((one.number for one in told if one.offset < place), default=NO_NUMBER)


def run_outbox(settings: JobSettings, agent: AgentSettings, own: OutboxSettings, connectors: Mapping[str, Connector], canary: str) -> None:
    """The process: until SIGTERM. Whatever Kafka or the disk refuses ends it, and the next one goes on from the topics. `canary`: the probes' token."""
    stopping: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    with alone(Path(settings.state_dir)), Recorder.open(agent) as recorder:
        roles = LiveRoles(settings.kafka, settings.log, ROLES_EVERY_S)
        try:
            # What is refused is committed all the same: before the roles are known, everything would be.
            wait_for_roles(roles)
            _run(settings, own, _Tools(recorder, signer_of(agent), PatientOpener(roles.opener), connectors, canary), stopping)
        finally:
            roles.close()


@dataclass(frozen=True)
class _Tools:
    """What one process works with."""

    recorder: Recorder
    signer: Signer
    opener: Opener
    connectors: Mapping[str, Connector]
    canary: str


def _run(settings: JobSettings, own: OutboxSettings, tools: _Tools, stopping: list[bool]) -> None:
    kafka, opener, recorder, connectors = settings.kafka, tools.opener, tools.recorder, tools.connectors
    deliveries, denials = read_signed(kafka, OUTBOX, opener), read_signed(kafka, PROOFS, opener)
    newest = max((word.number for word in (*deliveries.values(), *denials.values())), default=NO_NUMBER)
    fence = claim_fence(kafka, recorder, "outbox", newest.fence)
    pen = Pen(kafka, tools.signer, fence)
    feed = Feed(kafka, (DECISIONS, ACTS, FINDINGS), (ENFORCEMENT, OUTBOX))
    try:
        told = read_told(kafka, opener)
        worker = Worker(load_outbox(deliveries, own), connectors, KafkaGround(pen, recorder), random.random)
        asking = Tools(
            Asker(tools.canary, connectors),
            functools.partial(minted_meanwhile, History(settings.clickhouse), opener.keyring),
            pen,
            recorder,
        )
        proving = Proving(Prover(own.proof_limits()), asking, own.kept_days, Enforcement(opener))
        now, known = time.time(), {one.decision.lock.command: one.decision for one in told if one.decision.lock is not None}
        proving.resume({key: word.body for key, word in denials.items() if word.body != GONE}, known, now)
        worker.resume([one.decision for one in told if one.offset < feed.place(DECISIONS)], now)
        believing = Believing(opener, RecordReader(kafka).read, fence)
        loop = OutboxLoop(worker, proving, feed, own, believing, _before(told, feed.place(DECISIONS)))
        log.info("%d deliveries known; connectors: %s", len(worker.outbox.deliveries), ", ".join(connectors) or "none")
        while not stopping:
            loop.turn()
        loop.close()
    finally:
        feed.close()
        pen.close()

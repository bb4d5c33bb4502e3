"""The outbox's loop: decisions in, attempts in threads, their outcomes written down. `tallystick jobs outbox`."""

import fcntl
import functools
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, Delivery, Finding, encode_json, parse_batch, parse_message
from tallystick_schemas.settings import AgentSettings, JobSettings, KafkaSettings
from tallystick_schemas.topics import ACTS, DECISIONS, ENFORCEMENT, FINDINGS, OUTBOX, PROOFS

from ..connectors.base import Connector
from ..responder.topics import read_decisions
from ..triage.record import record_told
from .asking import Asker
from .core import Outbox
from .errors import OrderImpossible, OutboxBusy
from .minted import History, minted_meanwhile
from .orders import orders_of
from .proofs import Prover
from .proving import Proving, Tools
from .settings import OutboxSettings
from .topics import Feed, Pen, read_newest
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
        self._pen.write(OUTBOX, delivery_id, None)

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


def load_outbox(kafka: KafkaSettings, own: OutboxSettings) -> Outbox:
    """The outbox as its topic has it. A value that cannot be read is told and left out."""
    outbox = Outbox(own.limits())
    for key, (value, _) in read_newest(kafka, OUTBOX).items():
        try:
            delivery = parse_message(Delivery, value)
            if key != delivery.id.encode() or delivery.decision.lock is None:
                raise ParseError("it stands under another key, or has no lock")
            outbox.put(delivery)
        except (ParseError, ValueError) as error:
            log.error("topic %s, key %r: %s; it is not delivered", OUTBOX, key, error)
    return outbox


class OutboxLoop:
    """One process's state: what is under way, and when to clean up."""

    def __init__(self, worker: Worker, proving: Proving, feed: Feed, own: OutboxSettings, clock: Callable[[], float] = time.time) -> None:
        self._worker, self._proving, self._feed, self._own, self._clock = worker, proving, feed, own, clock
        self._pool = ThreadPoolExecutor(own.in_flight, "tallystick-outbox")
        self._flying: set[Future[Outcome]] = set()
        self._clean_at = 0.0

    def turn(self) -> None:
        """Take in what came, write down what ended, begin what is due."""
        for topic, offset, broker_ms, key, value in self._feed.poll(self._wait_ms()):
            try:
                self._take(topic, broker_ms, key or b"", value)
            except ParseError as error:
                log.error("topic %s, offset %d cannot be read and is left out: %s", topic, offset, error)
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

    def _take(self, topic: str, broker_ms: int, key: bytes, value: bytes) -> None:
        now = self._clock()
        if topic == ENFORCEMENT:
            self._proving.enforcement(key, value, broker_ms)
        elif topic == FINDINGS:
            self._proving.finding(value)
        elif topic == DECISIONS:
            decision = parse_message(Decision, value)
            self._worker.look(decision, now)
            if decision.lock is not None:
                self._worker.take(decision, now)
                self._proving.take(decision, now)
        elif topic == ACTS:
            for one in orders_of(parse_batch(value)):
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


def known_locks(kafka: KafkaSettings) -> dict[str, Decision]:
    """Newest decisions with a lock, by its command."""
    return {one.lock.command: one for one in read_decisions(kafka) if one.lock is not None}


def run_outbox(settings: JobSettings, agent: AgentSettings, own: OutboxSettings, connectors: Mapping[str, Connector], canary: str) -> None:
    """The process: until SIGTERM. Whatever Kafka or the disk refuses ends it, and the next one goes on from the topics. `canary`: the probes' token."""
    stopping: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    kafka, history = settings.kafka, History(settings.clickhouse)
    with alone(Path(settings.state_dir)), Recorder.open(agent) as recorder:
        pen, feed = Pen(kafka), Feed(kafka, (DECISIONS, ACTS, FINDINGS), (ENFORCEMENT,))
        try:
            worker = Worker(load_outbox(kafka, own), connectors, KafkaGround(pen, recorder), random.random)
            tools = Tools(Asker(canary, connectors), functools.partial(minted_meanwhile, history), pen, recorder)
            proving = Proving(Prover(own.proof_limits()), tools, own.kept_days)
            for key, (value, broker_ms) in read_newest(kafka, ENFORCEMENT).items():
                proving.enforcement(key, value, broker_ms)
            proving.resume({key: value for key, (value, _) in read_newest(kafka, PROOFS).items()}, known_locks(kafka), time.time())
            loop = OutboxLoop(worker, proving, feed, own)
            log.info("%d deliveries known; connectors: %s", len(worker.outbox.deliveries), ", ".join(connectors) or "none")
            while not stopping:
                loop.turn()
            loop.close()
        finally:
            feed.close()
            pen.close()

"""The responder's shell: findings and orders in; locks out first, then decisions, then the history; and a heartbeat each second."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import (
    HEARTBEAT_KEY,
    Decision,
    Finding,
    Lock,
    LockHeartbeat,
    encode_json,
    parse_batch,
    parse_finding,
    parse_lock,
)
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DECISIONS, FINDINGS, LOCKS

from ..detectors.job import read_compacted
from ..shell import Message, Outlet, run_jobs
from .book import LockBook
from .decisions import (
    MAX_TEXT,
    about_finding,
    about_lock,
    about_order,
    automatic,
    command_of,
    cut,
    event_attrs,
    lock_action,
    resource_of,
    subject_of,
)
from .memory import Memory
from .orders import Order, orders_of
from .people import Ruling, Situation, rule, waiting
from .policy import Verdict, Weighing, decide
from .protected import Protected
from .seen import SeenNames, named_in_history
from .topics import read_decisions

log: Final = logging.getLogger(__name__)
_HEARTBEAT_S: Final = 1.0
ME: Final = Actor("responder", "service")


class Judged(NamedTuple):
    """A decision whose lock is out. `new`: it was not told yet."""

    decision: Decision
    new: bool


class Responder:
    """The book and the memory, shared by the two lanes: both are what topics say, so a new process knows what the old one did."""

    def __init__(self, settings: JobSettings, outlet: Outlet, recorder: Recorder) -> None:
        self._settings, self._outlet, self._recorder = settings, outlet, recorder
        self._protected = Protected(settings)
        self._book, self._memory = LockBook(), Memory()
        self._seen = SeenNames(partial(named_in_history, settings.clickhouse))
        self._loaded = False
        self._beat_at = 0.0

    def load(self) -> None:
        """Book and memory as the topics have them, once."""
        if self._loaded:
            return
        for key, value in read_compacted(self._settings.kafka, LOCKS, 0).items():
            try:
                lock = parse_lock(key, value)
            except ParseError as error:
                log.error("topic %s, key %r: %s", LOCKS, key, error)
                continue
            if isinstance(lock, Lock):
                self._book.put(lock)
        for decision in read_decisions(self._settings.kafka):
            self._memory.put(decision)
        self._loaded = True

    async def finding(self, value: bytes) -> Judged:
        """Decide on one finding, once, and lock. The rest is for `tell`, when everybody who waits for a lock has it."""
        finding = parse_finding(value)
        command = command_of(finding)
        if (told := self._memory.told(command)) is not None:
            # It comes again because nobody acked it. Whether it was written down nobody knows: twice is better than never.
            return Judged(told, new=False)
        now = time.time()
        standing = self._book.locks.get(subject_of(finding))
        verdict = self._weigh(finding, standing, now)
        until = now + self._settings.lock_minutes * 60
        lock = self._book.made_by(command) or automatic(finding, verdict, standing, now, until)
        decision = about_finding(finding, verdict, lock, standing, now)
        log.info("finding %s (%s, %s): %s: %s", finding.id, finding.detector, finding.principal, decision.choice, decision.reason)
        await self._lock(decision)
        return Judged(decision, new=True)

    def _weigh(self, finding: Finding, standing: Lock | None, now: float) -> Verdict:
        seconds = self._memory.seconds(finding, now)
        return decide(Weighing(finding, seconds, self._memory, standing, self._protected.names(now), self._settings.breaker_limit, now))

    async def order(self, order: Order) -> None:
        """Carry out a person's order, keep it for a second person, withdraw what waits, or refuse it; once."""
        command = order.lock.command
        if (told := self._memory.told(command)) is not None:
            await self.tell([Judged(told, new=False)])
            return
        now = time.time()
        owners = {*self._memory.owners(order.lock.subject), *([order.principal] if order.principal else [])}
        made = self._book.made_by(command)
        ruling = self._rule(order, owners, now) if made is None else Ruling(made.reason, lock=made)
        decision = about_order(order, ruling, next(iter(sorted(owners)), None), now)
        log.info("order %s about %s by %s: %s: %s", command, order.lock.subject, order.lock.by, decision.choice, decision.reason)
        await self._lock(decision)
        # The lock is out: now there is time to ask whether it holds anybody. Every asker gets this one answer.
        await self.tell([Judged(await self._seen.marked(decision), new=True)])

    def _rule(self, order: Order, owners: set[str], now: float) -> Ruling:
        guarded = sorted(owners & self._protected.names(now))
        why = f"{guarded[0]} is protected: two people decide" if guarded else ""
        standing = self._book.locks.get(order.lock.subject)
        first = waiting(self._memory.first(standing if order.confirm and standing is not None else order.lock), now)
        waits = tuple(one for one in self._memory.firsts(order.lock.subject) if waiting(one, now) is not None)
        return rule(order, Situation(standing, first, why, now, self._settings.two_people_minutes * 60, waits))

    async def _carry_out(self, decision: Decision) -> None:
        await self._lock(decision)
        await self.tell([Judged(decision, new=True)])

    async def _lock(self, decision: Decision) -> None:
        """Lock first, then tell it, then write it down: a thief does not wait for our records."""
        lock = decision.lock
        if lock is not None and self._book.made_by(lock.command) is None:
            await (await self._outlet.send(LOCKS, lock.subject.encode(), encode_json(lock)))
            self._book.put(lock)
            log.info("%s is %s (%s): %s (by %s, command %s)", lock.subject, lock.state, lock.level, lock.reason, lock.by, lock.command)
        # If we crash here, the message comes again, the book holds the lock of this command, and only the telling is done.
        self._memory.put(decision)

    async def tell(self, judged: Sequence[Judged]) -> None:
        """On topic `decisions`, then in the history, all of them together. An error must end the process: the memory knows them already."""
        for sent in [await self._outlet.send(DECISIONS, d.subject.encode(), encode_json(d)) for d, new in judged if new]:
            await sent
        # If we crash here, the messages come again, the memory knows the decisions, and only the history gets them.
        if judged:
            await asyncio.to_thread(self._write_down_all, judged)

    def _write_down_all(self, judged: Sequence[Judged]) -> None:
        for one in judged:
            self._write_down(one.decision)

    def _write_down(self, decision: Decision) -> None:
        lock, subject = decision.lock, resource_of(decision.subject)
        if lock is not None:
            facts = {"command": lock.command, "by": lock.by, "level": lock.level, "decision": decision.id}
            facts |= {key: text for key, text in (("finding", lock.finding), ("until", lock.until), ("drill", lock.drill)) if text}
            self._record(lock_action(lock), subject, lock.reason, {name: cut(text, MAX_TEXT) for name, text in facts.items()})
        about = Resource("finding", decision.findings[0]) if decision.findings else subject
        self._record("incident.decide", about, f"{decision.choice}: {decision.reason}", event_attrs(decision))

    def _record(self, action: str, resource: Resource, text: str, attrs: dict[str, str]) -> None:
        self._recorder.record(action, actor=ME, resource=resource, why=Why(text=cut(text, MAX_TEXT)), attrs=attrs)

    async def tick(self, now: float) -> None:
        """Expiry and the heartbeat. Gateways deny when it stays away."""
        if now < self._beat_at or not self._loaded:
            return
        self._beat_at = now + _HEARTBEAT_S
        for lock in self._book.expired(now):
            policy = {"expiry": f"an automatic lock ends after {self._settings.lock_minutes:g} minutes unless somebody confirms it"}
            await self._carry_out(about_lock(lock, next(iter(self._memory.owners(lock.subject)), None), policy, now))
        await self._outlet.send(LOCKS, HEARTBEAT_KEY, encode_json(LockHeartbeat(wire_time(now))))


class Lane:
    """BatchJob on one of the two topics."""

    def __init__(self, responder: Responder, handle: Callable[[Responder, bytes], Awaitable[list[Judged]]], *, ticks: bool) -> None:
        self._responder, self._handle, self._ticks = responder, handle, ticks

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:  # noqa: ARG002 - the port's
        """On from where the group stood: commands are idempotent, so a repeat does nothing."""
        self._responder.load()
        return {}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Never asked for."""

    def revoked(self, partitions: Collection[int]) -> None:
        """The other responder reads the same book."""

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        async def commit() -> None:
            judged: list[Judged] = []
            for message in messages:
                try:
                    judged += await self._handle(self._responder, message.value or b"")
                except ParseError as error:
                    log.error("offset %d cannot be read and decides nothing: %s", message.offset, error)
            await self._responder.tell(judged)

        return commit

    async def tick(self, now: float) -> None:
        if self._ticks:
            await self._responder.tick(now)

    async def stop(self) -> None:
        """Nothing is held back."""


async def _handle_finding(responder: Responder, value: bytes) -> list[Judged]:
    return [await responder.finding(value)]


async def _handle_acts(responder: Responder, value: bytes) -> list[Judged]:
    for order in orders_of(parse_batch(value)):
        await responder.order(order)
    return []


def run_responder(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs responder`."""
    outlet = Outlet(settings.kafka)
    with Recorder.open(agent) as recorder:
        responder = Responder(settings, outlet, recorder)
        lanes = {FINDINGS: Lane(responder, _handle_finding, ticks=True), ACTS: Lane(responder, _handle_acts, ticks=False)}
        run_jobs("responder", settings, lanes, outlet=outlet, take=50)

"""The responder's shell: two topics in, locks out first, then the decision into the history, and a heartbeat each second."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import HEARTBEAT_KEY, Finding, Lock, LockHeartbeat, encode_json, parse_batch, parse_finding, parse_lock
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DECISIONS, FINDINGS, LOCKS

from ..detectors.job import read_compacted
from ..shell import Message, Outlet, run_jobs
from .book import LockBook
from .orders import orders_of
from .policy import Policy

log: Final = logging.getLogger(__name__)
_HEARTBEAT_S: Final = 1.0
ME: Final = Actor("responder", "service")


class Responder:
    """The book and the policy, shared by the two lanes."""

    def __init__(self, settings: JobSettings, outlet: Outlet, recorder: Recorder) -> None:
        self._settings, self._outlet, self._recorder = settings, outlet, recorder
        self._book, self._policy = LockBook(), Policy(frozenset(settings.protected), settings.breaker_limit)
        self._loaded = False
        self._beat_at = 0.0

    def load(self) -> None:
        """The book as the compacted topic has it, once."""
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
        self._loaded = True

    async def finding(self, value: bytes) -> None:
        """Decide on one finding."""
        finding = parse_finding(value)
        if self._book.done(f"auto-{finding.id}"):
            await self._again(finding)
            return
        now = time.time()
        decision = self._policy.decide(finding, now)
        log.info("finding %s (%s, %s): %s: %s", finding.id, finding.detector, finding.principal, decision.choice, decision.reason)
        lock = None
        if decision.choice == "suspend":
            lock = self._book.suspend(finding, decision.reason, "responder", now, self._settings.lock_minutes)
        if lock is not None:
            await self.apply(lock)
        await self._decided(finding, decision.choice, decision.reason)

    async def _again(self, finding: Finding) -> None:
        """The finding came again: its lock stands, but whether it was written down nobody knows. Twice is better than never."""
        for lock in self._book.locks.values():
            if lock.command == f"auto-{finding.id}":
                await self._write_down(lock)
                await self._decided(finding, "suspend", lock.reason)

    async def order(self, lock: Lock) -> None:
        """Carry out a person's order, once."""
        if not self._book.done(lock.command):
            await self.apply(lock)

    async def apply(self, lock: Lock) -> None:
        """Lock first, then write it down: a thief does not wait for our records."""
        # If we crash after the first line, the message comes again, and what is missing in the history is written then.
        await (await self._outlet.send(LOCKS, lock.subject.encode(), encode_json(lock)))
        self._book.put(lock)
        log.info("%s is %s: %s (by %s, command %s)", lock.subject, lock.state, lock.reason, lock.by, lock.command)
        await self._write_down(lock)

    async def _write_down(self, lock: Lock) -> None:
        await (await self._outlet.send(DECISIONS, lock.subject.encode(), encode_json(lock)))
        kind, _, name = lock.subject.partition(":")
        action = "credential.suspend" if lock.state == "locked" else "credential.resume"
        attrs = {"command": lock.command, "by": lock.by, **({"finding": lock.finding} if lock.finding else {})}
        await self._record(action, Resource(kind, name), lock.reason, attrs)

    async def _decided(self, finding: Finding, choice: str, reason: str) -> None:
        await self._record("incident.decide", Resource("finding", finding.id), f"{choice}: {reason}", {"detector": finding.detector})

    async def _record(self, action: str, resource: Resource, text: str, attrs: dict[str, str]) -> None:
        await asyncio.to_thread(self._recorder.record, action, actor=ME, resource=resource, why=Why(text=text[:1000]), attrs=attrs)

    async def tick(self, now: float) -> None:
        """Expiry and the heartbeat. Gateways deny when it stays away."""
        if now < self._beat_at or not self._loaded:
            return
        self._beat_at = now + _HEARTBEAT_S
        for lock in self._book.expired(now):
            await self.apply(lock)
        await self._outlet.send(LOCKS, HEARTBEAT_KEY, encode_json(LockHeartbeat(wire_time(now))))


class Lane:
    """BatchJob on one of the two topics."""

    def __init__(self, responder: Responder, handle: Callable[[Responder, bytes], Awaitable[None]], *, ticks: bool) -> None:
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
            for message in messages:
                try:
                    await self._handle(self._responder, message.value or b"")
                except ParseError as error:
                    log.error("offset %d cannot be read and decides nothing: %s", message.offset, error)

        return commit

    async def tick(self, now: float) -> None:
        if self._ticks:
            await self._responder.tick(now)

    async def stop(self) -> None:
        """Nothing is held back."""


async def _handle_finding(responder: Responder, value: bytes) -> None:
    await responder.finding(value)


async def _handle_acts(responder: Responder, value: bytes) -> None:
    for lock in orders_of(parse_batch(value)):
        await responder.order(lock)


def run_responder(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs responder`."""
    outlet = Outlet(settings.kafka)
    with Recorder.open(agent) as recorder:
        responder = Responder(settings, outlet, recorder)
        lanes = {FINDINGS: Lane(responder, _handle_finding, ticks=True), ACTS: Lane(responder, _handle_acts, ticks=False)}
        run_jobs("responder", settings, lanes, outlet=outlet, take=50)

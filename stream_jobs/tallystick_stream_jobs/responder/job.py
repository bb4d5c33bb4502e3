"""The responder's shell: findings and orders in, each proven first; locks into the history and out, then decisions; and a heartbeat each second."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_producers.following import connect
from tallystick_producers.keyring import opener_of, signer_of
from tallystick_schemas.envelope import Number, Opened, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, Finding, Lock, encode_json, parse_batch, parse_finding
from tallystick_schemas.orders import Order
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.topics import ACTS, DECISIONS, FINDINGS

from ..errors import NotTheOwner
from ..shell import GO_FIRST_MS, Message, Outlet, run_jobs
from ..triage.record import record_told
from .decisions import MAX_TEXT, about_finding, about_lock, about_order, automatic, command_of, cut, event_attrs, resource_of, subject_of
from .findings import not_brought
from .known import Looked
from .memory import Memory
from .mirror import Mirror
from .missed import Missed
from .ownership import Ownership, take_over
from .people import Ruling, Situation, rule, waiting
from .policy import Verdict, Weighing, decide
from .protected import Protected
from .proving import Proving
from .record_reader import RecordReader
from .seen import SeenNames, named_in_history
from .shown_roots import ShownRoots
from .sources import RealSources, Sources, Store
from .watching import Watching

log: Final = logging.getLogger(__name__)
_HEARTBEAT_S: Final = 1.0
_WITHIN_S: Final = 0.001
_SMALL: Final = 64 << 10
"""Bytes of a record that take the loop no longer to check than a thread takes to be woken."""
"""Findings are few, and somebody waits for each."""
ME: Final = Actor("responder", "service")


class Judged(NamedTuple):
    """A decision whose lock is out. `new`: it was not told yet."""

    decision: Decision
    new: bool


class Responder:
    """Book and memory, shared by the two lanes: both are what signed words say, so a new process knows what the old one did."""

    def __init__(self, settings: JobSettings, outlet: Outlet, recorder: Recorder, signer: Signer, sources: Sources) -> None:
        self._settings, self._outlet, self._recorder, self._signer, self._sources = settings, outlet, recorder, signer, sources
        self._protected = Protected(settings)
        self._memory = Memory()
        self._own: Ownership | None = None
        self._proving: Proving | None = None
        self._watching: Watching | None = None
        self._seen = SeenNames(self._looked_for)
        self._beat_at = 0.0
        self._opening, self._telling, self._ordering = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    def _looked_for(self, subject: str) -> Looked:
        return named_in_history(self._settings.clickhouse, subject, self.own.topic.opener.keyring)

    def load(self) -> None:
        """Become the owner: book and memory as signed words give them, under a new fence. Nothing when we are it."""
        if self._own is not None and self._sources.topic().topic.newest.fence <= self._own.writer.numbers.fence:
            return
        # Who is stopped for longer than a session may get its partitions back and never hear that another had them meanwhile.
        self.lose()
        own = take_over(self._sources, self._signer, self._outlet, self._recorder)
        self._memory = Memory()
        for decision in self._sources.decisions(own.topic.opener):
            self._memory.put(decision)
        keyring = own.topic.opener.keyring
        self._proving = Proving(self._sources, keyring)
        missed = Missed(self._sources, keyring, self._known, time.time())
        shown = ShownRoots(self._sources, self._settings.log, keyring, time.time())
        self._watching = Watching(own, self._sources, self._proving.confirming, missed, shown)
        self._sources.warm()
        self._own = own

    def lose(self) -> None:
        """Somebody else is the owner by now: nothing of what is under way is written."""
        if self._own is not None:
            log.info("fence %d is over: another process has the partitions", self._own.writer.numbers.fence)
            self._own.writer.stop()
        self._own = self._proving = self._watching = None

    @property
    def own(self) -> Ownership:
        """NotTheOwner between losing the partitions and getting them again: what was fetched before belongs to somebody else."""
        if self._own is None:
            raise NotTheOwner(-1)
        return self._own

    @property
    def watching(self) -> Watching:
        if self._watching is None:
            raise NotTheOwner(-1)
        return self._watching

    @property
    def proving(self) -> Proving:
        if self._proving is None:
            raise NotTheOwner(-1)
        return self._proving

    def open_message(self, topic: str, message: Message) -> Opened:
        """What a part with the right role signed; ParseError for everything else."""
        return self.own.topic.opener.open(topic, message.key, message.value or b"")

    async def finding(self, opened: Opened) -> Judged:
        """Decide on one finding, once, and lock. The rest is for `tell`, when everybody who waits for a lock has it."""
        await self._open()
        finding = parse_finding(opened.body)
        if finding.detector.startswith("R") == ("detectors" in opened.holder.roles):
            raise ParseError(f"a finding of {finding.detector} by {opened.holder.agent}, whose it is not")
        command = command_of(finding)
        if (told := self._memory.told(command)) is not None:
            # It comes again because nobody acked it. Whether it was written down nobody knows: twice is better than never.
            return Judged(told, new=False)
        now = time.time()
        standing = self.own.book.get(subject_of(finding))
        verdict = await self._weigh(finding, standing, now)
        until = now + self._settings.lock_minutes * 60
        lock = self.own.book.made_by(command) or automatic(finding, verdict, standing, now, until)
        decision = about_finding(finding, verdict, lock, standing, now)
        log.info("finding %s (%s, %r): %s: %r", finding.id, finding.detector, finding.principal, decision.choice, decision.reason)
        decision = await self._lock(decision)
        if decision.lock is not None:
            self.proving.expect_evidence(finding, now)
        return Judged(decision, new=True)

    async def _weigh(self, finding: Finding, standing: Lock | None, now: float) -> Verdict:
        """The verdict; only a finding that would lock somebody costs a look at its evidence."""
        protected = self._protected.names(now)
        weighing = Weighing(
            finding, self._memory.seconds(finding, now), self._memory, standing, protected, self._settings.breaker_limit, now
        )
        verdict = decide(weighing)
        if verdict.choice not in ("step-up", "suspend"):
            return verdict
        unproven = await self._unproven(finding)
        return verdict if not unproven else decide(weighing.without_proof(unproven))

    async def _unproven(self, finding: Finding) -> str:
        """Why a finding may lock nobody by its evidence: looked at here when its record comes at once and is small, else where nobody waits."""
        proving = self.proving
        raw = await self._sources.record_now(*finding.proof[:2]) if finding.proof is not None and not finding.unvouched else None
        if raw is not None and len(raw) <= _SMALL:
            return proving.finding(finding, raw)
        return await asyncio.to_thread(proving.finding, finding, raw)

    async def orders(self, opened: Opened) -> None:
        """Carry out what a batch of `acts` points at, as it stands on `events`: the batch itself orders nothing."""
        await self._open()
        batch = parse_batch(opened.body)
        for segment in batch.segments:
            for order in await asyncio.to_thread(self.proving.orders, batch.shard, segment, time.time()):
                await self.order(order)

    async def order(self, order: Order) -> None:
        """Carry out a person's order, keep it for a second person, withdraw what waits, or refuse it; once."""
        await self._open()
        # `acts` may bring it in the very moment in which the second look finds that it did not.
        async with self._ordering:
            judged = await self._judge(order)
        if judged.new:
            # The lock is out: now there is time to ask whether it holds anybody. Every asker gets this one answer.
            judged = Judged(await self._seen.marked(judged.decision), new=True)
        await self.tell([judged])

    async def _judge(self, order: Order) -> Judged:
        command = order.lock.command
        if (told := self._memory.told(command)) is not None:
            return Judged(told, new=False)
        now = time.time()
        owners = {*self._memory.owners(order.lock.subject), *([order.principal] if order.principal else [])}
        made = self.own.book.made_by(command)
        ruling = self._rule(order, owners, now) if made is None else Ruling(made.reason, lock=made)
        decision = about_order(order, ruling, next(iter(sorted(owners)), None), now)
        log.info("order %r about %r by %r: %s: %r", command, order.lock.subject, order.lock.by, decision.choice, decision.reason)
        return Judged(await self._lock(decision), new=True)

    def _known(self, command: str) -> bool:
        """Whether a command was decided, as far as book and memory go."""
        return self._memory.told(command) is not None or self.own.book.made_by(command) is not None

    def _rule(self, order: Order, owners: set[str], now: float) -> Ruling:
        guarded = sorted(owners & self._protected.names(now))
        why = f"{guarded[0]} is protected: two people decide" if guarded else ""
        standing = self.own.book.get(order.lock.subject)
        first = waiting(self._memory.first(standing if order.confirm and standing is not None else order.lock), now)
        waits = tuple(one for one in self._memory.firsts(order.lock.subject) if waiting(one, now) is not None)
        return rule(order, Situation(standing, first, why, now, self._settings.two_people_minutes * 60, waits))

    async def _carry_out(self, decision: Decision) -> None:
        await self.tell([Judged(await self._lock(decision), new=True)])

    async def _lock(self, decision: Decision) -> Decision:
        """The lock into the history and onto the topic, where it was not yet; the decision with it as it was written."""
        lock = decision.lock
        if lock is not None and self.own.book.made_by(lock.command) is None:
            decision = msgspec.structs.replace(decision, lock=await self.own.writer.write(lock, decision))
        # If we crash here, the message comes again, the book holds the lock of this command, and only the telling is done.
        self._memory.put(decision)
        return decision

    async def tell(self, judged: Sequence[Judged]) -> None:
        """On topic `decisions`, then in the history, all of them together. An error must end the process: the memory knows them already."""
        for sent in [await self._send(DECISIONS, d.subject, encode_json(d)) for d, new in judged if new]:
            await sent
        # If we crash here, the messages come again, the memory knows the decisions, and only the history gets them.
        if judged:
            await asyncio.to_thread(self._write_down_all, judged)

    async def _send(self, topic: str, key: str, body: bytes) -> Awaitable[object]:
        # One at a time: readers refuse a number below one that they have seen, and both lanes tell.
        async with self._telling:
            writer = self.own.writer
            writer.check()
            return await self._outlet.send(topic, key.encode(), self._signer.sign(topic, key.encode(), writer.numbers.next(), body))

    def _write_down_all(self, judged: Sequence[Judged]) -> None:
        for one in judged:
            decision = one.decision
            about = Resource("finding", decision.findings[0]) if decision.findings else resource_of(decision.subject)
            text = cut(f"{decision.choice}: {decision.reason}", MAX_TEXT)
            self._recorder.record("incident.decide", actor=ME, resource=about, why=Why(text=text), attrs=event_attrs(decision))

    async def _open(self) -> None:
        """Before the first word of ours: what the topic lacks of the book."""
        if self.own.opened:
            return
        async with self._opening:
            lacking = await self.own.open()
        await self._find(self.watching.restored(lacking, time.time()))

    async def tick(self, now: float) -> None:
        """Expiry, what the topic lost, what the ledger has, and the heartbeat. Gateways deny when it stays away."""
        if self._own is None or now < self._beat_at:
            return
        self._beat_at = now + _HEARTBEAT_S
        await self._in_turn(self._beat(now))

    async def _in_turn(self, work: Awaitable[None]) -> None:
        """Work of the owner's own. Who loses its turn meanwhile leaves the rest to the next owner; NotTheOwner for who was never told that it lost it."""
        own = self._own
        try:
            await work
        except NotTheOwner:
            if self._own is own:
                raise
            log.info("the turn was over before the work was")

    async def _beat(self, now: float) -> None:
        await self._open()
        for lock in self.own.book.expired(now):
            policy = {"expiry": f"an automatic lock ends after {self._settings.lock_minutes:g} minutes unless somebody confirms it"}
            await self._carry_out(about_lock(lock, next(iter(self._memory.owners(lock.subject)), None), policy, now))
        if self.own.certain:
            await self.own.writer.beat(now)

    async def watch(self, mirror: Mirror | None, now: float) -> None:
        """Beside the heartbeat: repair what the topic lost, take in what the ledger has, and tell what does not fit."""
        if self._own is None or not self._own.opened:
            return
        await self._in_turn(self._look(mirror, now))

    async def _look(self, mirror: Mirror | None, now: float) -> None:
        found, orders = await self.watching.look(mirror.seen if mirror else None, now)
        await self._find(found)
        for order in orders:
            if self._known(order.lock.command):
                continue
            await self._find([not_brought(order, now)])
            # If we crash here, the next owner finds the order again, and tells it under the same id.
            await self.order(order)

    async def _find(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            log.error("finding %s %s: %s", finding.id, finding.detector, finding.text)
            await (await self._send(FINDINGS, finding.principal, encode_json(finding)))
            await asyncio.to_thread(record_told, self._recorder, finding, ME)

    @property
    def newest(self) -> Number:
        """The highest number that was written or read; for tests and logs."""
        return self.own.topic.newest


class Lane:
    """BatchJob on one of the two topics."""

    def __init__(self, responder: Responder, topic: str, handle: Callable[[Responder, Opened], Awaitable[list[Judged]]]) -> None:
        self._responder, self._topic, self._handle = responder, topic, handle

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:  # noqa: ARG002 - the port's
        """On from where the group stood: commands are idempotent, so a repeat does nothing."""
        self._responder.load()
        return {}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Never asked for."""

    def revoked(self, partitions: Collection[int]) -> None:  # noqa: ARG002 - the port's
        """Both topics have one partition each, and Kafka gives them away together: who lost one writes nothing more."""
        self._responder.lose()

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        async def commit() -> None:
            judged: list[Judged] = []
            for message in messages:
                try:
                    judged += await self._handle(self._responder, self._responder.open_message(self._topic, message))
                except ParseError as error:
                    log.error("topic %s, offset %d decides nothing: %s", self._topic, message.offset, error)
            await self._responder.tell(judged)

        return commit

    async def tick(self, now: float) -> None:
        """The heartbeat is the shell's own: a long batch must not hold it up."""

    async def stop(self) -> None:
        """Nothing is held back."""


class Ticking(Lane):
    """The lane that beats as well."""

    def __init__(self, responder: Responder, mirror: Mirror) -> None:
        super().__init__(responder, FINDINGS, _handle_finding)
        self._mirror = mirror
        self._looking: asyncio.Task[None] | None = None

    async def tick(self, now: float) -> None:
        await self._responder.tick(now)
        if self._looking is None or self._looking.done():
            if self._looking is not None:
                self._looking.result()
            self._looking = asyncio.create_task(self._responder.watch(self._mirror, now))


async def _handle_finding(responder: Responder, opened: Opened) -> list[Judged]:
    return [await responder.finding(opened)]


async def _handle_acts(responder: Responder, opened: Opened) -> list[Judged]:
    await responder.orders(opened)
    return []


def run_responder(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs responder`."""
    outlet = Outlet(settings.kafka)
    with Recorder.open(replace(agent, send_after_ms=GO_FIRST_MS)) as recorder:
        opener = opener_of(settings.log)
        sources = RealSources(settings, recorder, opener, RecordReader(settings.kafka), Store(settings.clickhouse), outlet)
        responder = Responder(settings, outlet, recorder, signer_of(agent), sources)
        mirror = Mirror(opener, lambda: connect(settings.kafka))
        try:
            lanes = {FINDINGS: Ticking(responder, mirror), ACTS: Lane(responder, ACTS, _handle_acts)}
            run_jobs("responder", settings, lanes, outlet=outlet, take=50, within_s=_WITHIN_S)
        finally:
            mirror.close()

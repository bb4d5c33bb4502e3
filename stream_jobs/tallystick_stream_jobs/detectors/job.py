"""The detectors' shell: an engine a partition, findings out, buckets kept in a compacted topic behind a fence."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tallystick_producers import Recorder
from tallystick_producers.keyring import LiveRoles, signer_of
from tallystick_producers.refused import Refused
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, VerifiedBatch, encode_json, parse_batch
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.topics import ACTS, DETECTOR_STATE, FINDINGS, VERIFIED

from ..collector import SWEEP_EVERY_S, calm_collector, set_aside, sweep
from ..errors import SnapshotFenced
from ..fence import claim_fence
from ..patience import PatientOpener, wait_for_role
from ..shell import GO_FIRST_MS, BatchJob, Message, Outlet, Voice, run_jobs
from ..triage.desk import Desk, open_desk
from ..triage.feedback import FeedbackLane, Told, store_books
from . import COMPILED
from .adoption import PART, Adoption
from .base import Rule
from .engine import Engine
from .harvest_view import HarvestView, harvest_meta
from .heard import Heard
from .keeper import Keeper, Snapshot
from .losses import messages_missing, state_lost
from .state import Restored
from .state_topic import StateTopic
from .vouching import ScopeOf, told_by

log: Final = logging.getLogger(__name__)
_TURNS: Final = 5
"""Of the loop, in which the producer's task puts a finding on the wire: the rest of the batch may take a tenth of a second."""
_KEEP_EVERY_S: Final = 5.0
_KEEP_BYTES_S: Final = 1 << 20
"""When many buckets change they are kept less often, so that keeping takes 2 % of a core: a bucket of 40 principals is 130 kB and 2 ms."""
_KEEP_AT_LEAST_EVERY_S: Final = 60.0
"""What is read again after a crash is bounded by it."""


class Committed(NamedTuple):
    """Findings of everything before `offset` are told and recorded; `heard` is as it was there."""

    offset: int
    heard: dict[str, tuple[int, int]]


class DetectorsJob:
    """BatchJob on `verified`."""

    def __init__(self, outlet: Outlet, desk: Desk, voice: Voice, opener: Opener, keeper: Keeper) -> None:
        self._outlet, self._desk, self._voice, self._opener, self._keeper = outlet, desk, voice, opener, keeper
        self._engines: dict[int, Engine] = {}
        self._heard: dict[int, Heard] = {}
        self._next: dict[int, int] = {}
        self._committed: dict[int, Committed] = {}
        self._scope_of = told_by(opener.keyring)
        self._refused = Refused(VERIFIED)
        self._losses: list[Finding] = []
        """Found and not told yet."""
        self._keep_at = self._sweep_at = 0.0
        self._policy_recorded = False
        self._harvest = HarvestView()
        self._taking_up = threading.Lock()
        """Partitions are taken up in a thread: a policy that changes meanwhile waits, or some of them would keep the one before."""
        self._flying: list[asyncio.Task[None]] = []
        """Findings that the broker or the history may not have yet."""

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Buckets from the compacted topic, and on from the fence."""
        with self._taking_up:
            rules = self._desk.rules()
            for partition, found in self._keeper.take_up(partitions).items():
                engine, offset = _engine(rules, self._scope_of, found, partition), found.fence.offset
                self._engines[partition], self._heard[partition] = engine, Heard(found.fence.heard)
                self._desk.open(partition, found.triage)
                self._next[partition], self._committed[partition] = offset, Committed(offset, found.fence.heard)
                if found.lost:
                    self._losses.append(state_lost(partition, self._voice.fence, found.lost, time.time()))
                log.info("partition %d: on from offset %d with %d principals", partition, offset, engine.sizes()[0])
        return {partition: self._next[partition] for partition in partitions}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Old events that Kafka dropped are in the history; windows simply know less of the past."""
        log.warning("partition %d: offsets %d to %d are gone from Kafka; detection goes on after them", partition, wanted, earliest - 1)
        self._heard[partition] = Heard({})

    def revoked(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._engines.pop(partition, None)
            self._committed.pop(partition, None)
            self._keeper.release(partition)
            self._desk.close(partition)

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        """Findings go out at once; the commit waits until the broker has them and they are recorded."""
        reached: dict[int, Committed] = {}
        work: list[asyncio.Task[None]] = []
        for message in messages:
            engine = self._engines.get(message.partition)
            if engine is None:
                continue
            told = self._examine(engine, message)
            self._next[message.partition] = message.offset + 1
            reached[message.partition] = Committed(message.offset + 1, self._heard[message.partition].newest())
            if told:
                work.append(await self._tell(message, told))
                for _ in range(_TURNS):
                    await asyncio.sleep(0)

        async def commit() -> None:
            for task in work:
                await task
            # If we crash here, the batch is read again from the fence, and its findings have the same ids.
            for partition, place in reached.items():
                if partition in self._committed:
                    self._committed[partition] = place

        return commit

    async def _tell(self, message: Message, told: list[Finding]) -> asyncio.Task[None]:
        sends = []
        for finding in told:
            log.info("finding %s %s about %s (%d): %s", finding.id, finding.detector, finding.principal, finding.count, finding.text)
            sends.append(await self._say(finding))
        epoch = self._desk.epoch(message.partition)
        before = self._flying[-1] if self._flying else None

        async def settle() -> None:
            for send in sends:
                await send
            if before is not None:
                await before  # places in the spool rise
            # If we crash here, the message comes again, its findings are told again under the same ids, and then recorded.
            await asyncio.to_thread(self._desk.record, message.partition, epoch, message.offset + 1, told)

        self._flying = [task for task in self._flying if not task.done()]
        self._flying.append(asyncio.create_task(settle()))
        return self._flying[-1]

    async def _say(self, finding: Finding) -> Awaitable[Any]:
        return (await self._voice.send(self._outlet, FINDINGS, finding.principal.encode(), encode_json(finding))).sent

    def _open(self, message: Message) -> VerifiedBatch:
        """The batch that a notary made for this partition; ParseError for what is nobody's word, or came before."""
        opened = self._opener.open(VERIFIED, message.key, message.value or b"")
        batch = parse_batch(opened.body)
        if batch.partition != message.partition:
            raise ParseError(f"made for partition {batch.partition}: here its events would be counted a second time")
        missing = self._heard[message.partition].take(opened.holder.agent, opened.number)
        if missing:
            self._losses.append(messages_missing(message.partition, opened.holder.agent, opened.number, missing, time.time()))
        return batch

    def _examine(self, engine: Engine, message: Message) -> list[Finding]:
        try:
            batch = self._open(message)
        except ParseError as error:
            self._refused.note(message.key, f"partition {message.partition}, offset {message.offset}: {error}")
            return []
        try:
            found = engine.process(batch)
            set_aside()
            if (meta := harvest_meta(engine.rules)) is not None:
                found += self._harvest.take(meta, message.partition, engine.harvest())
            return self._desk.take(message.partition, message.offset, batch, found)
        except ParseError as error:
            log.error("%s, partition %d, offset %d: %s", VERIFIED, message.partition, message.offset, error)
            return []

    async def tick(self, now: float) -> None:
        if self._taking_up.acquire(blocking=False):
            try:
                self._look_at_policy(now)
            finally:
                self._taking_up.release()
        await self._tell_losses()
        if not self._policy_recorded:
            self._policy_recorded = True
            await asyncio.to_thread(self._desk.record_policy)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY_S
            sweep()
        if now >= self._keep_at:
            self._keep_at = now + _KEEP_EVERY_S
            kept = await self._keep()
            self._keep_at = now + min(max(_KEEP_EVERY_S, kept / _KEEP_BYTES_S), _KEEP_AT_LEAST_EVERY_S)

    async def _tell_losses(self) -> None:
        """What detection itself lost. If we crash before, it is found again when the same messages come, under the same id."""
        while self._losses:
            finding = self._losses[0]
            log.error("finding %s %s: %s", finding.id, finding.detector, finding.text)
            await (await self._say(finding))
            await asyncio.to_thread(self._desk.record_told, finding)
            del self._losses[0]

    def _look_at_policy(self, now: float) -> None:
        if self._desk.check(now):
            rules = self._desk.rules()
            for engine in self._engines.values():
                engine.use(rules)
            self._policy_recorded = False

    async def stop(self) -> None:
        try:
            await self._keep()
        except SnapshotFenced as error:
            log.warning("%s: nothing more is kept", error)

    async def _keep(self) -> int:
        """Triage, then the buckets that changed, then the fence. What is kept may be ahead of the fence: it knows itself what it has seen.

        So it must not be kept before its findings were told and recorded: they would not be told again. All is copied first; between two
        buckets a batch may be taken in, so that a theft does not wait for our copies: the triage is copied after the buckets, and what flies is
        listed last, so both know of everything that a bucket has seen. The bytes of the buckets come back.
        """
        copies, kept = list[tuple[int, Snapshot]](), 0
        await asyncio.to_thread(self._keeper.check, [number for number, engine in self._engines.items() if engine.dirty])
        for partition, engine in list(self._engines.items()):
            if engine.dirty:
                (offset, heard), numbers, buckets = self._committed[partition], sorted(engine.dirty), dict[int, bytes]()
                engine.dirty = set()
                for number in numbers:
                    buckets[number] = engine.snapshot(number)
                    await asyncio.sleep(0)
                kept += sum(map(len, buckets.values()))
                copies.append((partition, Snapshot(offset, heard, self._desk.snapshot(partition, self._next[partition]), buckets)))
        for task in list(self._flying):
            await task
        for partition, snapshot in copies:
            if partition not in self._engines:
                continue
            used = await self._keeper.keep(self._outlet, partition, snapshot)
            if used is not None:
                # If we crash here, the same is read on once more: what is signed by now goes before it.
                await asyncio.to_thread(self._keeper.adopted, partition, used)
        return kept


def _engine(rules: tuple[Rule, ...], scope_of: ScopeOf, found: Restored, partition: int) -> Engine:
    """The engine as it was kept."""
    engine = Engine(rules, scope_of=scope_of)
    for number, raw in found.buckets.items():
        try:
            engine.restore(number, raw)
        except ParseError as error:
            log.error("%s, partition %d, bucket %d: %s; it is left out", DETECTOR_STATE, partition, number, error)
    if found.adopted:  # so that all of it is signed with the next that is kept
        engine.dirty |= set(found.buckets)
    return engine


def run_detectors(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs detectors`."""
    calm_collector()
    log.info("rules run %s", "compiled" if COMPILED else "as they are written")
    outlet = Outlet(settings.kafka)
    with closing(LiveRoles(settings.kafka, settings.log)) as roles, Recorder.open(replace(agent, send_after_ms=GO_FIRST_MS)) as recorder:
        wait_for_role(roles, "notary")
        claim, opener = partial(claim_fence, settings.kafka, recorder, PART), PatientOpener(roles.opener)
        voice = Voice(signer_of(agent), claim(-1))
        desk = open_desk(settings.policy_file, settings.state_dir, recorder, told_by(opener.keyring))
        with closing(StateTopic(settings.kafka)) as topic:
            keeper = Keeper(topic, voice, opener, claim, Adoption(opener.keyring, recorder))
            lanes: dict[str, BatchJob] = {
                VERIFIED: DetectorsJob(outlet, desk, voice, opener, keeper),
                ACTS: FeedbackLane(
                    Path(settings.state_dir), desk.policy, store_books(settings, opener), Told(outlet, voice, recorder), opener
                ),
            }
            run_jobs("detectors", settings, lanes, outlet=outlet, take=64)

"""The detectors' shell: an engine a partition, findings out, buckets kept in a compacted topic behind a fence."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from tallystick_producers import Recorder
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, encode_json, parse_batch
from tallystick_schemas.settings import AgentSettings, JobSettings, KafkaSettings
from tallystick_schemas.topics import ACTS, DETECTOR_STATE, FINDINGS, VERIFIED

from ..shell import Message, Outlet, run_jobs
from ..triage.desk import Desk, open_desk
from ..triage.feedback import FeedbackLane, store_books
from . import COMPILED
from .base import Rule
from .collector import SWEEP_EVERY_S, calm_collector, set_aside, sweep
from .engine import Engine
from .harvest_view import HarvestView, harvest_meta

log: Final = logging.getLogger(__name__)
_TURNS: Final = 5
"""Of the loop, in which the producer's task puts a finding on the wire: the rest of the batch may take a tenth of a second."""
FENCE: Final = b"fence"
TRIAGE: Final = b"triage"
_KEEP_EVERY_S: Final = 5.0
_KEEP_BYTES_S: Final = 1 << 20
"""When many buckets change they are kept less often, so that keeping takes 2 % of a core: a bucket of 40 principals is 130 kB and 2 ms."""
_KEEP_AT_LEAST_EVERY_S: Final = 60.0
"""What is read again after a crash is bounded by it."""


class Fence(msgspec.Struct, frozen=True):
    """Everything before `offset` of the partition is in the buckets. Written after them, so that it never promises too much."""

    offset: int


class DetectorsJob:
    """BatchJob on `verified`."""

    def __init__(self, kafka: KafkaSettings, outlet: Outlet, desk: Desk) -> None:
        self._kafka, self._outlet, self._desk = kafka, outlet, desk
        self._engines: dict[int, Engine] = {}
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
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
            for partition in partitions:
                engine, offset, triage = restore_engine(self._kafka, partition, rules)
                self._engines[partition] = engine
                self._desk.open(partition, triage)
                self._next[partition] = self._committed[partition] = offset
                log.info("partition %d: on from offset %d with %d principals", partition, offset, engine.sizes()[0])
        return {partition: self._next[partition] for partition in partitions}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Old events that Kafka dropped are in the history; windows simply know less of the past."""
        log.warning("partition %d: offsets %d to %d are gone from Kafka; detection goes on after them", partition, wanted, earliest - 1)

    def revoked(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._engines.pop(partition, None)
            self._committed.pop(partition, None)
            self._desk.close(partition)

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        """Findings go out at once; the commit waits until the broker has them and they are recorded."""
        reached: dict[int, int] = {}
        work: list[asyncio.Task[None]] = []
        for message in messages:
            engine = self._engines.get(message.partition)
            if engine is None:
                continue
            told = self._examine(engine, message)
            reached[message.partition] = self._next[message.partition] = message.offset + 1
            if told:
                work.append(await self._tell(message, told))
                for _ in range(_TURNS):
                    await asyncio.sleep(0)

        async def commit() -> None:
            for task in work:
                await task
            # If we crash here, the batch is read again from the fence, and its findings have the same ids.
            for partition, offset in reached.items():
                if partition in self._committed:
                    self._committed[partition] = offset

        return commit

    async def _tell(self, message: Message, told: list[Finding]) -> asyncio.Task[None]:
        sends = []
        for finding in told:
            log.info("finding %s %s about %s (%d): %s", finding.id, finding.detector, finding.principal, finding.count, finding.text)
            sends.append(await self._outlet.send(FINDINGS, finding.principal.encode(), encode_json(finding)))
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

    def _examine(self, engine: Engine, message: Message) -> list[Finding]:
        try:
            batch = parse_batch(message.value or b"")
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

    def _look_at_policy(self, now: float) -> None:
        if self._desk.check(now):
            rules = self._desk.rules()
            for engine in self._engines.values():
                engine.use(rules)
            self._policy_recorded = False

    async def stop(self) -> None:
        await self._keep()

    async def _keep(self) -> int:
        """Triage, then the buckets that changed, then the fence. What is kept may be ahead of the fence: it knows itself what it has seen.

        So it must not be kept before its findings were told and recorded: they would not be told again. All is copied first; between two
        buckets a batch may be taken in, so that a theft does not wait for our copies: the triage is copied after the buckets, and what flies is
        listed last, so both know of everything that a bucket has seen. The bytes of the buckets come back.
        """
        copies, kept = [], 0
        for partition, engine in list(self._engines.items()):
            if engine.dirty:
                offset, numbers, buckets = self._committed[partition], sorted(engine.dirty), {}
                engine.dirty = set()
                for number in numbers:
                    buckets[number] = engine.snapshot(number)
                    await asyncio.sleep(0)
                kept += sum(map(len, buckets.values()))
                copies.append((partition, offset, self._desk.snapshot(partition, self._next[partition]), buckets))
        for task in list(self._flying):
            await task
        for partition, offset, triage, buckets in copies:
            if partition not in self._engines:
                continue
            # If we crash here, messages up to the triage's offset come again and are not told again.
            await (await self._outlet.send(DETECTOR_STATE, TRIAGE, triage, partition))
            sends = [await self._outlet.send(DETECTOR_STATE, str(number).encode(), raw, partition) for number, raw in buckets.items()]
            for send in sends:
                await send
            await (await self._outlet.send(DETECTOR_STATE, FENCE, msgspec.json.encode(Fence(offset)), partition))
        return kept


def restore_engine(kafka: KafkaSettings, partition: int, rules: tuple[Rule, ...]) -> tuple[Engine, int, bytes | None]:
    """The engine as it was kept, the offset of `verified` to go on from, and the triage."""
    engine, offset, triage = Engine(rules), 0, None
    for key, value in read_compacted(kafka, DETECTOR_STATE, partition).items():
        try:
            if key == FENCE:
                offset = msgspec.json.decode(value, type=Fence).offset
            elif key == TRIAGE:
                triage = value
            elif key.isdigit():
                engine.restore(int(key), value)
        except (ParseError, msgspec.MsgspecError) as error:
            log.error("%s, partition %d, key %r: %s; it is left out", DETECTOR_STATE, partition, key, error)
    return engine, offset, triage


def read_compacted(kafka: KafkaSettings, topic: str, partition: int) -> dict[bytes, bytes]:
    """The newest value of each key of a partition, read to its end as it is now."""
    newest: dict[bytes, bytes] = {}
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=16 << 20)
    try:
        assigned = TopicPartition(topic, partition)
        consumer.assign([assigned])
        end = consumer.end_offsets([assigned])[assigned]
        consumer.seek_to_beginning(assigned)
        while consumer.position(assigned) < end:
            for record in consumer.poll(timeout_ms=500).get(assigned, []):
                if record.key is not None:
                    newest[record.key] = record.value or b""
    finally:
        consumer.close()
    return {key: value for key, value in newest.items() if value}


def run_detectors(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs detectors`."""
    calm_collector()
    log.info("rules run %s", "compiled" if COMPILED else "as they are written")
    outlet = Outlet(settings.kafka)
    with Recorder.open(agent) as recorder:
        desk = open_desk(settings.policy_file, settings.state_dir, recorder)
        feedback = FeedbackLane(Path(settings.state_dir), desk.policy, store_books(settings), outlet, recorder)
        run_jobs("detectors", settings, {VERIFIED: DetectorsJob(settings.kafka, outlet, desk), ACTS: feedback}, outlet=outlet, take=64)

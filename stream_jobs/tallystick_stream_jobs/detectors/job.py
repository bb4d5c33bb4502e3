"""The detectors' shell: an engine a partition, findings out, buckets kept in a compacted topic behind a fence."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from tallystick_schemas.drills import drill_of
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, encode_json, parse_batch
from tallystick_schemas.settings import JobSettings, KafkaSettings
from tallystick_schemas.topics import DETECTOR_STATE, FINDINGS, VERIFIED

from ..shell import Message, Outlet, run_job
from .engine import Engine

log: Final = logging.getLogger(__name__)
FENCE: Final = b"fence"
_KEEP_EVERY_S: Final = 5.0


class Fence(msgspec.Struct, frozen=True):
    """Everything before `offset` of the partition is in the buckets. Written after them, so that it never promises too much."""

    offset: int


class DetectorsJob:
    """BatchJob on `verified`."""

    def __init__(self, kafka: KafkaSettings, outlet: Outlet) -> None:
        self._kafka, self._outlet = kafka, outlet
        self._engines: dict[int, Engine] = {}
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._keep_at = 0.0
        self._flying: list[Awaitable[Any]] = []
        """Findings that the broker may not have yet."""

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Buckets from the compacted topic, and on from the fence."""
        for partition in partitions:
            engine, offset = restore_engine(self._kafka, partition)
            self._engines[partition] = engine
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

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        """Findings go out at once; the commit waits until the broker has them."""
        sends: list[Awaitable[Any]] = []
        reached: dict[int, int] = {}
        for message in messages:
            engine = self._engines.get(message.partition)
            if engine is None:
                continue
            for finding in self._examine(engine, message):
                told = msgspec.structs.replace(finding, emitted_ms=int(time.time() * 1000), drill=drill_of(finding.principal))
                log.info("finding %s %s about %s: %s", told.id, told.detector, told.principal, told.text)
                sends.append(await self._outlet.send(FINDINGS, told.principal.encode(), encode_json(told)))
            reached[message.partition] = message.offset + 1
        self._flying += sends

        async def commit() -> None:
            for send in sends:
                await send
            self._flying = [send for send in self._flying if send not in sends]
            # If we crash here, the batch is read again from the fence, and its findings have the same ids.
            for partition, offset in reached.items():
                if partition in self._committed:
                    self._committed[partition] = offset

        return commit

    def _examine(self, engine: Engine, message: Message) -> list[Finding]:
        try:
            return engine.process(parse_batch(message.value or b""))
        except ParseError as error:
            log.error("%s, partition %d, offset %d: %s", VERIFIED, message.partition, message.offset, error)
            return []

    async def tick(self, now: float) -> None:
        if now >= self._keep_at:
            self._keep_at = now + _KEEP_EVERY_S
            await self._keep()

    async def stop(self) -> None:
        await self._keep()

    async def _keep(self) -> None:
        """Buckets that changed, then the fence. A bucket may be ahead of the fence: it knows itself what it has seen.

        So it must not be kept before the findings of what it has seen: they would not be told again.
        """
        for send in list(self._flying):
            await send
        for partition, engine in list(self._engines.items()):
            if not engine.dirty:
                continue
            offset, numbers = self._committed[partition], sorted(engine.dirty)
            engine.dirty = set()
            sends = [
                await self._outlet.send(DETECTOR_STATE, str(number).encode(), engine.snapshot(number), partition) for number in numbers
            ]
            for send in sends:
                await send
            await (await self._outlet.send(DETECTOR_STATE, FENCE, msgspec.json.encode(Fence(offset)), partition))


def restore_engine(kafka: KafkaSettings, partition: int) -> tuple[Engine, int]:
    """The engine as it was kept, and the offset of `verified` to go on from."""
    engine, offset = Engine(), 0
    for key, value in read_compacted(kafka, DETECTOR_STATE, partition).items():
        try:
            if key == FENCE:
                offset = msgspec.json.decode(value, type=Fence).offset
            elif key.isdigit():
                engine.restore(int(key), value)
        except (ParseError, msgspec.MsgspecError) as error:
            log.error("%s, partition %d, key %r: %s; it is left out", DETECTOR_STATE, partition, key, error)
    return engine, offset


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


def run_detectors(settings: JobSettings) -> None:
    """The process: `tallystick jobs detectors`."""
    outlet = Outlet(settings.kafka)
    run_job("detectors", VERIFIED, settings, DetectorsJob(settings.kafka, outlet), outlet=outlet, take=64)

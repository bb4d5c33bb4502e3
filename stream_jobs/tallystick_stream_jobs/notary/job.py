"""The notary's shell: one ShardNotary per assigned partition, `verified` sent at once, inserts that gather what waits, then receipts."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import clickhouse_connect

from tallystick_producers.keyring import read_opener, signer_of
from tallystick_schemas.errors import FoldError
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.topics import ACTS, EVENTS, RECEIPTS, VERIFIED

from ..errors import JobError, ShardGoesOn, StoreWentBack
from ..shell import Message, Outlet, Voice, run_job
from .core import Batch
from .events_topic import EventsTopic, KafkaEvents
from .ledger import ClickHouseLedger, Ledger, Rows
from .shards import Shards
from .snapshots import SNAPSHOT_SIGNERS, Snapshots

log = logging.getLogger(__name__)
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
MAX_INSERT_EVENTS = 40_000
TAKE = 64
MAX_FLYING = 256 * TAKE
MAX_FLYING_BYTES = 128 << 20
"""Records that are folded and not stored yet, so that memory has a bound. From there on the fold waits for the store, and `verified` with it: bytes are
what memory holds, and a bound on records that a second of small garbage reaches would have everybody's orders wait (docs/adr/0039)."""
_INSERT_EVERY_S = 0.3
"""While events flow, at the least. A part of a few hundred rows costs the store as much to write, sync and merge as one of thousands."""
_INSERT_TIMES = 4
"""From one insert to the next it takes so many times as long as the one before took: where all is slow, there are fewer of them."""
_MOST_BETWEEN_S = 2.0
_LOOK_S = 5.0
"""Between two looks whether the store still holds what was inserted. After a failed insert it is looked at as well."""
_TELL_S = 60.0
_RECEIPTS = 512
"""In one message, about 300 bytes each."""


class Pending:
    """A folded batch on its way into the store."""

    def __init__(self, batches: list[Batch], sends: list[Awaitable[Any]], records: int, size: int) -> None:
        """`size`: bytes of the records."""
        self.batches, self.sends, self.records, self.size, self.done = batches, sends, records, size, False
        self.events = sum(batch.event_count for batch in batches)


class NotaryJob:
    """BatchJob on `events`."""

    def __init__(
        self,
        settings: JobSettings,
        ledger: Ledger,
        outlet: Outlet,
        topic: EventsTopic,
        voice: Voice,
        snapshots: Snapshots,
    ) -> None:
        self._ledger, self._outlet, self._voice = ledger, outlet, voice
        self._shards = Shards(settings.log, ledger, snapshots, topic)
        self._pending: deque[Pending] = deque()
        self._pending_events = 0
        self._much, self._landed = asyncio.Event(), asyncio.Event()
        self._flying = self._flying_bytes = 0
        self._insert_at, self._tell_at = 0.0, 0.0
        self._look_at = time.monotonic() + _LOOK_S

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Where to read on: see `Shards`."""
        return self._shards.start(partitions)

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """See `Shards`."""
        self._shards.gone(partition, wanted, earliest)

    def revoked(self, partitions: Collection[int]) -> None:
        for shard in partitions:
            self._shards.forget(shard)

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        """Fold, send `verified` without waiting for the store, and hand back the commit."""
        while self._fills(1):
            self._landed.clear()
            await self._landed.wait()
        by_shard: dict[int, list[tuple[int, int, bytes]]] = {}
        for message in messages:
            by_shard.setdefault(message.partition, []).append((message.offset, message.timestamp_ms, message.value or b""))
        batches = [batch for shard, records in by_shard.items() if (batch := await self._shards.fold(shard, records)) is not None]
        verified = [message for batch in batches for message in batch.outbound.messages(batch.shard)]
        acts = [(0, act) for batch in batches if (act := batch.outbound.act_message(batch.shard)) is not None]
        said = [
            *await self._voice.send_counted(self._outlet, VERIFIED, verified),
            *await self._voice.send_counted(self._outlet, ACTS, acts),
        ]
        sends = [one.sent for one in said]
        pending = Pending(batches, sends, len(messages), sum(len(message.value or b"") for message in messages))
        self._pending.append(pending)
        self._pending_events += pending.events
        self._fly(pending.records, pending.size)
        if self._is_much():
            self._much.set()
        return lambda: self._commit(pending)

    async def _commit(self, pending: Pending) -> None:
        """Store this batch and all that gathered behind it in one insert, then say so to the agents."""
        if pending.done:
            return
        await self._gather()
        taken: list[Pending] = []
        events = 0
        while self._pending and (not taken or events < MAX_INSERT_EVENTS):
            taken.append(self._pending.popleft())
            events += taken[-1].events
        self._pending_events -= events
        # `verified` first: if we crash between the two, detectors see the batch twice and drop the second;
        # the other way round they would never see it.
        await asyncio.gather(*(send for one in taken for send in one.sends))
        began = time.monotonic()
        await self._insert([batch for one in taken for batch in one.batches])
        self._insert_at = began + min(_MOST_BETWEEN_S, max(_INSERT_EVERY_S, _INSERT_TIMES * (time.monotonic() - began)))
        # If we crash here, the agents send again what has no receipt, and the fold calls it seen.
        await self._give_receipts([receipt for one in taken for batch in one.batches for receipt in batch.receipts])
        for one in taken:
            one.done = True
            self._fly(-one.records, -one.size)
        self._landed.set()

    async def _give_receipts(self, receipts: list[Receipt]) -> None:
        """One signature for those of one agent."""
        by_agent: dict[str, list[Receipt]] = {}
        for receipt in receipts:
            by_agent.setdefault(receipt.agent, []).append(receipt)
        sends = []
        for agent, its in by_agent.items():
            key = agent.encode()
            for first in range(0, len(its), _RECEIPTS):
                body = encode_receipts(its[first : first + _RECEIPTS])
                sends.append((await self._voice.send(self._outlet, RECEIPTS, key, body)).sent)
        await asyncio.gather(*sends)

    async def _gather(self) -> None:
        """Only receipts wait for it: what comes after a silence goes at once."""
        wait = self._insert_at - time.monotonic()
        if wait > 0 and not self._is_much():
            self._much.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._much.wait(), wait)

    def _fly(self, records: int, size: int) -> None:
        self._flying += records
        self._flying_bytes += size

    def _fills(self, share: int) -> bool:
        """Whether what flies fills one of so many parts of what may fly."""
        return self._flying >= MAX_FLYING // share or self._flying_bytes >= MAX_FLYING_BYTES // share

    def _is_much(self) -> bool:
        """Events, or what flies: garbage has no events, and must not keep the fold waiting for an insert that waits for more."""
        return self._fills(2) or self._pending_events >= MAX_INSERT_EVENTS // 2

    async def _insert(self, batches: list[Batch]) -> None:
        """Until it succeeds: a store that is away for a minute delays receipts and nothing else."""
        whole = [batch for batch in batches if batch.entries]
        rows = Rows(*([piece for batch in batches for piece in getattr(batch, name)] for name in Rows._fields))
        attempt = 0
        while True:
            try:
                if attempt or time.monotonic() >= self._look_at:
                    await asyncio.to_thread(self._check_store, whole)
                    self._look_at = time.monotonic() + _LOOK_S
                await asyncio.to_thread(self._ledger.insert, rows)
                return
            except (FoldError, JobError):
                raise
            except Exception as error:  # noqa: BLE001  # whatever the client raises, the only right answer is to try again, and to say so
                wait = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.warning("insert failed (%s: %s); again in %.1f s", type(error).__name__, str(error)[:300], wait)
                attempt += 1
                await asyncio.sleep(wait)

    def _check_store(self, batches: list[Batch]) -> None:
        """StoreWentBack when the ledger lost what these entries stand on: they would leave a gap."""
        first: dict[int, int] = {}
        for batch in batches:
            first.setdefault(batch.shard, batch.first)
        for shard, index in first.items():
            tip = self._ledger.tip(shard)
            held = -1 if tip is None else tip.index
            if held < index - 1:
                raise StoreWentBack(shard, held, index - 1)

    async def tick(self, now: float) -> None:
        """Look whether a shard that stands still can go on, and say now and then what was not kept.

        Where to read on is said to Kafka's client at a start alone, so the process begins anew; it reads on where the ledger ends.
        """
        if self._shards.standing.due(now) and (shards := await asyncio.to_thread(self._shards.standing.look, now)):
            raise ShardGoesOn(shards)
        if now >= self._tell_at:
            self._tell_at = now + _TELL_S
            for shard, notary in self._shards.running.items():
                records, size = notary.keeping.take_left_out()
                if records:
                    log.warning(
                        "shard %d: the bytes of %d rejected records (%d bytes) are not kept; their entries are", shard, records, size
                    )

    async def stop(self) -> None:
        log.info("notary stopped at %s", time.strftime("%H:%M:%S"))


def run_notary(settings: JobSettings, agent: AgentSettings) -> None:
    """The process: `tallystick jobs notary`."""
    # Numbers show whoever reads what is missing of one run; what stands where is the ledger's index, so a clock that was set back hides nothing.
    signer = signer_of(agent)
    voice = Voice(signer, int(time.time() * 1000))
    snapshots = Snapshots(signer, lambda: read_opener(settings.kafka, settings.log, SNAPSHOT_SIGNERS))
    client = clickhouse_connect.get_client(**settings.clickhouse.client_kwargs(), compress=False)
    outlet = Outlet(settings.kafka)
    topic = KafkaEvents(settings.kafka, settings.log.shards)
    job = NotaryJob(settings, ClickHouseLedger(client), outlet, topic, voice, snapshots)
    run_job("notary", EVENTS, settings, job, outlet=outlet, take=TAKE, max_in_flight=MAX_FLYING)

"""The notary's shell: one ShardNotary per assigned partition, `verified` sent at once, inserts that gather what waits, then receipts."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import clickhouse_connect

from tallystick_producers.keyring import read_opener, signer_of
from tallystick_schemas.errors import FoldError, OffsetsMissing
from tallystick_schemas.fold import Parameters
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.settings import AgentSettings, JobSettings
from tallystick_schemas.topics import ACTS, EVENTS, RECEIPTS, VERIFIED

from ..shell import Message, Outlet, Voice, run_job
from .core import Batch, ShardNotary
from .generations import current_topic_id, generation_of
from .ledger import ClickHouseLedger, Ledger, Rows
from .restore import restore
from .snapshots import SNAPSHOT_SIGNERS, Snapshots

log = logging.getLogger(__name__)
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
MAX_INSERT_EVENTS = 40_000
TAKE = 64
MAX_FLYING = 32 * TAKE
"""Records that are folded and not stored yet, so that memory has a bound. From there on the fold waits for the store, and `verified` with it."""
_INSERT_EVERY_S = 0.3
"""While events flow, at the least. A part of a few hundred rows costs the store as much to write, sync and merge as one of thousands."""
_INSERT_TIMES = 4
"""From one insert to the next it takes so many times as long as the one before took: where all is slow, there are fewer of them."""
_MOST_BETWEEN_S = 2.0
_RECEIPTS = 512
"""In one message, about 300 bytes each."""


class Pending:
    """A folded batch on its way into the store."""

    def __init__(self, batches: list[Batch], sends: list[Awaitable[Any]], records: int) -> None:
        self.batches, self.sends, self.records, self.done = batches, sends, records, False

    @property
    def events(self) -> int:
        return sum(batch.event_count for batch in self.batches)


class NotaryJob:
    """BatchJob on `events`."""

    def __init__(
        self, settings: JobSettings, ledger: Ledger, outlet: Outlet, topic_id: Callable[[], str], voice: Voice, snapshots: Snapshots
    ) -> None:
        self._settings, self._ledger, self._outlet, self._topic_id = settings, ledger, outlet, topic_id
        self._voice, self._snapshots = voice, snapshots
        self._shards: dict[int, ShardNotary] = {}
        self._pending: list[Pending] = []
        self._much, self._landed = asyncio.Event(), asyncio.Event()
        self._flying = 0
        self._insert_at = 0.0

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Where to read on is what the ledger says: the offset after its last entry, or the beginning of a topic made anew."""
        topic_id = self._topic_id()
        wanted: dict[int, int] = {}
        for shard in partitions:
            log_settings = self._settings.log
            parameters = Parameters.of(shard, log_settings.origin(shard), log_settings.operator_keys, log_settings.sealer_keys)
            fold = restore(self._ledger, parameters, self._snapshots.open)
            made_anew = fold.state.generation >= 0 and generation_of(self._ledger, fold.state, shard) != topic_id
            if made_anew:
                self._ledger.drop_orphans(shard, fold.state.index)
            self._shards[shard] = ShardNotary(fold, self._ledger.accepted_header, self._snapshots.sign)
            wanted[shard] = 0 if made_anew else fold.state.offset + 1
        return wanted

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Kafka no longer holds what comes after the ledger's last entry."""
        raise OffsetsMissing(partition, wanted, earliest - 1)

    def revoked(self, partitions: Collection[int]) -> None:
        for shard in partitions:
            self._shards.pop(shard, None)

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        """Fold, send `verified` without waiting for the store, and hand back the commit."""
        while self._flying >= MAX_FLYING:
            self._landed.clear()
            await self._landed.wait()
        by_shard: dict[int, list[tuple[int, int, bytes]]] = {}
        for message in messages:
            by_shard.setdefault(message.partition, []).append((message.offset, message.timestamp_ms, message.value or b""))
        batches = [self._shards[shard].process(records) for shard, records in by_shard.items() if shard in self._shards]
        verified = [message for batch in batches for message in batch.outbound.messages(batch.shard)]
        acts = [(0, act) for batch in batches if (act := batch.outbound.act_message(batch.shard)) is not None]
        said = [
            *await self._voice.send_counted(self._outlet, VERIFIED, verified),
            *await self._voice.send_counted(self._outlet, ACTS, acts),
        ]
        sends = [one.sent for one in said]
        pending = Pending(batches, sends, len(messages))
        self._pending.append(pending)
        self._flying += pending.records
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
            taken.append(self._pending.pop(0))
            events += taken[-1].events
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
            self._flying -= one.records
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

    def _is_much(self) -> bool:
        return sum(one.events for one in self._pending) >= MAX_INSERT_EVENTS // 2

    async def _insert(self, batches: list[Batch]) -> None:
        """Until it succeeds: a store that is away for a minute delays receipts and nothing else."""
        rows = Rows(*([piece for batch in batches for piece in getattr(batch, name)] for name in Rows._fields))
        attempt = 0
        while True:
            try:
                await asyncio.to_thread(self._ledger.insert, rows)
                return
            except FoldError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever the client raises, the only right answer is to try again, and to say so
                wait = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.warning("insert failed (%s: %s); again in %.1f s", type(error).__name__, str(error)[:300], wait)
                attempt += 1
                await asyncio.sleep(wait)

    async def tick(self, now: float) -> None:
        """Nothing to do between batches."""

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
    job = NotaryJob(settings, ClickHouseLedger(client), outlet, lambda: current_topic_id(settings.kafka, EVENTS), voice, snapshots)
    run_job("notary", EVENTS, settings, job, outlet=outlet, take=TAKE, max_in_flight=MAX_FLYING)

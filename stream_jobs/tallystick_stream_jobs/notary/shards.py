"""The shards of one notary: each restored from the ledger by itself, so that one that cannot go on does not stop the others.

One that stands still is looked at again by itself; `changed` says whether what stopped it is otherwise (docs/adr/0040)."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from tallystick_schemas.errors import OffsetsMissing, RulesUnknown
from tallystick_schemas.fold import Parameters
from tallystick_schemas.settings import LogSettings

from ..errors import KafkaDiffers, KafkaWentBack, LedgerDisagrees
from .continuity import PATIENCE_S, Continuity
from .core import Batch, ShardNotary
from .events_topic import EventsTopic
from .gaps import Above, below_gap
from .generations import generation_of
from .ledger import Ledger
from .restore import restore
from .snapshots import Snapshots
from .standing import Standing

log = logging.getLogger(__name__)


def _never() -> bool:
    """What only another version, or a topic that is made anew, can change."""
    return False


class Shards:
    """`running`: the shards that go on; `standing`: those that do not."""

    def __init__(self, settings: LogSettings, ledger: Ledger, snapshots: Snapshots, topic: EventsTopic) -> None:
        self._settings, self._ledger, self._snapshots, self._topic = settings, ledger, snapshots, topic
        self._topic_id = ""
        self.running: dict[int, ShardNotary] = {}
        self.standing = Standing()
        self._continuity = Continuity(ledger, topic)
        self._patient_until = 0.0
        self._above: dict[int, Above] = {}
        """Those whose gap is being filled."""

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Where to read on is what the ledger says: the offset after its last entry below any gap, or the beginning of a topic made anew.

        A shard that cannot go on is told and stands still; the others do not wait for it.
        """
        self._topic_id = self._topic.id()
        self._patient_until = time.monotonic() + PATIENCE_S
        wanted: dict[int, int] = {}
        for shard in partitions:
            self.forget(shard)
            try:
                wanted[shard] = self._begin(shard)
            except LedgerDisagrees as error:
                self._stand_still(shard, error, self._continuity.row_changes(shard, error.index))
            except RulesUnknown as error:
                self._stand_still(shard, error, _never)
            except (KafkaWentBack, KafkaDiffers) as error:
                self._stand_still(shard, error, partial(self._continuity.goes_on, shard, error.offset, error.index))
        return wanted

    def _begin(self, shard: int) -> int:
        """Restore the shard's fold; the offset to read from."""
        log_settings, ledger = self._settings, self._ledger
        parameters = Parameters.of(shard, log_settings.origin(shard), log_settings.operator_keys, log_settings.sealer_keys)
        gap, tip = ledger.lowest_gap(shard), ledger.tip(shard)
        fold = restore(ledger if gap is None else below_gap(ledger), parameters, self._snapshots.open)
        made_anew = fold.state.generation >= 0 and generation_of(ledger, fold.state, shard) != self._topic_id
        if made_anew:
            if gap is not None:
                raise LedgerDisagrees(shard, gap, "entries are missing here, and the topic that had their records was made anew")
            ledger.drop_orphans(shard, fold.state.index)
        else:
            self._continuity.check(shard, fold.state.offset, fold.state.index, self._patient_until)
        if gap is not None and tip is not None:
            log.warning("shard %d: entries are missing from index %d on, below %d; filled again from Kafka", shard, gap, tip.index)
            self._above[shard] = Above(ledger, shard, fold.state.index + 1, tip.index)
        self.running[shard] = ShardNotary(fold, ledger.accepted_header, self._snapshots.sign, ledger.kept(shard, fold.state.index))
        return 0 if made_anew else fold.state.offset + 1

    def gone(self, shard: int, wanted: int, earliest: int) -> None:
        """Kafka no longer holds what comes after the ledger's last entry, or what fills its gap."""
        if shard in self.running:
            index = self.running[shard].fold.state.index + 1
            self._stand_still(
                shard, OffsetsMissing(shard, wanted, earliest - 1), partial(self._continuity.comes_back, shard, wanted, index)
            )

    def _stand_still(self, shard: int, error: Exception, changed: Callable[[], bool]) -> None:
        log.error("shard %d stands still, the others go on: %s; it is looked at again by itself", shard, error)
        self.forget(shard)
        self.standing.put(shard, lambda: self._topic.id() != self._topic_id or changed(), time.time())

    def forget(self, shard: int) -> None:
        self.running.pop(shard, None)
        self._above.pop(shard, None)
        self.standing.forget(shard)

    async def fold(self, shard: int, records: Iterable[tuple[int, int, bytes]]) -> Batch | None:
        """What the records of a shard give; None for one that stands still."""
        if shard not in self.running:
            return None
        notary = self.running[shard]
        batch = notary.process(records)
        if notary.stopped is not None:
            # The record is in Kafka and in no ledger: another version folds it, or a topic that is made anew does not have it.
            self._stand_still(shard, notary.stopped, _never)
        if shard in self._above and not await asyncio.to_thread(self._fits_above, batch):
            return None
        return batch

    def _fits_above(self, batch: Batch) -> bool:
        """Whether what fills a gap agrees with what stands above it; where it does not, nothing of it is sent or stored."""
        above = self._above.get(batch.shard)
        if above is None:
            return True
        try:
            above.check(batch.entries)
        except LedgerDisagrees as error:
            self._stand_still(batch.shard, error, self._continuity.row_changes(batch.shard, error.index))
            return False
        if above.passed:
            log.warning("shard %d: the gap is filled, and what stood above it agrees", batch.shard)
            del self._above[batch.shard]
        return True

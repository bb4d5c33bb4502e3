"""The shards of one notary: each restored from the ledger by itself, so that one that cannot go on does not stop the others."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from tallystick_schemas.fold import Parameters
from tallystick_schemas.settings import LogSettings

from ..errors import KafkaWentBack, LedgerDisagrees
from .core import Batch, ShardNotary
from .gaps import Above, below_gap
from .generations import generation_of
from .ledger import Ledger
from .restore import restore
from .snapshots import Snapshots

log = logging.getLogger(__name__)
_ENDS_WAIT_S = 1.0
_PATIENCE_S = 10.0
"""For which a broker that has just begun may say that it holds less than it does."""


class Shards:
    """`running`: the shards that go on. `topic_id` and `ends` (the offset after each partition's newest record) ask Kafka."""

    def __init__(
        self,
        settings: LogSettings,
        ledger: Ledger,
        snapshots: Snapshots,
        topic_id: Callable[[], str],
        ends: Callable[[], Mapping[int, int]],
    ) -> None:
        self._settings, self._ledger, self._snapshots = settings, ledger, snapshots
        self._topic_id, self._ends = topic_id, ends
        self.running: dict[int, ShardNotary] = {}
        self._patient_until = 0.0
        self._above: dict[int, Above] = {}
        """Those whose gap is being filled."""

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Where to read on is what the ledger says: the offset after its last entry below any gap, or the beginning of a topic made anew.

        A shard that cannot go on is told and stands still; the others do not wait for it.
        """
        topic_id = self._topic_id()
        self._patient_until = time.monotonic() + _PATIENCE_S
        wanted: dict[int, int] = {}
        for shard in partitions:
            self.forget(shard)
            try:
                wanted[shard] = self._begin(shard, topic_id)
            except (LedgerDisagrees, KafkaWentBack) as error:
                self.stand_still(shard, error)
        return wanted

    def _begin(self, shard: int, topic_id: str) -> int:
        """Restore the shard's fold; the offset to read from."""
        log_settings, ledger = self._settings, self._ledger
        parameters = Parameters.of(shard, log_settings.origin(shard), log_settings.operator_keys, log_settings.sealer_keys)
        gap, tip = ledger.lowest_gap(shard), ledger.tip(shard)
        fold = restore(ledger if gap is None else below_gap(ledger), parameters, self._snapshots.open)
        made_anew = fold.state.generation >= 0 and generation_of(ledger, fold.state, shard) != topic_id
        if made_anew:
            if gap is not None:
                raise LedgerDisagrees(shard, gap, "entries are missing here, and the topic that had their records was made anew")
            ledger.drop_orphans(shard, fold.state.index)
        else:
            self._check_ends(shard, fold.state.offset)
        if gap is not None and tip is not None:
            log.warning("shard %d: entries are missing from index %d on, below %d; filled again from Kafka", shard, gap, tip.index)
            self._above[shard] = Above(ledger, shard, fold.state.index + 1, tip.index)
        self.running[shard] = ShardNotary(fold, ledger.accepted_header, self._snapshots.sign, ledger.kept(shard, fold.state.index))
        return 0 if made_anew else fold.state.offset + 1

    def _check_ends(self, shard: int, offset: int) -> None:
        """KafkaWentBack when the partition ends below what the ledger has. A broker that has just begun may say less for a moment."""
        while (end := self._ends().get(shard, offset + 1)) <= offset and time.monotonic() < self._patient_until:
            time.sleep(_ENDS_WAIT_S)
        if end <= offset:
            raise KafkaWentBack(shard, end, offset)

    def stand_still(self, shard: int, error: Exception) -> None:
        log.error("shard %d stands still, the others go on: %s", shard, error)
        self.forget(shard)

    def forget(self, shard: int) -> None:
        self.running.pop(shard, None)
        self._above.pop(shard, None)

    async def fold(self, shard: int, records: Iterable[tuple[int, int, bytes]]) -> Batch | None:
        """What the records of a shard give; None for one that stands still."""
        if shard not in self.running:
            return None
        batch = self.running[shard].process(records)
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
            self.stand_still(batch.shard, error)
            return False
        if above.passed:
            log.warning("shard %d: the gap is filled, and what stood above it agrees", batch.shard)
            del self._above[batch.shard]
        return True

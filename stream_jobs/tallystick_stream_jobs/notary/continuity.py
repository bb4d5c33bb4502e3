"""Whether Kafka goes on where the ledger ends: long enough, and the same record at the ledger's last place. All of it may block."""

import logging
import time
from collections.abc import Callable
from typing import Final

from tallystick_schemas.entries import parse_entry

from ..errors import KafkaDiffers, KafkaWentBack, LedgerDisagrees
from .events_topic import EventsTopic, is_made_of
from .ledger import Ledger, StoredEntry

log: Final = logging.getLogger(__name__)
_ENDS_WAIT_S = 1.0
PATIENCE_S: Final = 10.0
"""For which a broker that has just begun may say that it holds less than it does."""


class Continuity:
    """Of one notary's shards."""

    def __init__(self, ledger: Ledger, topic: EventsTopic) -> None:
        self._ledger, self._topic = ledger, topic

    def check(self, shard: int, offset: int, index: int, patient_until: float = 0.0) -> None:
        """KafkaWentBack when the partition ends below `offset`, of which entry `index` was made; KafkaDiffers when another record stands there.

        `patient_until`, of the monotonic clock: until then a broker may say that it holds less.
        """
        if index < 0:
            return
        while (bounds := self._topic.bounds()[shard]).end <= offset and time.monotonic() < patient_until:
            time.sleep(_ENDS_WAIT_S)
        if bounds.end <= offset:
            raise KafkaWentBack(shard, bounds.end, offset, index)
        if bounds.first > offset:
            log.warning("shard %d: Kafka holds it from offset %d on, so what the ledger has last cannot be compared", shard, bounds.first)
            return
        row = self._ledger.entry(shard, index)
        # Numbers alone prove nothing: an older copy that was written to since is as long again, with other records at these places.
        if row is not None and not is_made_of(parse_entry(row.entry), self._topic.record(shard, offset)):
            raise KafkaDiffers(shard, offset, index)

    def goes_on(self, shard: int, offset: int, index: int) -> bool:
        """Whether `check` has nothing to say."""
        try:
            self.check(shard, offset, index)
        except (KafkaWentBack, KafkaDiffers):
            return False
        return True

    def comes_back(self, shard: int, offset: int, index: int) -> bool:
        """Whether the store has the entry that is missing, or Kafka the record that it is made of."""
        return self._rows_at(shard, index) is not None or self._topic.bounds()[shard].first <= offset

    def row_changes(self, shard: int, index: int) -> Callable[[], bool]:
        """Says, whenever it is asked, whether the ledger has other rows at a place than it has now."""
        before = self._rows_at(shard, index)
        return lambda: self._rows_at(shard, index) != before

    def _rows_at(self, shard: int, index: int) -> StoredEntry | str | None:
        try:
            return self._ledger.entry(shard, index)
        except LedgerDisagrees as error:
            return str(error)

"""A shard whose ledger lost rows: folded up to the lowest gap, filled from Kafka, and held to what stands above it, byte for byte.

Rows are a pure function of the partition, so filling needs no rule of its own: the records are folded again from below the gap.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from ..errors import LedgerDisagrees
from .ledger import Ledger, StoredEntry
from .rows import entry_row


def below_gap(ledger: Ledger) -> Ledger:
    """The ledger as it is up to a shard's lowest gap. A snapshot may stand above it: there is none."""
    return cast(Ledger, _BelowGap(ledger))


class _BelowGap:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def snapshot(self, _: int) -> None:
        """None: everything is folded."""

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        for expected, row in enumerate(self._ledger.entries(shard, first), first):
            if row.index != expected:
                return
            yield row


class Above:
    """The rows of a shard that stand above its gap, read once, in step with the fold."""

    def __init__(self, ledger: Ledger, shard: int, first: int, last: int) -> None:
        """`first`: what is folded next. `last`: the highest row of the shard."""
        self._shard, self._next, self._last = shard, first, last
        self._rows = ledger.entries(shard, first)
        self._waiting: StoredEntry | None = None

    @property
    def passed(self) -> bool:
        """Whether the fold has come to the shard's end."""
        return self._next > self._last

    def check(self, folded: Sequence[bytes]) -> None:
        """The rows that were folded next, as they are inserted; LedgerDisagrees at the first that stands in the ledger otherwise."""
        while (row := self._waiting or next(self._rows, None)) is not None and row.index < self._next + len(folded):
            self._waiting = None
            if folded[row.index - self._next] != entry_row(self._shard, row.index, row.entry, row.leaf, row.chain):
                raise LedgerDisagrees(
                    self._shard, row.index, "the record in Kafka gives another entry than the one that stands above a gap"
                )
        self._waiting = row
        self._next += len(folded)

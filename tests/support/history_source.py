"""The verifier's port over a made history's lists: the twin of the one on ClickHouse, for quick tests."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.history import History, blocks_of

from tallystick_audit.verify.source import Beyond, EventRows, StoredCheckpoint, StoredEntry, StoredLeaf, Stranger
from tallystick_audit.verify.step7_columns import EMPTY_TEXT, EVENT_COLUMNS, event_text
from tallystick_audit.verify.step7_entries import ENTRY_COLUMNS, entry_text
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event


class MemorySource:
    """HistorySource over lists. Rows are sorted as the tables are."""

    def __init__(self, history: History, block: int = 7) -> None:
        self._history, self._block = history, block

    def checkpoints(self) -> list[StoredCheckpoint]:
        return sorted(StoredCheckpoint(*row) for row in self._history.checkpoints)

    def root_leaves(self) -> list[StoredLeaf]:
        return sorted(StoredLeaf(*row) for row in self._history.root_leaves)

    def entries(self, shard: int, first: int, end: int, *, columns: bool = False) -> Iterator[list[StoredEntry]]:
        rows = [row[1:] for row in self._history.entries if row[0] == shard and first <= row[1] < end]
        rows.sort(key=lambda row: (row[0], row[2]))
        for block in blocks_of(rows, self._block):
            yield [StoredEntry(*row, columns=self._of_entry(shard, row) if columns else b"") for row in block]  # type: ignore[misc]

    def events(self, shard: int, first: int, end: int) -> Iterator[EventRows]:
        rows = [row[1:] for row in self._history.events if row[0] == shard and first <= row[1] < end]
        rows.sort(key=lambda row: (row[0], row[1], row[3]))
        for block in blocks_of(rows, self._block):
            indexes, positions, raws, leaves = zip(*block, strict=True)
            columns = [self._of_event(shard, row) for row in block]
            yield EventRows(array("Q", indexes), array("H", positions), list(raws), b"".join(leaves), columns)

    def _of_event(self, shard: int, row: tuple[Any, ...]) -> bytes:
        try:
            text = event_text(parse_event(row[2])).encode()
        except ParseError:
            text = EMPTY_TEXT
        return _changed(text, EVENT_COLUMNS, self._history.columns.get((shard, row[0], row[1]), {}))

    def _of_entry(self, shard: int, row: tuple[Any, ...]) -> bytes:
        try:
            text = entry_text(parse_entry(row[1]))
        except ParseError:
            text = b""
        return _changed(text, ENTRY_COLUMNS, self._history.columns.get((shard, row[0], None), {}))

    def rejected(self, shard: int, first: int, end: int) -> Iterator[tuple[int, bytes]]:
        yield from sorted(row[1:] for row in self._history.rejected if row[0] == shard and first <= row[1] < end)

    def strangers(self, shards: int) -> list[Stranger]:
        found: dict[tuple[str, int], int] = {}
        history = self._history
        for table, rows in (("ledger_entries", history.entries), ("events", history.events), ("rejected", history.rejected)):
            for row in rows:
                if row[0] >= shards:
                    found[table, row[0]] = min(row[1], found.get((table, row[0]), row[1]))
        return [Stranger(table, shard, index) for (table, shard), index in found.items()]

    def beyond(self, shard: int, first: int) -> Beyond:
        known = {row[1] for row in self._history.entries if row[0] == shard and row[1] >= first}
        orphans = {row[1] for row in self._history.events if row[0] == shard and row[1] >= first} - known
        whole = not known or max(known) - first + 1 == len(known)
        rejected = {row[1] for row in self._history.rejected if row[0] == shard and row[1] >= first} - known
        return Beyond(tuple(sorted(orphans, reverse=True)[:1000]), None if whole else max(known), tuple(sorted(rejected, reverse=True)))


def _changed(text: bytes, names: Sequence[str], values: Mapping[str, str]) -> bytes:
    columns = dict(zip(names, text.decode("utf-8", "replace").split("\0"), strict=False))
    return "\0".join((columns | values).values()).encode() if values else text

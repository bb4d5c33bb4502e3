"""The sealer's port to the store: rows to sign, and the notes that were signed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from clickhouse_connect.driver.client import Client

from ..notary.ledger import ClickHouseLedger, StoredEntry
from .core import RootLeaf, Signed

_EXACTLY = {"async_insert": 0, "insert_deduplicate": 0}


class SealStore(Protocol):
    """What a sealer needs of a store. Publishing again what was published is harmless."""

    def newest_seal(self, shard: int) -> int | None: ...
    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]: ...
    def root_leaves(self, first: int) -> list[RootLeaf]: ...
    def publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None: ...


class ClickHouseSealStore:
    """The port on ClickHouse."""

    def __init__(self, client: Client) -> None:
        self._client, self._ledger = client, ClickHouseLedger(client)

    def newest_seal(self, shard: int) -> int | None:
        """Index of the shard's newest accepted seal."""
        query = "SELECT index FROM ledger_entries WHERE shard = {shard:UInt32} AND kind = 5 AND verdict < 2 ORDER BY shard DESC, index DESC LIMIT 1"
        found = self._client.query(query, parameters={"shard": shard}).result_rows
        return int(found[0][0]) if found else None

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        """Rows from `first` on, in order."""
        return self._ledger.entries(shard, first)

    def root_leaves(self, first: int) -> list[RootLeaf]:
        """Leaves of the root log from `first` on, in order."""
        query = "SELECT index, leaf FROM root_leaves WHERE index >= {first:UInt64} ORDER BY index"
        return [RootLeaf(int(index), leaf.encode()) for index, leaf in self._client.query(query, parameters={"first": first}).result_rows]

    def publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None:
        """Leaves first: a root checkpoint must not be readable before the leaves that it covers."""
        if leaves:
            rows = [[leaf.index, leaf.data.decode()] for leaf in leaves]
            self._client.insert("root_leaves", rows, column_names=["index", "leaf"], settings=_EXACTLY)
        if signed:
            checkpoints = [[s.origin, s.size, s.root, s.note.decode(), datetime.fromisoformat(s.time)] for s in signed]
            self._client.insert("checkpoints", checkpoints, column_names=["origin", "size", "root", "note", "time"], settings=_EXACTLY)

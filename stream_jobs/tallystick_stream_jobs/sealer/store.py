"""The sealer's port to the store: rows to sign, and the notes that were signed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from clickhouse_connect.driver.client import Client

from tallystick_schemas.headers import Kind
from tallystick_schemas.stored_bytes import COUNTS, KIND

from ..notary.ledger import ClickHouseLedger, StoredEntry
from .core import RootLeaf, Signed
from .rounds import StoredNote

_PAGE: Final = 5000
_FEW: Final = 100
_MOST: Final = (1 << 63) - 1
_TIME: Final = "concat(replaceOne(toString(time), ' ', 'T'), 'Z')"
"""As events write it."""
_EXACTLY = {"async_insert": 0, "insert_deduplicate": 0}


class SealStore(Protocol):
    """What a sealer needs of a store. Publishing again what was published is harmless."""

    def newest_seal(self, shard: int) -> int | None: ...
    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]: ...
    def root_leaves(self, first: int, end: int | None) -> Iterator[RootLeaf]: ...
    def notes(self, origin: str, least: int, most: int) -> Iterator[StoredNote]: ...
    def newest_notes(self, origin: str, least: int) -> Iterator[bytes]: ...
    def directives(self) -> Iterator[bytes]: ...
    def publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None: ...


class ClickHouseSealStore:
    """The port on ClickHouse."""

    def __init__(self, client: Client) -> None:
        self._client, self._ledger = client, ClickHouseLedger(client)

    def newest_seal(self, shard: int) -> int | None:
        """Index of the shard's newest accepted seal, by the entries' bytes; read from the end on, so it costs a block."""
        where = f"shard = {{shard:UInt32}} AND {KIND} = {Kind.SEAL:d} AND {COUNTS} ORDER BY shard DESC, index DESC LIMIT 1"
        query = f"SELECT index FROM ledger_entries WHERE {where}"  # noqa: S608  # constants alone
        found = self._client.query(query, parameters={"shard": shard}).result_rows
        return int(found[0][0]) if found else None

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        """Rows from `first` on, in order."""
        return self._ledger.entries(shard, first)

    def root_leaves(self, first: int, end: int | None) -> Iterator[RootLeaf]:
        """Leaves of the root log from `first` on, and below `end` where one is given, in order; several where several lie at one place."""
        at, leaf = first, ""
        where = "index >= {at:UInt64} AND index < {end:UInt64} AND (index > {at:UInt64} OR leaf > {leaf:String})"
        while True:
            query = f"SELECT DISTINCT index, leaf FROM root_leaves WHERE {where} ORDER BY index, leaf LIMIT {_PAGE}"  # noqa: S608  # constants alone
            page = self._rows(query, at=at, end=_MOST if end is None else end, leaf=leaf)
            yield from (RootLeaf(int(index), data.encode()) for index, data in page)
            if len(page) < _PAGE:
                return
            at, leaf = page[-1]

    def notes(self, origin: str, least: int, most: int) -> Iterator[StoredNote]:
        """Notes of one log from size `least` to `most`, both included, in the order of sizes."""
        at, note = least, ""
        where = (
            "origin = {origin:String} AND size >= {at:UInt64} AND size <= {most:UInt64} AND (size > {at:UInt64} OR note > {note:String})"
        )
        while True:
            query = f"SELECT size, note, {_TIME} FROM checkpoints WHERE {where} ORDER BY size, note LIMIT {_PAGE}"  # noqa: S608  # constants alone
            page = self._rows(query, origin=origin, at=at, most=most, note=note)
            yield from (StoredNote(data.encode(), time) for _, data, time in page)
            if len(page) < _PAGE:
                return
            at, note = page[-1][:2]

    def newest_notes(self, origin: str, least: int) -> Iterator[bytes]:
        """Notes of one log from size `least` on, the greatest size first."""
        at, note = _MOST, ""
        where = (
            "origin = {origin:String} AND size >= {least:UInt64} AND size <= {at:UInt64} AND (size < {at:UInt64} OR note > {note:String})"
        )
        while True:
            query = f"SELECT size, note FROM checkpoints WHERE {where} ORDER BY size DESC, note LIMIT {_FEW}"  # noqa: S608  # constants alone
            page = self._rows(query, origin=origin, least=least, at=at, note=note)
            yield from (data.encode() for _, data in page)
            if len(page) < _FEW:
                return
            at, note = page[-1]

    def directives(self) -> Iterator[bytes]:
        """Entries that the store calls accepted directives."""
        where = f"{KIND} = {Kind.DIRECTIVE:d} AND {COUNTS} ORDER BY shard, index"
        for (entry,) in self._rows(f"SELECT hex(entry) FROM ledger_entries WHERE {where}"):  # noqa: S608  # constants alone
            yield bytes.fromhex(entry)

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return list(map(tuple, self._client.query(query, parameters=parameters).result_rows))

    def publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None:
        """Leaves first: a root checkpoint must not be readable before the leaves that it covers."""
        if leaves:
            rows = [[leaf.index, leaf.data.decode()] for leaf in leaves]
            self._client.insert("root_leaves", rows, column_names=["index", "leaf"], settings=_EXACTLY)
        if signed:
            checkpoints = [[s.origin, s.size, s.root, s.note.decode(), datetime.fromisoformat(s.time)] for s in signed]
            self._client.insert("checkpoints", checkpoints, column_names=["origin", "size", "root", "note", "time"], settings=_EXACTLY)

"""The notary's port to the store: where a shard ends, its newest snapshot, its entries, and the insert that commits a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

from tallystick_schemas.stored_bytes import ACCEPTED_GENERATION, ACCEPTED_SEGMENT, APPEND_MS, HEADER, MEMBER, VERDICT

from ..errors import LedgerDisagrees
from .keeping import MINUTE_MS, REMEMBERED, SIGNED, Kept
from .rows import EVENT_PIECES


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One row of `ledger_entries`."""

    index: int
    entry: bytes
    leaf: bytes
    chain: bytes


class Rows(NamedTuple):
    """RowBinary pieces for each table; they are inserted in this order, and the entries' rows commit the rest."""

    events: Sequence[bytes]
    rejected: Sequence[bytes]
    entries: Sequence[bytes]
    snapshots: Sequence[bytes]


class Ledger(Protocol):
    """What a notary needs of a store. Rows are a pure function of the partition, so inserting any of them again is harmless."""

    def tip(self, shard: int) -> StoredEntry | None: ...
    def snapshot(self, shard: int) -> bytes | None: ...
    def entry(self, shard: int, index: int) -> StoredEntry | None: ...
    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]: ...
    def lowest_gap(self, shard: int) -> int | None: ...
    def accepted_header(self, shard: int, agent: str, run: str, n: int) -> bytes | None: ...
    def newest_generation(self, shard: int) -> bytes | None: ...
    def kept(self, shard: int, up_to: int) -> Sequence[Kept]: ...
    def drop_orphans(self, shard: int, above: int) -> None: ...
    def insert(self, rows: Rows) -> None: ...


_PAGE = 20_000
INSERT_BYTES = 16 << 20
"""What one insert has at the most: records that wait while the store is away can be 128 MiB, and the store takes 64 MiB at once."""
_COLUMNS = "index, hex(entry), hex(leaf), hex(chain)"
_KEPT = f"""
SELECT minute, signed, sum(size) FROM
 (SELECT DISTINCT index, length(raw) AS size FROM rejected WHERE shard = {{shard:UInt32}} AND index <= {{up_to:Int64}}) AS r
 INNER JOIN
 (SELECT DISTINCT index, intDiv({APPEND_MS}, {{minute:Int64}}) AS minute, has({{signed:Array(UInt8)}}, {VERDICT}) AS signed
  FROM ledger_entries WHERE shard = {{shard:UInt32}} AND index <= {{up_to:Int64}} AND {VERDICT} > 2) AS e
 USING index
GROUP BY minute, signed ORDER BY minute DESC LIMIT {{most:UInt32}}"""  # noqa: S608  # constants alone
_INSERT = {"async_insert": 0, "insert_deduplicate": 0}
"""Deduplication by token drops rows silently when a token comes with other data; agreeing duplicates are collapsed by the sorting key."""


class ClickHouseLedger:
    """The port on ClickHouse's HTTP interface, server and embedded alike."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def tip(self, shard: int) -> StoredEntry | None:
        found = self._select("shard = {shard:UInt32} ORDER BY index DESC LIMIT 2", {"shard": shard})
        return _one(shard, found[:1] if len(found) == 2 and found[0].index != found[1].index else found)

    def entry(self, shard: int, index: int) -> StoredEntry | None:
        return _one(shard, self._select("shard = {shard:UInt32} AND index = {index:UInt64}", {"shard": shard, "index": index}))

    def snapshot(self, shard: int) -> bytes | None:
        query = "SELECT hex(state) FROM notary_snapshots WHERE shard = {shard:UInt32} ORDER BY index DESC LIMIT 1"
        found = self._client.query(query, parameters={"shard": shard}).result_rows
        return bytes.fromhex(found[0][0]) if found else None

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        """From index `first` on, in order; rows that agree are collapsed, rows that differ raise LedgerDisagrees."""
        last: StoredEntry | None = None
        while True:
            where = "shard = {shard:UInt32} AND index >= {first:UInt64} ORDER BY index LIMIT {page:UInt32}"
            page = self._select(where, {"shard": shard, "first": first, "page": _PAGE})
            for row in page:
                if last is not None and row.index == last.index:
                    if row != last:
                        raise LedgerDisagrees(shard, row.index)
                    continue
                yield row
                last = row
            if len(page) < _PAGE or last is None:
                return
            first = last.index + 1

    def lowest_gap(self, shard: int) -> int | None:
        """The lowest index that is missing below the shard's end; None where none is."""
        before = "lagInFrame(toInt64(index), 1, -1) OVER (ORDER BY index ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
        rows = f"SELECT index, {before} AS before FROM ledger_entries WHERE shard = {{shard:UInt32}}"  # noqa: S608  # constants alone
        query = f"SELECT count(), min(before + 1) FROM ({rows}) WHERE toInt64(index) > before + 1"  # noqa: S608
        [(gaps, lowest)] = self._client.query(query, parameters={"shard": shard}).result_rows
        return int(lowest) if gaps else None

    def accepted_header(self, shard: int, agent: str, run: str, n: int) -> bytes | None:
        # Columns find it, since it may be anywhere; its bytes say whether it is that segment.
        bytes_say = f"{MEMBER.format('agent')} = {{agent:String}} AND {MEMBER.format('run')} = {{run:String}} AND {ACCEPTED_SEGMENT}"
        query = (
            f"SELECT hex({HEADER}) FROM ledger_entries WHERE shard = {{shard:UInt32}} AND agent = {{agent:String}} AND run = {{run:String}} "  # noqa: S608
            f"AND n = {{n:UInt64}} AND {bytes_say} AND JSONExtractUInt({HEADER}, 'n') = {{n:UInt64}} LIMIT 1"
        )
        found = self._client.query(query, parameters={"shard": shard, "agent": agent, "run": run, "n": n}).result_rows
        return bytes.fromhex(found[0][0]) if found else None

    def newest_generation(self, shard: int) -> bytes | None:
        """The newest accepted generation entry of the shard."""
        found = self._select(f"shard = {{shard:UInt32}} AND {ACCEPTED_GENERATION} ORDER BY index DESC LIMIT 1", {"shard": shard})
        return found[0].entry if found else None

    def kept(self, shard: int, up_to: int) -> Sequence[Kept]:
        """How many bytes of rejected records up to this index are kept of each minute of the newest days."""
        parameters = {"shard": shard, "up_to": up_to, "minute": MINUTE_MS, "signed": sorted(map(int, SIGNED)), "most": 2 * REMEMBERED}
        return [Kept(minute, bool(signed), size) for minute, signed, size in self._client.query(_KEPT, parameters=parameters).result_rows]

    def drop_orphans(self, shard: int, above: int) -> None:
        """Events whose entry was never written: their records are lost with the topic and come again under other indexes."""
        for table in ("events", "rejected"):
            where = "shard = {shard:UInt32} AND index > {above:Int64}"
            parameters = {"shard": shard, "above": above}
            if self._client.query(f"SELECT count() FROM {table} WHERE {where}", parameters=parameters).result_rows[0][0]:  # noqa: S608  # two fixed names
                self._client.command(f"DELETE FROM {table} WHERE {where}", parameters=parameters)  # noqa: S608

    def insert(self, rows: Rows) -> None:
        """Events first: if we crash between two inserts, rows without an entry are left, and the next notary writes the same again."""
        self._insert("events", ["shard", "index", "pos", "raw"], rows.events, EVENT_PIECES)
        self._insert("rejected", ["shard", "index", "raw"], rows.rejected)
        self._insert("ledger_entries", ["shard", "index", "entry", "leaf", "chain"], rows.entries)
        # If we crash here, the history is whole; only the next restart folds a little more.
        self._insert("notary_snapshots", ["shard", "index", "epoch", "state"], rows.snapshots)

    def _insert(self, table: str, columns: list[str], pieces: Sequence[bytes], a_row: int = 1) -> None:
        for block in _blocks(pieces, a_row):
            self._client.raw_insert(table, columns, insert_block=block, fmt="RowBinary", settings=_INSERT)

    def _select(self, where: str, parameters: dict[str, object]) -> list[StoredEntry]:
        found = self._client.query(f"SELECT {_COLUMNS} FROM ledger_entries WHERE {where}", parameters=parameters).result_rows  # noqa: S608
        return [StoredEntry(index, *(bytes.fromhex(text) for text in texts)) for index, *texts in found]


def _blocks(pieces: Sequence[bytes], a_row: int) -> Iterator[bytes]:
    """The rows in order, each of so many pieces, as blocks of whole rows of up to INSERT_BYTES; a larger row is a block of its own."""
    first, size = 0, 0
    for at in range(0, len(pieces), a_row):
        more = sum(map(len, pieces[at : at + a_row]))
        if at > first and size + more > INSERT_BYTES:
            yield b"".join(pieces[first:at])
            first, size = at, 0
        size += more
    if first < len(pieces):
        yield b"".join(pieces[first:])


def _one(shard: int, found: list[StoredEntry]) -> StoredEntry | None:
    if len(set(found)) > 1:
        raise LedgerDisagrees(shard, found[0].index)
    return found[0] if found else None

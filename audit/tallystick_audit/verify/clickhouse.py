"""The verifier's port on ClickHouse: SQL over its HTTP interface, server and embedded alike, answers streamed in the Native format."""

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from tallystick_schemas.settings import ClickHouseSettings

from ..errors import UnusableHistory
from .columns import joined
from .definitions import Definitions, name_of
from .native import Column, blocks
from .source import Beyond, EventRows, StoredCheckpoint, StoredEntry, StoredLeaf, Stranger
from .step7_columns import EVENT_COLUMNS
from .step7_entries import ENTRY_COLUMNS

_BUFFER: Final = 1 << 20
_BLOCK_ROWS: Final = 4096
_SETTINGS: Final = {
    "max_block_size": _BLOCK_ROWS,
    # Tables are read in the order of their sorting key: no sort in memory, first rows at once.
    "optimize_read_in_order": 1,
    # Two processes of ours work beside the store on the same cores.
    "max_threads": 1,
}
_WHERE: Final = "shard = {shard:UInt32} AND index >= {first:UInt64} AND index < {end:UInt64}"
_TABLES: Final = ("ledger_entries", "events", "rejected")
_MOST_BEYOND: Final = 1000
_EVENT_COLUMNS: Final = joined(EVENT_COLUMNS)
_ENTRY_COLUMNS: Final = joined(ENTRY_COLUMNS, append_time="toUnixTimestamp64Milli(append_time)")


def open_source(settings: ClickHouseSettings) -> "ClickHouseSource":
    """A source on a connection of its own; UnusableHistory when the store does not answer or refuses."""
    try:
        return ClickHouseSource(clickhouse_connect.get_client(**settings.client_kwargs(), compress=False))
    except (ClickHouseError, HTTPError, OSError) as error:
        raise UnusableHistory(_sentence(settings, error)) from error


def _sentence(settings: ClickHouseSettings, error: Exception) -> str:
    return f"the history at {settings.host}:{settings.port}, database {settings.database}, cannot be read: {str(error)[:500]}"


class ClickHouseSource:
    """HistorySource over one client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        self._client.close()

    def checkpoints(self) -> list[StoredCheckpoint]:
        columns = "toUInt32(length(origin)), origin, size, root, toUInt32(length(note)), note"
        query = f"SELECT {columns} FROM checkpoints ORDER BY origin, size, root, note"  # noqa: S608  # constants alone
        return [
            StoredCheckpoint(origin.decode("utf-8", "replace"), size, root, note)
            for origins, sizes, roots, notes in self._blocks(query)
            for origin, size, root, note in zip(origins, sizes, _hashes(roots), notes, strict=True)
        ]

    def root_leaves(self) -> list[StoredLeaf]:
        query = "SELECT index, toUInt32(length(leaf)), leaf FROM root_leaves ORDER BY index, leaf"
        return [StoredLeaf(*row) for indexes, leaves in self._blocks(query) for row in zip(indexes, leaves, strict=True)]

    def entries(self, shard: int, first: int, end: int, *, columns: bool = False) -> Iterator[list[StoredEntry]]:
        derived = _ENTRY_COLUMNS if columns else "''"
        query = (
            f"SELECT index, toUInt32(length(entry)), entry, leaf, chain, toUInt32(length({derived})), {derived} FROM ledger_entries "  # noqa: S608
            f"WHERE {_WHERE} ORDER BY shard, index, leaf"
        )
        for indexes, entries, leaves, chains, texts in self._blocks(query, shard, first, end):
            yield [StoredEntry(*row) for row in zip(indexes, entries, _hashes(leaves), _hashes(chains), texts, strict=True)]

    def events(self, shard: int, first: int, end: int) -> Iterator[EventRows]:
        query = (
            f"SELECT index, pos, leaf, toUInt32(length(raw)), raw, toUInt32(length({_EVENT_COLUMNS})), {_EVENT_COLUMNS} "  # noqa: S608
            f"FROM events WHERE {_WHERE} ORDER BY shard, index, pos, leaf"
        )
        for indexes, positions, leaves, raws, columns in self._blocks(query, shard, first, end):
            yield EventRows(indexes, positions, raws, leaves, columns)

    def rejected(self, shard: int, first: int, end: int) -> Iterator[tuple[int, bytes]]:
        query = f"SELECT index, toUInt32(length(raw)), raw FROM rejected WHERE {_WHERE} ORDER BY shard, index, raw"  # noqa: S608
        for indexes, raws in self._blocks(query, shard, first, end):
            yield from zip(indexes, raws, strict=True)

    def strangers(self, shards: int) -> list[Stranger]:
        found: list[Stranger] = []
        for table in _TABLES:
            query = f"SELECT shard, min(index) FROM {table} WHERE shard >= {{shard:UInt32}} GROUP BY shard ORDER BY shard"  # noqa: S608
            for numbers, indexes in self._blocks(query, shards):
                found += [Stranger(table, number, index) for number, index in zip(numbers, indexes, strict=True)]
        return found

    def beyond(self, shard: int, first: int) -> Beyond:
        known = "SELECT index FROM ledger_entries WHERE shard = {shard:UInt32} AND index >= {first:UInt64}"
        orphans = {}
        for table in ("events", "rejected"):
            rows = f"SELECT DISTINCT index FROM {table} WHERE shard = {{shard:UInt32}} AND index >= {{first:UInt64}}"  # noqa: S608
            query = f"{rows} AND index NOT IN ({known}) ORDER BY index DESC LIMIT {_MOST_BEYOND}"
            orphans[table] = tuple(index for (indexes,) in self._blocks(query, shard, first) for index in indexes)
        query = f"SELECT count(DISTINCT index), max(index) FROM ({known})"  # noqa: S608  # constants alone
        [(count, highest)] = [row for columns in self._blocks(query, shard, first) for row in zip(*columns, strict=True)]
        return Beyond(orphans["events"], None if count in (0, highest - first + 1) else highest, orphans["rejected"])

    def definitions(self, statements: Sequence[str]) -> Definitions:
        version, database = str(self._client.server_version), str(self._client.database)
        columns = "toUInt32(length(name)), name, toUInt32(length(create_table_query)), create_table_query"
        query = f"SELECT {columns} FROM system.tables WHERE database = currentDatabase()"  # noqa: S608  # constants alone
        rows = [row for block in self._blocks(query) for row in zip(*block, strict=True)]
        found = {name.decode(): self._printed(text.decode()) or text.decode() for name, text in rows}
        missing = [name for name in map(name_of, statements) if name not in found and not self._exists(name)]
        return Definitions(version, database, [self._printed(text) for text in statements], found, missing, self._policies())

    def _printed(self, statement: str) -> str | None:
        """As the server's formatter prints it; None when it has none, or cannot read this."""
        answer = self._asked("SELECT formatQuerySingleLine(unhex({text:String}))", text=statement.encode().hex())
        return None if answer is None else str(answer[0][0])

    def _exists(self, name: str) -> bool:
        """Whether there is such a one; also one that the user may not see counts."""
        try:
            self._client.query(f"SELECT 1 FROM `{name}` LIMIT 0")  # noqa: S608  # a name of the migrations
        except ClickHouseError as error:
            return "UNKNOWN_TABLE" not in str(error)
        return True

    def _policies(self) -> list[tuple[str, str]] | None:
        query = "SELECT table, short_name FROM system.row_policies WHERE database IN ('', currentDatabase()) ORDER BY table, short_name"
        answer = self._asked(query)
        return None if answer is None else [(str(table), str(name)) for table, name in answer]

    def _asked(self, query: str, **parameters: str) -> Sequence[Sequence[Any]] | None:
        """The rows; None when the server refuses the question. It may be older, or the user may not ask it."""
        try:
            return self._client.query(query, parameters=parameters).result_rows
        except ClickHouseError:
            return None  # whoever asks says what could not be looked at

    def _blocks(self, query: str, shard: int = 0, first: int = 0, end: int = 0) -> Iterator[list[Column]]:
        parameters: dict[str, Any] = {"shard": shard, "first": first, "end": end}
        parameters = {name: value for name, value in parameters.items() if f"{{{name}:" in query}
        try:
            stream: Any = self._client.raw_stream(query, parameters=parameters, settings=_SETTINGS, fmt="Native")
            # Else it closes itself at its end, and a buffered reader that asks once more raises.
            stream.auto_close = False
            try:
                yield from blocks(io.BufferedReader(stream, _BUFFER).read)
            finally:
                stream.close()
        except (ClickHouseError, HTTPError, OSError) as error:
            raise UnusableHistory(f"the store stopped answering: {str(error)[:500]}") from error


def _hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]

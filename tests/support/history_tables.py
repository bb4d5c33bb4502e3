"""A made history in a real ClickHouse: insert it, and carry a change to its lists over into the tables by SQL, as an insider would."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client
from tests.support.history import START_S, History

_EXACTLY = {"async_insert": 0, "insert_deduplicate": 0}
_COLUMNS = {
    "ledger_entries": ["shard", "index", "entry", "leaf", "chain"],
    "events": ["shard", "index", "pos", "raw", "leaf"],
    "rejected": ["shard", "index", "raw"],
    "checkpoints": ["origin", "size", "root", "note", "time"],
    "root_leaves": ["index", "leaf"],
}
_TYPES = {"shard": 4, "index": 8, "pos": 2, "size": 8}
_FIXED = frozenset({("ledger_entries", "leaf"), ("ledger_entries", "chain"), ("events", "leaf"), ("checkpoints", "root")})
_TIME = int(datetime.fromtimestamp(START_S, UTC).timestamp() * 1e6)
LIES = {
    "action": "artifact.read",
    "principal": "nobody",
    "resource_kind": "model",
    "resource_id": "m",
    "time": "1971-01-01 00:00:00.000000",
}
"""Columns of events for `change_everywhere`, which say of each the same that is true of none."""
Rows = dict[str, list[tuple[Any, ...]]]


def rows_of(history: History) -> Rows:
    """Every table's rows, as `_COLUMNS` names them."""
    return {
        "events": list(history.events),
        "rejected": list(history.rejected),
        "ledger_entries": list(history.entries),
        "root_leaves": list(history.root_leaves),
        "checkpoints": [(*row, _TIME) for row in history.checkpoints],
    }


def insert_history(client: Client, history: History) -> None:
    """All of it into empty or filled tables."""
    for table, rows in rows_of(history).items():
        insert_rows(client, table, rows)


def insert_rows(client: Client, table: str, rows: Sequence[tuple[Any, ...]], block: int = 100_000) -> None:
    columns = _COLUMNS[table]
    for start in range(0, len(rows), block):
        data = b"".join(_row_binary(table, columns, row) for row in rows[start : start + block])
        client.raw_insert(table, columns, insert_block=data, fmt="RowBinary", settings=_EXACTLY)


def carry_over(client: Client, before: Rows, after: Rows) -> None:
    """Delete the rows that went and insert the ones that came, table by table."""
    for table in _COLUMNS:
        gone = Counter(before[table]) - Counter(after[table])
        came = Counter(after[table]) - Counter(before[table])
        if gone:
            places = " OR ".join(f"({_is(table, row)})" for row in gone)
            client.command(f"ALTER TABLE {table} DELETE WHERE {places} SETTINGS mutations_sync = 2")
        insert_rows(client, table, list(came.elements()))


def change_columns(client: Client, columns: Mapping[tuple[int, int, int | None], Mapping[str, str]]) -> None:
    """As an insider would: the derived column becomes one that may be written, is written, and is derived again. Its definition is as before."""
    for (shard, index, pos), values in columns.items():
        table, place = ("ledger_entries", "") if pos is None else ("events", f" AND pos = {pos}")
        for name, value in values.items():
            with stored_column(client, table, name) as kind:
                write = f"UPDATE {name} = CAST({{value:String}}, '{kind}') WHERE shard = {shard} AND index = {index}{place}".replace(
                    "'UTC'", "\\'UTC\\'"
                )
                client.command(f"ALTER TABLE {table} {write} SETTINGS mutations_sync = 2", parameters={"value": value})


def change_principals(client: Client, names: Mapping[str, str]) -> None:
    """The names in the column `principal` others, in all events."""
    with stored_column(client, "events", "principal"):
        for before, after in names.items():
            query = "ALTER TABLE events UPDATE principal = {after:String} WHERE principal = {before:String} SETTINGS mutations_sync = 2"
            client.command(query, parameters={"before": before, "after": after})


def change_everywhere(client: Client, table: str, columns: Mapping[str, str]) -> None:
    """One value in a column of all rows, for each of these columns."""
    for name, value in columns.items():
        with stored_column(client, table, name) as kind:
            write = f"UPDATE {name} = CAST({{value:String}}, '{kind}') WHERE 1".replace("'UTC'", "\\'UTC\\'")
            client.command(f"ALTER TABLE {table} {write} SETTINGS mutations_sync = 2", parameters={"value": value})


@contextmanager
def stored_column(client: Client, table: str, name: str) -> Iterator[str]:
    """Its type. Inside, the column may be written."""
    where = f"database = currentDatabase() AND table = '{table}' AND name = '{name}'"
    [(kind, how, expression)] = client.query(f"SELECT type, default_kind, default_expression FROM system.columns WHERE {where}").result_rows
    client.command(f"ALTER TABLE {table} MODIFY COLUMN {name} {kind} DEFAULT {expression}")
    try:
        yield kind
    finally:
        client.command(f"ALTER TABLE {table} MODIFY COLUMN {name} {kind} {how} {expression}")


def empty_tables(client: Client) -> None:
    for table in _COLUMNS:
        client.command(f"TRUNCATE TABLE {table}")


def _is(table: str, row: tuple[Any, ...]) -> str:
    conditions = []
    for column, value in zip(_COLUMNS[table], row, strict=True):
        if isinstance(value, bytes):
            conditions.append(f"{column} = unhex('{value.hex()}')")
        elif isinstance(value, str):
            conditions.append(f"{column} = unhex('{value.encode().hex()}')")
        elif column != "time":
            conditions.append(f"{column} = {value}")
    return " AND ".join(conditions)


def _row_binary(table: str, columns: Sequence[str], row: Sequence[Any]) -> bytes:
    pieces: list[bytes] = []
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, int):
            pieces.append(value.to_bytes(_TYPES.get(column, 8), "little"))
            continue
        raw = value.encode() if isinstance(value, str) else value
        pieces += [raw] if (table, column) in _FIXED else [_varint(len(raw)), raw]
    return b"".join(pieces)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])

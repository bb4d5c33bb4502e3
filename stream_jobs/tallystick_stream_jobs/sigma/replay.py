"""A detector run again over the history: its events read by SQL in the order in which the broker took them, through the engine of the stream."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from clickhouse_connect.driver.client import Client

from tallystick_schemas.messages import BATCH, Finding, VerifiedBatch, VerifiedSegment
from tallystick_schemas.stored_bytes import AGENT, APPEND_MS, COUNTS

from ..detectors.base import Rule
from ..detectors.engine import Engine

_BLOCK: Final = 65_536
_SETTINGS: Final = {"max_block_size": _BLOCK, "max_memory_usage": 1 << 30, "max_execution_time": 3600}
_TAKEN: Final = f"{COUNTS} AND {APPEND_MS} * 1000 >= {{first:Int64}} AND {APPEND_MS} * 1000 < {{last:Int64}}"
_ROWS: Final = f"""
    SELECT ms, shard, `index`, pos, raw, signer
    FROM (SELECT shard, `index`, pos, raw FROM events WHERE (shard, `index`) IN (SELECT shard, `index` FROM ledger_entries WHERE {_TAKEN})
        LIMIT 1 BY shard, `index`, pos) AS rows
    INNER JOIN (SELECT shard, `index`, any({APPEND_MS}) AS ms, any({AGENT}) AS signer FROM ledger_entries WHERE {_TAKEN}
        GROUP BY shard, `index`) AS taken USING (shard, `index`)
    ORDER BY ms, shard, `index`, pos"""  # noqa: S608 - values are parameters
"""By the bytes of entries and events: no column decides what is replayed."""
Row = tuple[int, int, int, int, str | bytes, str | bytes]


def replay_findings(
    client: Client, rule: Rule, start: float, end: float, most: int, progress: Callable[[int], None] | None = None
) -> list[Finding]:
    """What the rule finds in events that the broker took from start to end, at most `most`; it knows nothing of the time before."""
    engine, found, done = Engine((rule,)), list[Finding](), 0
    for ms, shard, segment in _segments(client, start, end):
        one = VerifiedSegment(segment[0][2], _text(segment[0][5]).decode(), "0" * 32, 0, ms, _events(segment))
        found += engine.process(VerifiedBatch(BATCH, shard, [one], []))
        done += len(segment)
        if progress is not None:
            progress(done)
        if len(found) >= most:
            break
    return found[:most]


def _segments(client: Client, start: float, end: float) -> Iterator[tuple[int, int, list[Row]]]:
    parameters = {"first": round(start * 1e6), "last": round(end * 1e6)}
    with client.query_rows_stream(_ROWS, parameters=parameters, settings=_SETTINGS, query_formats={"String": "bytes"}) as rows:
        for (ms, shard, _), segment in groupby(rows, key=lambda row: row[:3]):
            yield ms, shard, list(segment)


def _events(rows: list[Row]) -> list[tuple[int, bytes]]:
    return [(row[3], _text(row[4])) for row in rows]


def _text(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()

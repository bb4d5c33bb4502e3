"""Verified batches as they are fed to the engine, and the same as rows of the history."""

from collections.abc import Sequence
from hashlib import sha256

from clickhouse_connect.driver.client import Client
from tests.support.history_tables import insert_rows

from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.messages import VerifiedBatch
from tallystick_schemas.verdicts import Verdict


def insert_batches(client: Client, batches: Sequence[VerifiedBatch]) -> None:
    """Entries and events of accepted segments. Of the entries' headers only the agent matters here, their signatures do not."""
    entries, events = [], []
    for batch in batches:
        for segment in batch.segments:
            header = b'{"agent":"%b"}' % segment.agent.encode()
            raw = encode_entry(Entry(1, batch.shard, 0, segment.index, segment.append_ms, Verdict.ACCEPTED, header, bytes(64), b""))
            entries.append((batch.shard, segment.index, raw, sha256(b"\0" + raw).digest(), bytes(32)))
            events += [(batch.shard, segment.index, pos, one, sha256(b"\0" + one).digest()) for pos, one in segment.events]
    insert_rows(client, "ledger_entries", entries)
    insert_rows(client, "events", events)


def forget(client: Client) -> None:
    for table in ("ledger_entries", "events"):
        client.command(f"TRUNCATE TABLE {table}")

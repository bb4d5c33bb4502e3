"""What level 3 of the format accepts, every reader reads alike: the notary's fold, the verifier, the detectors' decoder, and the store's columns."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.clickhouse import running_clickhouse
from tests.support.odd_json import EVENTS, KEYS, VALUES

from tallystick_schemas.bulk import first_malformed
from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.headers import Kind, SegmentHeader, encode_header, parse_header
from tallystick_schemas.names import canonical
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.detectors.reading import decode_event
from tallystick_stream_jobs.notary.rows import entry_row, event_rows

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "events.json").read_bytes())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        made = server.client()
        yield made
        made.close()


def micros(time: str) -> int:
    return (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)


def of(part: str, name: str) -> Callable[[Event], Any]:
    """A field of a part of the event; what is absent or null is the column's empty value."""
    empty = 0 if part == "usage" else ""

    def get(event: Event) -> Any:
        value = getattr(getattr(event, part), name, None)
        return empty if value is None else value

    return get


COLUMNS: dict[str, Callable[[Event], Any]] = {
    "time": lambda event: micros(event.time),
    "action": lambda event: event.action,
    "outcome": lambda event: event.outcome,
    "principal_kind": of("actor", "kind"),
    "resource_kind": of("resource", "kind"),
    "resource_id": of("resource", "id"),
    "grant_id": of("why", "grant"),
    "request_id": lambda event: (event.attrs or {}).get("request_id", ""),
    **{name: of("actor", name) for name in ("principal", "credential", "session")},
    **{name: of("resource", name) for name in ("version", "part", "collection", "sensitivity")},
    **{name: of("usage", name) for name in ("bytes", "objects", "tokens_in", "tokens_out", "duration_ms")},
    **{name: of("why", name) for name in ("purpose", "ticket")},
    **{name: of("source", name) for name in ("ip", "country", "user_agent", "host")},
}


def stored(client: Client, raws: Sequence[bytes]) -> list[dict[str, Any]]:
    """What the store's columns say of each."""
    client.command("TRUNCATE TABLE events")
    block = b"".join(piece for index, raw in enumerate(raws) for piece in event_rows(0, index, [raw]))
    client.raw_insert("events", ["shard", "index", "pos", "raw"], insert_block=block, fmt="RowBinary")
    columns = ", ".join("toUnixTimestamp64Micro(time)" if name == "time" else name for name in COLUMNS)
    rows = client.query(f"SELECT {columns} FROM events ORDER BY index").result_rows
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def accepted(raw: bytes) -> Event | None:
    """By the notary at level 3; the verifier says the same."""
    try:
        event = parse_event(raw, bounded=True)
    except ParseError:
        event = None
    assert (first_malformed([raw], bounded=True) is None) == (event is not None), raw
    return event


def check(client: Client, raws: Sequence[bytes]) -> int:
    """How many of them the format accepts; AssertionError where a reader reads one of these otherwise."""
    good = [(raw, event) for raw in raws if (event := accepted(raw)) is not None]
    if not good:
        return 0
    rows = stored(client, [raw for raw, _ in good])
    for (raw, event), row in zip(good, rows, strict=True):
        assert row == {name: get(event) for name, get in COLUMNS.items()}, raw
        read = decode_event(raw)
        assert read.actor.principal == canonical(event.actor.principal)
        for part, names in (("resource", read.resource.__struct_fields__), ("usage", ("objects", "bytes")), ("source", ("country", "ip"))):
            mine, theirs = getattr(read, part), getattr(event, part)
            assert [getattr(mine, name, None) for name in names] == [getattr(theirs, name, None) for name in names], raw
        for name in ("time", "action", "outcome", "attrs"):
            assert getattr(read, name) == getattr(event, name), raw
    return len(good)


def test_every_column_that_is_made_of_the_event_is_compared(client: Client) -> None:
    query = "SELECT name FROM system.columns WHERE database = 'tallystick' AND table = 'events' AND default_kind = 'MATERIALIZED'"
    assert {name for (name,) in client.query(query).result_rows} == set(COLUMNS)


def test_the_vectors_are_read_alike(client: Client) -> None:
    raws = [bytes.fromhex(case["event"]) for group in ("good", "bad", "bad_from_level_3") for case in VECTORS[group]]
    refused = {case["event"] for case in VECTORS["bad_from_level_3"]}
    assert check(client, raws) == len([case for case in VECTORS["good"] if case["event"] not in refused])


@pytest.mark.parametrize("case", VECTORS["bad_from_level_3"], ids=[case["name"] for case in VECTORS["bad_from_level_3"]])
def test_what_level_3_refuses_is_what_readers_of_before_may_read_otherwise(client: Client, case: dict[str, str]) -> None:
    """Each rule has its reason: the store loses all columns or the time, or the value is one that a reader may not hold."""
    raw = bytes.fromhex(case["event"])
    [row] = stored(client, [raw])
    lost = row["action"] == "" or row["time"] == 0 or case["name"] == "year-0"
    beyond = any(word in case["name"] for word in ("integer", "year-1899", "year-2300"))
    assert lost or beyond


seen = {"events": 0, "accepted": 0}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(raws=st.lists(EVENTS, min_size=30, max_size=60))
def test_whatever_is_accepted_is_read_alike(client: Client, raws: list[bytes]) -> None:
    seen["accepted"] += check(client, raws)
    seen["events"] += len(raws)


def test_enough_of_it_was_accepted() -> None:
    assert seen["accepted"] * 10 > seen["events"] > 0


HEADER = encode_header(SegmentHeader(1, "gw", "0123456789abcdef", "0" * 32, 7, 9, 3, "a" * 64, "b" * 64, "2026-11-23T04:00:00.000000Z"))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(more=st.lists(st.tuples(KEYS, VALUES), min_size=10, max_size=30))
def test_a_header_that_level_3_accepts_has_its_entrys_columns(client: Client, more: list[tuple[str, str]]) -> None:
    good = []
    for key, value in more:
        raw = HEADER[:-1] + f",{key}:{value}}}".encode()
        try:
            parse_header(Kind.SEGMENT, raw, bounded=True)
        except ParseError:
            continue
        good.append(raw)
    client.command("TRUNCATE TABLE ledger_entries")
    entries = [encode_entry(Entry(1, 0, 0, at, 1_000, Verdict.ACCEPTED, raw, bytes(64), b"")) for at, raw in enumerate(good)]
    block = b"".join(entry_row(0, at, entry, bytes(32), bytes(32)) for at, entry in enumerate(entries))
    client.raw_insert("ledger_entries", ["shard", "index", "entry", "leaf", "chain"], insert_block=block, fmt="RowBinary")
    rows = client.query("SELECT agent, key, run, n, first, count FROM ledger_entries ORDER BY index").result_rows
    assert rows == [("gw", "0123456789abcdef", "0" * 32, 7, 9, 3)] * len(good)

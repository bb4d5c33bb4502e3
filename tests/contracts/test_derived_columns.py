"""Step 7 computes what the migrations' SQL gives: every vector, and events and entries of Hypothesis, go through a real ClickHouse."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.clickhouse import running_clickhouse
from tests.support.history import make_event
from tests.support.history_tables import empty_tables, insert_rows

from tallystick_audit.verify.clickhouse import ClickHouseSource
from tallystick_audit.verify.report import Findings
from tallystick_audit.verify.step6_events import groups
from tallystick_audit.verify.step7_columns import EVENT_COLUMNS, EventColumns
from tallystick_audit.verify.step7_entries import ENTRY_COLUMNS, EntryColumns
from tallystick_schemas.bulk import parse_each
from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.vocabulary import ACTIONS

pytestmark = pytest.mark.embedded
VECTORS = Path(__file__).parents[1] / "vectors"
HASH = bytes(32)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server.client()


def of_events(client: Client, raws: list[bytes]) -> Findings:
    """What step 7 finds in rows that the store made of these bytes."""
    empty_tables(client)
    insert_rows(client, "events", [(0, 0, pos, raw, HASH) for pos, raw in enumerate(raws)])
    findings = Findings()
    [group] = groups(ClickHouseSource(client).events(0, 0, 1))
    assert group.raws == raws
    events, wrong = parse_each(raws)
    assert [one for one in wrong if not one.bounds_only] == []
    EventColumns(0, findings).take([group], events)
    return findings


def of_entries(client: Client, entries: list[bytes]) -> Findings:
    empty_tables(client)
    insert_rows(client, "ledger_entries", [(0, index, raw, HASH, HASH) for index, raw in enumerate(entries)])
    findings = Findings()
    derived = EntryColumns(0, findings)
    for block in ClickHouseSource(client).entries(0, 0, len(entries), columns=True):
        for row in block:
            derived.take(row)
    return findings


def test_every_derived_column_is_one_of_step_7(client: Client) -> None:
    """A column that a later migration adds is computed again as well."""
    derived = client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND default_kind != '' ORDER BY table, position"
    ).result_rows
    assert derived == [
        ("events", "leaf"),
        *(("events", name) for name in EVENT_COLUMNS),
        *(("ledger_entries", name) for name in ENTRY_COLUMNS),
    ]


def test_every_vector(client: Client) -> None:
    good = json.loads((VECTORS / "events.json").read_text())["good"]
    assert of_events(client, [bytes.fromhex(one["event"]) for one in good]).kept == []
    for name in ("history-1.json", "history-2.json"):
        for shard in json.loads((VECTORS / name).read_text())["shards"]:
            assert of_entries(client, [bytes.fromhex(record["entry"]) for record in shard["records"]]).kept == []


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\n\r<>"), max_size=20) | st.sampled_from(
    ["", " ", "\x01\x7f\x85", "\u2028", '"\\/', "\ud7ff\ue000\U0010ffff", "a" * 300]
)
COUNTS = st.integers(0, 2**63 - 1) | st.sampled_from([0, 2**53 + 1, 2**63 - 1])
ODD_DAYS = """2026-02-29 2024-02-29 2026-02-31 1925-02-31 0000-01-01 0000-02-29 0001-01-01 1899-12-31 1900-01-01 1969-12-31 1970-01-01
    2262-04-12 2299-12-31 2300-01-01 9999-12-31"""
DAYS = st.dates().map(str) | st.sampled_from(ODD_DAYS.split())
TIMES = st.builds("{}T{}Z".format, DAYS, st.times().map(lambda time: time.isoformat("microseconds")))
NUMBERS = st.sampled_from(["1e999", "-1e400", "1e-999", "18446744073709551616", "1" * 400, "-9223372036854775809", "0.5", "-0", "1E5"])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.none()


def member(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return maybe(st.fixed_dictionaries({}, optional={name: maybe(values) for name, values in fields.items()}))


EVENTS = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "salt": st.just("A" * 22),
        "time": TIMES,
        "action": st.sampled_from(sorted(ACTIONS)),
        "actor": st.fixed_dictionaries(
            {"principal": TEXTS.filter(bool), "kind": st.sampled_from(["human", "service", "agent"])},
            optional={"credential": maybe(TEXTS), "session": maybe(TEXTS), "device": maybe(TEXTS), "x": st.lists(TEXTS, max_size=2)},
        ),
        "resource": st.fixed_dictionaries(
            {"kind": TEXTS.filter(bool), "id": TEXTS.filter(bool)},
            optional={
                "version": maybe(TEXTS),
                "part": maybe(TEXTS),
                "collection": maybe(TEXTS),
                "sensitivity": st.sampled_from(["public", None]),
            },
        ),
        "outcome": st.sampled_from(["allowed", "denied", "error"]),
    },
    optional={
        "usage": member(bytes=COUNTS, objects=COUNTS, tokens_in=COUNTS, tokens_out=COUNTS, duration_ms=COUNTS),
        "why": member(purpose=TEXTS, grant=TEXTS, ticket=TEXTS, text=TEXTS),
        "source": member(ip=TEXTS, country=TEXTS, user_agent=TEXTS, host=TEXTS),
        "attrs": maybe(st.dictionaries(st.sampled_from(["request_id", "request.id", "other"]), TEXTS)),
        "number": NUMBERS.map("<{}>".format),
    },
)


def written(value: Any, ascii_only: bool, spaces: bool) -> bytes:
    """In one of the writer's own ways; what stands as "<…>" is a number of any length, and texts hold neither of the two."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=None if spaces else (",", ":"))
    return text.replace('"<', "").replace('>"', "").encode()


WRITTEN = st.builds(written, EVENTS, st.booleans(), st.booleans())


@given(raws=st.lists(WRITTEN, min_size=1, max_size=60))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_event(client: Client, raws: list[bytes]) -> None:
    assert of_events(client, raws).kept == []


ODD = TEXTS | st.integers(-(2**63), 2**64 - 1) | st.none() | st.booleans() | st.lists(st.integers(0, 9), max_size=2)
HEADERS = st.fixed_dictionaries(
    {"v": st.just(1), "key": st.just("0" * 16)},
    optional=dict.fromkeys(("agent", "run", "n", "first", "count", "epoch", "other"), ODD) | {"number": NUMBERS.map("<{}>".format)},
)
ENTRIES = st.builds(
    lambda kind, generation, offset, at, verdict, header: encode_entry(
        Entry(kind, 0, generation, offset, at, verdict, header, bytes(64), b"")
    ),
    st.integers(0, 7),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**40) | st.sampled_from([1_795_406_400_000]),
    st.sampled_from(Verdict),
    st.builds(written, HEADERS, st.booleans(), st.booleans()),
)


@given(entries=st.lists(ENTRIES, min_size=1, max_size=60))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_entry(client: Client, entries: list[bytes]) -> None:
    assert of_entries(client, entries).kept == []


def test_an_erased_row_has_empty_columns(client: Client) -> None:
    empty_tables(client)
    insert_rows(client, "events", [(0, 0, 0, make_event(1), HASH)])
    client.command("ALTER TABLE events UPDATE raw = '' WHERE 1 SETTINGS mutations_sync = 2")
    [group] = groups(ClickHouseSource(client).events(0, 0, 1))
    findings = Findings()
    EventColumns(0, findings).erased(0, 0, group.columns[0])
    assert (group.raws, findings.kept) == ([b""], [])

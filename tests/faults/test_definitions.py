"""Whoever may alter the store changes a definition in a real ClickHouse: tables, views, engines, limits of life. Each is told, by name."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.history import make_history
from tests.support.history_tables import empty_tables, insert_history

from tallystick_audit.verify import verify_history
from tallystick_audit.verify.clickhouse import open_source
from tallystick_audit.verify.definitions import TRIED, Definitions, compare_definitions
from tallystick_audit.verify.report import Aspect, Findings, Outcome
from tallystick_infra.cli import doctor_store
from tallystick_infra.clickhouse.grants import TABLES, VIEWS
from tallystick_infra.clickhouse.migrate import definitions
from tallystick_infra.deployment import Deployment

pytestmark = pytest.mark.embedded
WANTED = definitions()
HISTORY = make_history()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as embedded:
        yield embedded


@pytest.fixture
def client(server: EmbeddedClickHouse) -> Iterator[Client]:
    """The owner, on a store whose tables and views are as the migrations make them; so they are for the next test."""
    owner = server.client()
    yield owner
    # A dictionary holds the table that it reads.
    query = "SELECT name, engine FROM system.tables WHERE database = currentDatabase() ORDER BY engine = 'Dictionary' DESC"
    for name, engine in owner.query(query).result_rows:
        owner.command(f"DROP {'DICTIONARY' if engine == 'Dictionary' else 'TABLE'} `{name}` SYNC")
    for statement in WANTED:
        owner.command(statement)


def stored(server: EmbeddedClickHouse, role: str = "cli") -> Definitions:
    source = open_source(server.settings(role=role))  # type: ignore[arg-type]
    try:
        return source.definitions(WANTED)
    finally:
        source.close()


def compared(server: EmbeddedClickHouse, role: str = "cli") -> tuple[Findings, list[str]]:
    findings = Findings()
    notes = compare_definitions(stored(server, role), WANTED, findings)
    return findings, notes


def test_what_the_migrations_make_compares_equal(server: EmbeddedClickHouse) -> None:
    seen = stored(server)
    assert seen.version.startswith(TRIED)
    assert sorted(seen.found) == sorted((*TABLES, *VIEWS))
    findings, notes = compared(server)
    assert (findings.kept, notes) == ([], [])


def test_the_auditor_sees_all_definitions(server: EmbeddedClickHouse) -> None:
    findings, notes = compared(server, "auditor")
    assert (findings.kept, notes) == ([], [])


def test_what_the_user_may_not_see_is_told(server: EmbeddedClickHouse) -> None:
    """On a server of one's own, without the grants that the operator's page names."""
    seen, findings = stored(server), Findings()
    some = {name: text for name, text in seen.found.items() if name not in ("notary_snapshots", "findings")}
    notes = compare_definitions(replace(seen, found=some), WANTED, findings)
    assert findings.kept == []
    assert notes == ["not compared, since this user may not see their definitions: notary_snapshots, findings"]


CHANGES = [
    ("events", "ALTER TABLE events MODIFY COLUMN principal String DEFAULT 'nobody'", "events: column principal is"),
    ("events", "ALTER TABLE events MODIFY COLUMN principal String MATERIALIZED 'nobody'", "events: column principal is"),
    ("events", "ALTER TABLE events MODIFY COLUMN principal REMOVE MATERIALIZED", "events: column principal is"),
    ("events", "ALTER TABLE events DROP COLUMN part, ADD COLUMN part String ALIAS 'none'", "events: column part is"),
    ("events", "ALTER TABLE events MODIFY COLUMN bytes UInt8", "events: column bytes is"),
    ("events", "ALTER TABLE events DROP COLUMN session", "events: column session is `nothing`"),
    ("events", "ALTER TABLE events ADD COLUMN who String DEFAULT principal", "events: column who is"),
    ("events", "ALTER TABLE events MODIFY COLUMN leaf FixedString(32) DEFAULT SHA256(raw)", "events: column leaf is"),
    ("events", "ALTER TABLE events MODIFY TTL toDateTime(time) + INTERVAL 1 DAY", "events: its definition is"),
    ("events", "ALTER TABLE events MODIFY COLUMN part String TTL toDateTime(time) + INTERVAL 1 DAY", "events: column part is"),
    ("events", "ALTER TABLE events ADD CONSTRAINT c ASSUME shard = 0", "events: CONSTRAINT c is"),
    ("events", "ALTER TABLE events MODIFY SETTING fsync_after_insert = 0", "events: setting fsync_after_insert is 0"),
    (
        "ledger_entries",
        "ALTER TABLE ledger_entries MODIFY COLUMN agent LowCardinality(String) DEFAULT 'cli'",
        "ledger_entries: column agent is",
    ),
    ("ledger_entries", "ALTER TABLE ledger_entries MODIFY COLUMN verdict UInt8 MATERIALIZED 0", "ledger_entries: column verdict is"),
    ("checkpoints", "ALTER TABLE checkpoints MODIFY COLUMN time DateTime64(6, 'UTC') DEFAULT now64(6)", "checkpoints: column time is"),
    ("root_leaves", "ALTER TABLE root_leaves ADD COLUMN x UInt8", "root_leaves: column x is"),
    ("notary_snapshots", "ALTER TABLE notary_snapshots MODIFY COLUMN state String DEFAULT 'x'", "notary_snapshots: column state is"),
    ("schema_versions", "ALTER TABLE schema_versions MODIFY COLUMN name String DEFAULT 'x'", "schema_versions: column name is"),
    *((name, f"DROP TABLE {name} SYNC", f"{name} is missing") for name in TABLES),
    *((name, f"DROP VIEW {name} SYNC", f"{name} is missing") for name in VIEWS),
    *((name, f"CREATE OR REPLACE VIEW {name} AS SELECT 1 AS finding", f"{name}: its definition is") for name in VIEWS),
    (
        "findings",
        "CREATE OR REPLACE VIEW findings AS SELECT * FROM finding_events WHERE agent != 'detectors'",
        "findings: its definition is",
    ),
    ("rejected", "DROP TABLE rejected SYNC; CREATE TABLE rejected (shard UInt32, `index` UInt64, raw String) ENGINE = Null", "rejected: "),
    (
        "rejected",
        "RENAME TABLE rejected TO away; CREATE VIEW rejected AS SELECT * FROM away WHERE shard > 0",
        "rejected is made by `CREATE VIEW`",
    ),
    (
        "root_leaves",
        "DROP TABLE root_leaves SYNC; CREATE TABLE root_leaves (`index` UInt64, leaf String) ENGINE = ReplacingMergeTree ORDER BY `index` "
        "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024",
        "root_leaves: its definition is",
    ),
    (
        "checkpoints",
        "RENAME TABLE checkpoints TO away; CREATE DICTIONARY checkpoints (size UInt64, note String) PRIMARY KEY size "
        "SOURCE(CLICKHOUSE(TABLE 'away')) LAYOUT(FLAT()) LIFETIME(0)",
        "checkpoints is made by `CREATE DICTIONARY`",
    ),
]


@pytest.mark.parametrize(("name", "change", "told"), CHANGES, ids=[one[1][:60] for one in CHANGES])
def test_is_told(server: EmbeddedClickHouse, client: Client, name: str, change: str, told: str) -> None:
    for statement in change.split("; "):
        client.command(statement)
    findings, _ = compared(server)
    assert findings.outcome(Aspect.INTEGRITY) == Outcome.FAIL
    assert all(one.step == 7 and one.reason.startswith(name) for one in findings.kept)
    assert [one.reason for one in findings.kept if one.reason.startswith(told)]


def test_what_an_operator_tunes_is_a_note(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("ALTER TABLE events ADD INDEX by_host host TYPE bloom_filter")
    client.command("ALTER TABLE events MODIFY SETTING merge_with_ttl_timeout = 7")
    client.command("ALTER TABLE events MODIFY COLUMN raw String CODEC(ZSTD(3))")
    client.command("CREATE TABLE dashboards (a UInt8) ENGINE = MergeTree ORDER BY a")
    findings, notes = compared(server)
    assert findings.kept == []
    assert notes == [
        "events has beside what the migrations make: INDEX by_host, merge_with_ttl_timeout = 7",
        "database tallystick has beside what the migrations make: dashboards",
    ]


def test_audit_verify_tells(server: EmbeddedClickHouse, client: Client) -> None:
    empty_tables(client)
    insert_history(client, HISTORY)

    def judged():  # type: ignore[no-untyped-def]
        return verify_history(server.auditor(), HISTORY.log, HISTORY.now, processes=1, settle_s=0, definitions=WANTED)

    assert (judged().integrity, judged().exit_code) == ("pass", 0)
    client.command("CREATE OR REPLACE VIEW findings AS SELECT 1 AS finding")
    report = judged()
    assert (report.integrity, report.exit_code) == ("fail", 1)
    assert [(one.step, one.shard, one.index) for one in report.failures] == [(7, None, None)]


def test_doctor_tells(server: EmbeddedClickHouse, client: Client) -> None:
    deployment = cast("Deployment", SimpleNamespace(clickhouse=lambda: server.settings(role="cli")))
    [well] = doctor_store.definitions(deployment)
    assert (well.name, well.ok, well.seen) == ("tables", True, f"{len(WANTED)} definitions compared with the migrations")
    client.command("DROP VIEW findings SYNC")
    [wrong] = doctor_store.definitions(deployment)
    assert (wrong.name, wrong.ok, wrong.seen.split(" in ")[0]) == ("tables", False, "findings is missing")


def test_a_server_that_was_not_tried_accuses_nobody(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE OR REPLACE VIEW findings AS SELECT 1 AS finding")
    findings = Findings()
    compare_definitions(replace(stored(server), version="99.1.2"), WANTED, findings)
    [only] = findings.kept
    assert (only.outcome, only.verdict) == (Outcome.UNKNOWN, Aspect.INTEGRITY)
    assert "server 99.1.2 may print it otherwise" in only.reason


def test_a_server_without_a_formatter_is_unknown(server: EmbeddedClickHouse) -> None:
    findings = Findings()
    compare_definitions(replace(stored(server), wanted=[None] * len(WANTED)), WANTED, findings)
    assert {one.outcome for one in findings.kept} == {Outcome.UNKNOWN}
    assert len(findings.kept) == len(WANTED)


def test_engines_of_clusters_are_the_same(server: EmbeddedClickHouse) -> None:
    seen = stored(server)
    text = seen.found["events"].replace(
        "= ReplacingMergeTree", "= SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')"
    )
    snapshots = seen.found["notary_snapshots"].replace("= ReplacingMergeTree(index)", "= ReplicatedReplacingMergeTree('/x', 'r', index)")
    assert (text, snapshots) != (seen.found["events"], seen.found["notary_snapshots"])
    findings = Findings()
    compare_definitions(replace(seen, found={**seen.found, "events": text, "notary_snapshots": snapshots}), WANTED, findings)
    assert findings.kept == []


def test_row_policies(server: EmbeddedClickHouse) -> None:
    """The embedded engine has nowhere to keep one; what a server of one's own answers is put in its place."""
    seen, findings = stored(server), Findings()
    assert seen.policies == []
    compare_definitions(replace(seen, policies=[("events", "hide_bob"), ("", "all"), ("elsewhere", "p")]), WANTED, findings)
    told = [one.reason.split(" from ")[0] for one in findings.kept]
    assert told == [f"row policy {what}" for what in ("hide_bob may hide rows of events", "all may hide rows of every table")]
    notes = compare_definitions(replace(seen, policies=None), WANTED, Findings())
    assert notes == ["not looked at: row policies, which this user may not see"]


def test_no_definitions_no_comparison(server: EmbeddedClickHouse, client: Client) -> None:
    empty_tables(client)
    insert_history(client, HISTORY)
    report = verify_history(server.auditor(), HISTORY.log, HISTORY.now, processes=1, settle_s=0)
    assert report.notes == ("not compared: the definitions of tables and views; nobody said what they should be",)

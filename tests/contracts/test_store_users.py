"""The users of the embedded store: each may do what the table of grants says, and nothing else, however it asks."""

import base64
import gzip
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from tests.support.asking import Asking
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.history import make_history
from tests.support.history_tables import insert_history
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger

from tallystick_infra.clickhouse.grants import GRANTS, ROLES, TABLES, VIEWS, Role
from tallystick_schemas.fold import Fold, Parameters
from tallystick_stream_jobs.notary.core import ShardNotary
from tallystick_stream_jobs.notary.keeping import MINUTE_MS
from tallystick_stream_jobs.notary.ledger import ClickHouseLedger, Rows
from tallystick_stream_jobs.notary.rows import entry_row
from tallystick_stream_jobs.sealer.core import RootLeaf
from tallystick_stream_jobs.sealer.store import ClickHouseSealStore

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(300)]
HISTORY = make_history(agents=2, segments=4, events_per_segment=2)
OTHERS: tuple[Role, ...] = tuple(GRANTS)
COLUMNS = {
    "ledger_entries": "(shard, index, entry, leaf, chain)",
    "events": "(shard, index, pos, raw)",
    "rejected": "(shard, index, raw)",
    "notary_snapshots": "(shard, index, epoch, state)",
    "checkpoints": "(origin, size, root, note, time)",
    "root_leaves": "(index, leaf)",
    "schema_versions": "(version, name, sha256, applied_at)",
}
PARAMETERS = {"dispositions": "(closed_by = ['cli'])", "detector_quality": "(closed_by = ['cli'], days = 90)"}
REFUSED = {"164", "497"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as embedded:
        insert_history(embedded.client(), HISTORY)
        yield embedded


@pytest.fixture
def unchanged(server: EmbeddedClickHouse) -> Iterator[None]:
    """The store's tables are afterwards what they were."""
    before = _content(server)
    yield
    assert _content(server) == before


def _content(server: EmbeddedClickHouse) -> list[str]:
    with Asking(server.settings()) as owner:
        tables = owner.ask("SELECT name, engine, create_table_query FROM system.tables WHERE database = 'tallystick' ORDER BY name")[1]
        return [tables, *(owner.ask(f"SELECT count(), sum(cityHash64(*)) FROM {table}")[1] for table in TABLES)]


def test_the_table_names_everything_that_the_migrations_make(server: EmbeddedClickHouse) -> None:
    with Asking(server.settings()) as owner:
        code, said = owner.ask("SELECT name FROM system.tables WHERE database = 'tallystick'")
    assert (code, sorted(said.split())) == (None, sorted((*TABLES, *VIEWS)))


@pytest.mark.parametrize("role", OTHERS)
def test_select(server: EmbeddedClickHouse, role: Role) -> None:
    with Asking(server.settings(role=role)) as user:
        said = {name: user.ask(f"SELECT count() FROM {name}{PARAMETERS.get(name, '')}") for name in (*TABLES, *VIEWS)}
    assert {name for name, (code, _) in said.items() if code is None} == set(GRANTS[role].reads)
    refused = {name: one for name, one in said.items() if one[0] is not None}
    assert {code for code, _ in refused.values()} <= {"497"}
    assert all(f"{role}: Not enough privileges" in text and "docs/operator.md" in text for _, text in refused.values())


def test_the_sealer_reads_back_what_it_signed(server: EmbeddedClickHouse) -> None:
    client = clickhouse_connect.get_client(**server.settings(role="sealer").client_kwargs(), compress=False)
    store = ClickHouseSealStore(client)
    assert list(store.root_leaves(2, None)) == [RootLeaf(*one) for one in HISTORY.root_leaves[2:]]
    assert list(store.root_leaves(1, 3)) == [RootLeaf(*one) for one in HISTORY.root_leaves[1:3]]
    root = sorted((size, note) for origin, size, _, note in HISTORY.checkpoints if origin == HISTORY.log.root_origin)
    assert [one.note for one in store.notes(HISTORY.log.root_origin, root[0][0], root[-1][0])] == [note for _, note in root]
    assert [one.note for one in store.notes(HISTORY.log.root_origin, root[1][0], root[1][0])] == [root[1][1]]
    assert list(store.newest_notes(HISTORY.log.root_origin, root[1][0])) == [note for _, note in reversed(root[1:])]
    assert list(store.directives()) == []


def test_the_sealer_reads_on_over_the_end_of_a_page(server: EmbeddedClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.sealer.store._PAGE", 2)
    monkeypatch.setattr("tallystick_stream_jobs.sealer.store._FEW", 2)
    test_the_sealer_reads_back_what_it_signed(server)


@pytest.mark.parametrize("role", OTHERS)
def test_insert(server: EmbeddedClickHouse, role: Role, unchanged: None) -> None:
    with Asking(server.settings(role=role)) as user:
        said = {name: user.ask(f"INSERT INTO {name} {COLUMNS.get(name, '')} FORMAT RowBinary\n") for name in (*TABLES, *VIEWS)}
    assert {name for name, (code, _) in said.items() if code is None} == set(GRANTS[role].inserts)
    assert {code for code, _ in said.values()} <= {None, "497"}
    assert all(f"{role}: " in text and f"tallystick.{name}" in text for name, (code, text) in said.items() if code)


CHANGES = (
    "ALTER TABLE {table} DELETE WHERE 1",
    "ALTER TABLE {table} ADD COLUMN extra UInt8",
    "ALTER TABLE {table} DROP PARTITION tuple()",
    "DROP TABLE {table}",
    "DROP VIEW {table}",
    "DETACH TABLE {table}",
    "RENAME TABLE {table} TO gone",
    "EXCHANGE TABLES {table} AND events",
    "TRUNCATE TABLE {table}",
    "DELETE FROM {table} WHERE 1",
    "DELETE FROM {table} WHERE shard = 0 AND index > -1",
    "UPDATE {table} SET shard = 1 WHERE 1",
    "OPTIMIZE TABLE {table} FINAL",
    "INSERT INTO {table} SELECT * FROM {table}",
    "INSERT INTO {table} VALUES (1, 2, 3)",
    "SYSTEM STOP MERGES {table}",
    "CREATE OR REPLACE VIEW {table} AS SELECT 1",
    "CREATE TABLE extra AS {table}",
    "BACKUP TABLE {table} TO File('/tmp/tallystick-backup')",
    "GRANT ALL ON {table} TO default",
)


@pytest.mark.parametrize("role", OTHERS)
def test_nothing_else(server: EmbeddedClickHouse, role: Role, unchanged: None) -> None:
    """Also on tables that it may read and write."""
    with Asking(server.settings(role=role)) as user:
        said = {
            query: user.ask(query)[0] for change, table in product(CHANGES, (*TABLES, *VIEWS)) for query in [change.format(table=table)]
        }
    assert {query for query, code in said.items() if code not in REFUSED} == set()


SECRET = "a secret of this machine"
TRICKS = (
    "SET ROLE owner",
    "SET ROLE owner; SELECT 1",
    "SELECT 1; SET ROLE owner",
    "SELECT 1 /* ; */; SET ROLE owner",
    "SELECT 1;; DROP TABLE events",
    "EXISTS events; DROP TABLE events",
    "DESCRIBE events\n; SET ROLE owner",
    "SET readonly = 0",
    "USE system",
    "EXECUTE AS default SELECT 1",
    "SELECT 1 PARALLEL WITH DROP TABLE events",
    "WITH 9 AS n INSERT INTO root_leaves (index, leaf) SELECT n, 'x'",
    "/* SELECT */ INSERT INTO events SELECT * FROM events",
    "-- SELECT\nDROP TABLE events",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_threads = 1, readonly = 0",
    "SELECT 1 SETTINGS max_threads = 1 SETTINGS allow_introspection_functions = 1",
    "SELECT demangle('_Z1fv') SETTINGS allow_introspection_functions = 1",
    "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT 1 INTO OUTFILE '{out}'",
    "(SELECT 1) INTO\n/**/\nOUTFILE '{out}'",
    "SELECT 1 INTO OUTFILE '{out}' SETTINGS max_threads = 1",
    "SELECT file('{path}')",
    "SELECT `file`('{path}')",
    "SELECT `fi\\x6ce`('{path}')",
    "SELECT \"f\\u0069le\"('{path}')",
    "SELECT \N{LEFT DOUBLE QUOTATION MARK}file\N{RIGHT DOUBLE QUOTATION MARK}('{path}')",
    "SELECT FILE('{path}')",
    "SELECT arrayMap({{f:Identifier}}, ['{path}'])",
    "SELECT * APPLY file FROM (SELECT '{path}')",
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT * FROM `{path}`",
    "SELECT * FROM default.`{path}`",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM url('https://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'system.one')",
    "SELECT * FROM sqlite('{path}', 't')",
    "SELECT * FROM s3('https://127.0.0.1:1/bucket/x', 'LineAsString')",
    "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
    "SELECT * FROM Python(engine)",
    "SELECT * FROM arrowstream('engine')",
    "SELECT * FROM loop(tallystick.schema_versions)",
    "SELECT * FROM merge('tallystick', '^schema_versions$')",
    "SELECT * FROM mergeTreeIndex('tallystick', 'schema_versions')",
    "SELECT * FROM view(SELECT * FROM schema_versions)",
    "SELECT (SELECT max(version) FROM schema_versions)",
    "WITH s AS (SELECT * FROM schema_versions) SELECT * FROM s",
    "SELECT 1 WHERE 1 IN (SELECT version FROM schema_versions)",
    "SELECT 1 WHERE 1 IN schema_versions",
    "SELECT 1 UNION ALL SELECT version FROM schema_versions",
    "SELECT * FROM (EXPLAIN SELECT * FROM schema_versions)",
    "DESCRIBE schema_versions",
    "SELECT hasColumnInTable('tallystick', 'schema_versions', 'version')",
    "SELECT * FROM system.processes",
    "SELECT * FROM `system`.`processes`",
    "SELECT * FROM system . processes",
    "SELECT * FROM system.settings, system.processes",
    "SELECT * FROM system.users",
    "SHOW GRANTS",
    "SHOW CREATE TABLE events",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "FROM schema_versions SELECT *",
    "FROM events SELECT 1",
    "INSERT INTO FUNCTION file('{out}', 'LineAsString') FORMAT RowBinary\nx",
    "INSERT INTO TABLE FUNCTION file('{out}', 'LineAsString') FORMAT RowBinary\nx",
    "INSERT INTO system.one FORMAT RowBinary\nx",
    "INSERT INTO default.events FORMAT RowBinary\nx",
    "INSERT INTO schema_versions FORMAT RowBinary\nx",
    "INSERT INTO `tallystick.schema_versions` FORMAT RowBinary\nx",
    "INSERT INTO events (raw) SELECT file('{path}') FORMAT RowBinary\nx",
    "INSERT INTO events (raw) SETTINGS readonly = 0 FORMAT RowBinary\nx",
    "INSERT INTO rejected (shard, index, raw) FORMAT Values (0, 9, file('{path}'))",
    "INSERT INTO rejected (shard, index, raw) FORMAT TSV\n0\t9\tx\n",
    "INSERT INTO rejected (shard, index, raw) FROM INFILE '{path}' FORMAT RowBinary\nx",
    "INSERT INTO events (shard) SELECT 1 AS FORMAT FORMAT RowBinary\nx",
    "DELETE FROM rejected WHERE shard = {{shard:UInt32}} AND index > {{above:Int64}} OR 1",
    "DELETE FROM ledger_entries WHERE shard = {{shard:UInt32}} AND index > {{above:Int64}}",
    "DELETE FROM events WHERE shard = {{shard:UInt32}} AND index > {{above:Int64}}",
)
"""What the notary may, by other words; each of these is refused to everybody whose grants do not name the table."""


@pytest.mark.parametrize("role", ["notary", "console", "auditor", "outbox"])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_opens_it(server: EmbeddedClickHouse, role: Role, trick: str, tmp_path: Path, unchanged: None) -> None:
    path, out = tmp_path / "operator.key", tmp_path / "out"
    path.write_text(SECRET)
    with Asking(server.settings(role=role)) as user:
        code, said = user.ask(trick.format(path=path, out=out), param_f="file", param_shard="0", param_above="-1")
        assert user.ask("SELECT currentRoles()") == (None, f"['{role}']\n")
    # ClickHouse's own words for: no such table, no such statement, a statement that is no question, no table that this user sees.
    assert code in REFUSED | {"60", "62", "36", "636"}, said
    assert SECRET not in said
    assert list(tmp_path.iterdir()) == [path]


def test_how_it_is_sent_changes_nothing(server: EmbeddedClickHouse, unchanged: None) -> None:
    """Address, body, form, compression, default format and database are read before anything is judged."""
    drop = "DROP TABLE events"
    form = b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n' + drop.encode() + b"\r\n--x--\r\n"
    with Asking(server.settings(role="notary")) as user:
        said = [
            user.ask("", query=drop),
            user.ask("TABLE events", query="DROP"),
            user.ask("; " + drop, query="SELECT 1"),
            user.ask(" INTO OUTFILE '/tmp/tallystick-out'", query="SELECT 1"),
            user.ask(form, {"Content-Type": "multipart/form-data; boundary=x"}),
            user.ask(gzip.compress(drop.encode()), {"Content-Encoding": "gzip"}),
            user.ask("SELECT 1", default_format="TSV INTO OUTFILE '/tmp/tallystick-out'"),
            user.ask("SELECT 1", default_format="DataFrame"),
            user.ask("SELECT * FROM processes", database="system"),
            user.ask("SELECT 1", {"X-ClickHouse-Database": "system"}, database=""),
            user.ask("SELECT 1", readonly="0"),
            user.ask("SELECT 1", dialect="kusto"),
            user.ask("SELECT 1", max_threads="1, readonly = 0"),
            user.ask("INSERT INTO events (shard, index, pos, raw) FORMAT RowBinary\n", input_format_allow_errors_num="1"),
            user.ask("INSERT INTO events (shard, index, pos, raw) FORMAT RowBinary\n", async_insert="1, readonly = 0"),
            user.ask(drop, session_id="a", session_timeout="60"),
            user.ask(drop, user="tallystick"),
            user.ask(drop, role="owner"),
        ]
    assert [one for one in said if one[0] not in REFUSED | {"73"}] == []


def test_each_user_has_a_password_of_its_own(server: EmbeddedClickHouse) -> None:
    passwords = {role: server.settings(role=role).password for role in ROLES}
    assert len(set(passwords.values())) == len(ROLES)
    for role, other in product(ROLES, ROLES):
        with Asking(server.settings(role=role)) as user:
            user._headers["X-ClickHouse-Key"] = passwords[other]
            assert user.ask("SELECT 1")[0] == (None if role == other else "516")
    for name in ("", "default", "gateway", "signals", "owner", "nobody"):
        with Asking(server.settings()) as user:
            user._headers["X-ClickHouse-User"] = name
            assert user.ask("SELECT 1")[0] == "516"


def test_the_official_client_writes_what_its_user_may(server: EmbeddedClickHouse) -> None:
    sealer = server.client(role="sealer")
    sealer.insert("root_leaves", [[1000, "x"]], column_names=["index", "leaf"], settings={"async_insert": 0, "insert_deduplicate": 0})
    assert server.client().query("SELECT leaf FROM root_leaves WHERE index = 1000").result_rows == [("x",)]
    server.client().command("DELETE FROM root_leaves WHERE index = 1000")
    with pytest.raises(ClickHouseError, match=r"sealer: Not enough privileges.*INSERT ON tallystick\.events"):
        sealer.raw_insert("events", ["shard", "index", "pos", "raw"], insert_block=b"", fmt="RowBinary")


def test_the_notary_deletes_what_has_no_entry_and_nothing_else(server: EmbeddedClickHouse) -> None:
    owner, notary = server.client(), server.client(role="notary")
    orphans = "SELECT count() FROM rejected WHERE shard = 0 AND index > 5000"
    highest = owner.query("SELECT max(index) FROM ledger_entries WHERE shard = 0").result_rows[0][0]
    ledger = ClickHouseLedger(notary)
    row = (0).to_bytes(4, "little") + (5001).to_bytes(8, "little") + b"\1x"
    notary.raw_insert("rejected", ["shard", "index", "raw"], insert_block=row, fmt="RowBinary")
    assert owner.query(orphans).result_rows == [(1,)]
    with pytest.raises(ClickHouseError, match="the ledger has entries of these rows"):
        ledger.drop_orphans(0, highest - 1)
    assert owner.query(orphans).result_rows == [(1,)]
    ledger.drop_orphans(0, highest)
    assert owner.query(orphans).result_rows == [(0,)]


def test_the_notary_is_told_what_is_kept_of_rejected_records_by_the_minute(server: EmbeddedClickHouse) -> None:
    """As the ledger in memory tells it; rows that stand twice, or above where it asks, do not count."""
    shard, minute = 9, 29_000_000 * MINUTE_MS
    ledgers = (ClickHouseLedger(server.client(role="notary")), MemoryLedger(Faults()))
    batch = ShardNotary(Fold(Parameters.of(shard, "x/shard/9", (), ())), lambda *_: None, SNAPSHOTS.sign).process(
        [(offset, minute + offset * MINUTE_MS // 3, b"x" * (offset + 1)) for offset in range(9)]
    )
    for ledger in ledgers:
        for _ in range(2):
            ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))
        assert sorted(ledger.kept(shard, -1)) == []
        found = Counter[tuple[int, bool]]()
        for at, signed, size in ledger.kept(shard, 7):
            found[at, signed] += size
        assert found == {(29_000_000, False): 1 + 2 + 3, (29_000_001, False): 4 + 5 + 6, (29_000_002, False): 7 + 8}


def test_a_client_without_the_certificate_says_nothing(server: EmbeddedClickHouse) -> None:
    settings = server.settings(role="cli").client_kwargs()
    with pytest.raises(ClickHouseError, match="CERTIFICATE_VERIFY_FAILED"):
        clickhouse_connect.get_client(**settings | {"ca_cert": None})
    with pytest.raises(ClickHouseError):
        clickhouse_connect.get_client(**settings | {"secure": False})


def test_what_the_server_keeps_of_a_password_is_its_hash(server: EmbeddedClickHouse) -> None:
    """What it wrote anywhere holds none."""
    password = server.settings(role="notary").password
    forms = [password.encode(), base64.b64encode(f"notary:{password}".encode())]
    kept = {path: _bytes(path) for path in server.directory.rglob("*") if path.parent != server.keys / "clickhouse"}
    assert sum(map(bool, kept.values())) > 5
    assert [path for path, raw in kept.items() if any(form in raw for form in forms)] == []


def _bytes(path: Path) -> bytes:
    """Nothing for a folder, and for a part that the server merged away since it was listed: what is gone keeps nothing."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def test_the_notary_finds_the_lowest_gap(server: EmbeddedClickHouse) -> None:
    """Rows that were inserted twice are no gap, and the shard's end is none."""
    ledger = ClickHouseLedger(server.client(role="notary"))
    sizes = {shard: HISTORY.size(shard) for shard in range(HISTORY.log.shards)}
    assert [ledger.lowest_gap(shard) for shard in (*sizes, 70)] == [None] * (len(sizes) + 1)
    for shard, indexes, gap in ((71, (0, 1, 1, 2), None), (72, (0, 1, 4, 9), 2), (73, (1, 2), 0), (74, (3,), 0)):
        for index in indexes:
            ledger.insert(Rows((), (), [entry_row(shard, index, b"x" * 40, bytes(32), bytes(32))], ()))
        assert ledger.lowest_gap(shard) == gap
    with Asking(server.settings()) as owner:
        owner.ask("DELETE FROM ledger_entries WHERE shard > 70")

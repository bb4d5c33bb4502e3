"""User `auditor` of the embedded server: reads the history and verifies it, and everything else is ClickHouse's own refusal, code 164 or 497."""

import dataclasses
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse, trusting
from tests.support.history import make_history
from tests.support.history_tables import insert_history

from tallystick_audit.verify import verify_history
from tallystick_schemas.settings import ClickHouseSettings

pytestmark = pytest.mark.embedded
HISTORY = make_history(agents=3, segments=180, events_per_segment=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as embedded:
        insert_history(embedded.client(), HISTORY)
        yield embedded


def ask(settings: ClickHouseSettings, query: str, **parameters: str) -> tuple[str | None, str]:
    """(ClickHouse's error code, body) of a plain request."""
    address = f"https://{settings.host}:{settings.port}/?" + urllib.parse.urlencode({"database": "tallystick"} | parameters)
    headers = {"X-ClickHouse-User": settings.username, "X-ClickHouse-Key": settings.password}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, query.encode(), headers), timeout=30, context=trusting(settings.ca_cert)
        ) as answer:
            return None, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.headers["X-ClickHouse-Exception-Code"], error.read().decode()


def test_the_auditor_verifies_the_whole_history_in_processes(server: EmbeddedClickHouse) -> None:
    report = verify_history(server.auditor(), HISTORY.log, HISTORY.now, processes=2, settle_s=0)
    assert (report.exit_code, report.entries, report.events) == (0, len(HISTORY.entries), len(HISTORY.events))
    assert report.entries > 500  # below, no process is started


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT count() FROM root_leaves WHERE index = 0", "1\n"),
        ("WITH 2 AS two SELECT two + 1", "3\n"),
        ("EXISTS TABLE events", "1\n"),
        ("SELECT count() FROM findings", "0\n"),
        ("SELECT count() < 2 FROM events SETTINGS max_threads = 1, max_execution_time = 30", "0\n"),
        ("SELECT name FROM system.tables WHERE database = 'tallystick' AND name LIKE 'r%' ORDER BY name", "rejected\nroot_leaves\n"),
        ("SELECT length({p:String})", "8\n"),
        ("SELECT 1 FORMAT JSONEachRow", '{"1":1}\n'),
    ],
)
def test_reads(server: EmbeddedClickHouse, query: str, said: str) -> None:
    assert ask(server.auditor(), query, param_p="file\\\\'--") == (None, said)


def test_describes(server: EmbeddedClickHouse) -> None:
    code, said = ask(server.auditor(), "DESCRIBE TABLE root_leaves")
    assert (code, said.split("\t")[0]) == (None, "index")


WRITES = (
    "INSERT INTO root_leaves (index, leaf) VALUES (9, 'x')",
    "INSERT INTO root_leaves (index, leaf) FORMAT TSV\n9\tx\n",
    "DROP TABLE root_leaves",
    "TRUNCATE TABLE root_leaves",
    "ALTER TABLE root_leaves DELETE WHERE 1",
    "OPTIMIZE TABLE root_leaves FINAL",
    "CREATE TABLE t (n UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE t (n UInt8)",
    "RENAME TABLE root_leaves TO gone",
    "SET readonly = 0",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "USE default",
    "BACKUP TABLE root_leaves TO File('/tmp/b')",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "SELECT 1 SETTINGS readonly = 0",
)
REACHES_OUT = (
    "SELECT file('{path}')",
    "SELECT `file`('{path}')",
    "SELECT `fi\\x6ce`('{path}')",
    "SELECT file/**/('{path}')",
    "SELECT arrayMap({{f:Identifier}}, ['{path}'])",
    "SELECT arrayMap({{f:identifier}}, ['{path}'])",
    "SELECT * APPLY file FROM (SELECT '{path}')",
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT * FROM `{path}`",
    "SELECT * FROM default.`{path}`",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'system.one')",
    "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
    "SELECT * FROM Python(x)",
    "SELECT 1 INTO OUTFILE '{path}.out'",
    "SELECT 1 INTO/**/OUTFILE '{path}.out'",
    "DESCRIBE file('{path}')",
    "DESCRIBE TABLE url('http://127.0.0.1:1/')",
)


@pytest.mark.parametrize("query", WRITES)
def test_everything_else_is_readonly(server: EmbeddedClickHouse, query: str) -> None:
    before = ask(server.settings(), "SELECT count(), sum(cityHash64(*)) FROM root_leaves")
    assert ask(server.auditor(), query)[0] == "164"
    assert ask(server.settings(), "SELECT count(), sum(cityHash64(*)) FROM root_leaves") == before


@pytest.mark.parametrize("query", REACHES_OUT)
@pytest.mark.parametrize("database", ["tallystick", "default"])
def test_nothing_outside_the_tables_is_read_or_written(server: EmbeddedClickHouse, query: str, database: str, tmp_path: Path) -> None:
    path = tmp_path / "operator.key"
    path.write_text("a secret of this machine")
    code, said = ask(server.auditor(), query.format(path=path), database=database, param_f="file")
    assert code in ({"60"} if query == "SELECT * FROM `{path}`" else {"164", "497"})
    assert "a secret" not in said
    assert list(tmp_path.iterdir()) == [path]


def test_an_insert_that_begins_like_a_reading_statement(server: EmbeddedClickHouse) -> None:
    before = ask(server.settings(), "SELECT count() FROM root_leaves")
    assert ask(server.auditor(), "WITH 9 AS n INSERT INTO root_leaves (index, leaf) SELECT n, 'x'")[0] in ("36", "164")
    assert ask(server.settings(), "SELECT count() FROM root_leaves") == before


def test_two_statements_are_not_one(server: EmbeddedClickHouse) -> None:
    for query in ("SELECT 1; DROP TABLE root_leaves", "SELECT 1; SET readonly = 0", "EXISTS events; DROP TABLE root_leaves"):
        assert ask(server.auditor(), query)[0] in ("62", "164")
    assert ask(server.settings(), "EXISTS root_leaves") == (None, "1\n")


def test_settings_in_the_address_do_not_open_it(server: EmbeddedClickHouse) -> None:
    assert ask(server.auditor(), "SELECT 1", readonly="0")[0] == "164"
    assert ask(server.auditor(), "SELECT 1", max_block_size="4096") == (None, "1\n")
    assert ask(server.auditor(), "SELECT 1", allow_experimental_eval_table_function="1")[0] == "164"
    assert ask(server.auditor(), "SELECT 1", max_threads="1 FORMAT Null")[0] == "164"
    assert ask(server.auditor(), "SELECT getSetting('readonly')") == (None, "2\n")
    assert ask(server.settings(), "SELECT getSetting('readonly')") == (None, "0\n")


def test_each_user_has_a_password_of_its_own(server: EmbeddedClickHouse) -> None:
    auditor = server.auditor()
    for wrong in (
        dataclasses.replace(auditor, password=server.password),
        dataclasses.replace(auditor, password=""),
        dataclasses.replace(server.settings(), password=auditor.password),
        dataclasses.replace(auditor, username="nobody"),
        dataclasses.replace(auditor, username="nobody", password=""),
    ):
        assert ask(wrong, "SELECT 1")[0] == "516"


def test_the_official_client_reads_and_cannot_write(server: EmbeddedClickHouse) -> None:
    client = clickhouse_connect.get_client(**server.auditor().client_kwargs())
    assert client.query("SELECT count() FROM ledger_entries").result_rows == [(len(HISTORY.entries),)]
    with pytest.raises(ClickHouseError, match="497"):
        client.insert("root_leaves", [[99, "x"]], column_names=["index", "leaf"])
    client.close()

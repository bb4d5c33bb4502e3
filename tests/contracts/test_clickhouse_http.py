"""ClickHouse's HTTP interface as we use it: the embedded server and a real one answer alike, to the official client and to plain curl."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from tests.support.clickhouse import running_clickhouse
from tests.support.containers import clickhouse_container

from tallystick_infra.clickhouse.migrate import migrate
from tallystick_schemas.settings import ClickHouseSettings

KINDS = [pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("container", marks=pytest.mark.containers)]


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    if request.param == "embedded":
        with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as embedded:
            yield embedded.settings()
        return
    with clickhouse_container() as settings:
        import dataclasses

        migrate(clickhouse_connect.get_client(**dataclasses.replace(settings, database="default").client_kwargs()), "tallystick")
        yield settings


@pytest.fixture
def client(server: ClickHouseSettings) -> Iterator[Any]:
    made = clickhouse_connect.get_client(**server.client_kwargs())
    made.command("DROP TABLE IF EXISTS t")
    made.command(
        "CREATE TABLE t (n UInt64, s String, t DateTime64(6, 'UTC'), f FixedString(4), a Array(String)) ENGINE = MergeTree ORDER BY n"
    )
    yield made
    made.close()


def curl(server: ClickHouseSettings, *arguments: str, password: str | None = None, path: str = "/") -> tuple[int, dict[str, str], str]:
    """(status, headers in lower case, body)."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"{'https' if server.secure else 'http'}://{server.host}:{server.port}{path}"
    user = f"{server.username}:{server.password if password is None else password}"
    certificate = ["--cacert", server.ca_cert] if server.ca_cert else []
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", "30", "--user", user, *certificate, url, *arguments],
        capture_output=True,
        timeout=60,
        check=True,
    )
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    if head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\r\n\r\n")
    lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def test_values_go_in_and_come_out_as_they_are(client: Any) -> None:
    at = datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC)
    rows = [[1, "plain", at, b"\0\1\2\0", ["a", "b"]], [2**63, "it's \\ \n\t \N{SNOWMAN} \0", at, b"abcd", []]]
    client.insert("t", rows, column_names=["n", "s", "t", "f", "a"])
    found = client.query("SELECT n, s, t, hex(f), a FROM t ORDER BY n").result_rows
    assert [row[:2] for row in found] == [(1, "plain"), (2**63, "it's \\ \n\t \N{SNOWMAN} \0")]
    assert [row[2].replace(tzinfo=UTC) for row in found] == [at, at]
    assert [row[3:] for row in found] == [("00010200", ["a", "b"]), ("61626364", [])]


@pytest.mark.parametrize("value", ["x' OR 1=1 --", "{n:UInt64}", "tab\tand\nline", "\\", "'", "\N{SNOWMAN}", ""])
def test_parameters_are_values_and_never_sql(client: Any, value: str) -> None:
    assert client.query("SELECT {p:String}, length({p:String})", parameters={"p": value}).result_rows == [(value, len(value.encode()))]


def test_parameters_have_their_types(client: Any) -> None:
    query = "SELECT {n:UInt64} + 1, {a:Array(Tuple(UInt32, String))}, {d:DateTime64(6, 'UTC')} > toDateTime('2020-01-01', 'UTC')"
    found = client.query(query, parameters={"n": 41, "a": [(1, "x"), (2, "y'")], "d": "2026-11-24 00:00:00.000001"}).result_rows
    assert found == [(42, [(1, "x"), (2, "y'")], True)]


@pytest.mark.parametrize("value", ["it's \\ \t \n \r\n \N{SNOWMAN} --x", "--"])
def test_long_parameters_travel_in_a_form(client: Any, value: str) -> None:
    many = [f"{n:032x}" for n in range(1000)]
    found = client.query(
        "SELECT length({a:Array(String)}), {a:Array(String)}[-1], {p:String}", parameters={"a": [*many, value], "p": value}
    )
    assert found.result_rows == [(1001, value, value)]


def test_a_broken_form_is_an_error(server: ClickHouseSettings) -> None:
    for body in ("no form", "--x\r\n\r\n"):
        status, _, text = curl(server, "-H", "Content-Type: multipart/form-data; boundary=x", "--data-binary", body)
        assert (status >= 400, "Exception" in text) == (True, True), text


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_compression_of_answers_and_inserts(server: ClickHouseSettings, client: Any, compress: str | bool) -> None:
    other = clickhouse_connect.get_client(**server.client_kwargs(), compress=compress)
    at = datetime(2026, 11, 24, tzinfo=UTC)
    other.insert("t", [[n, "s" * 100, at, b"1234", []] for n in range(5000)], column_names=["n", "s", "t", "f", "a"])
    assert other.query("SELECT sum(n), sum(length(s)) FROM t").result_rows == [(sum(range(5000)), 500_000)]
    assert len(other.query("SELECT s FROM t").result_rows) == 5000
    other.close()


def test_large_answers_come_in_blocks(client: Any) -> None:
    with client.query_row_block_stream("SELECT number, repeat('x', 100) FROM numbers(300000)") as stream:
        blocks = [len(block) for block in stream]
    assert sum(blocks) == 300_000
    assert len(blocks) > 1


def test_settings_reach_the_engine(client: Any) -> None:
    with pytest.raises(DatabaseError, match=r"396|TOO_MANY_ROWS_OR_BYTES"):
        client.query("SELECT number FROM system.numbers LIMIT 100000", settings={"max_result_rows": 10, "result_overflow_mode": "throw"})
    with pytest.raises(ClickHouseError):
        client.query("SELECT 1", settings={"no_such_setting": 1})


@pytest.mark.parametrize(
    ("query", "code"), [("SELECT * FROM nowhere", 60), ("SELECT no_column FROM t", 47), ("SELEC 1", 62), ("SELECT throwIf(1)", 395)]
)
def test_errors_carry_clickhouses_own_codes(server: ClickHouseSettings, client: Any, query: str, code: int) -> None:
    with pytest.raises(DatabaseError, match=rf"[Cc]ode:? {code}\b"):
        client.query(query)
    status, headers, body = curl(server, "--data-binary", query, path="/?database=tallystick")
    assert status >= 400
    assert headers["x-clickhouse-exception-code"] == str(code)
    assert f"Code: {code}. DB::Exception" in body


def test_a_password_is_needed(server: ClickHouseSettings) -> None:
    status, headers, _ = curl(server, "--data-binary", "SELECT 1", password="wrong")
    assert (status, headers["x-clickhouse-exception-code"]) in [(403, "516"), (401, "516")]
    status, _, body = curl(server, "--data-binary", "SELECT 1")
    assert (status, body) == (200, "1\n")


def test_curl_in_the_ways_that_people_use_it(server: ClickHouseSettings, client: Any) -> None:
    assert curl(server, path="/ping")[2] == "Ok.\n"
    assert curl(server, path="/?query=SELECT%201%2B1")[2] == "2\n"
    assert curl(server, "--data-binary", "SELECT {x:UInt8} AS x FORMAT JSONEachRow", path="/?param_x=7")[2] == '{"x":7}\n'
    status, _, _ = curl(
        server,
        "--data-binary",
        '{"n":5,"s":"from curl"}',
        path="/?database=tallystick&query=INSERT%20INTO%20t%20(n,s)%20FORMAT%20JSONEachRow",
    )
    assert status == 200
    assert client.query("SELECT s FROM t WHERE n = 5").result_rows == [("from curl",)]
    answer = json.loads(curl(server, "--data-binary", "SELECT 1 AS one, 'x' AS two FORMAT JSON")[2])
    assert answer["data"] == [{"one": 1, "two": "x"}]


def test_a_get_may_not_write(server: ClickHouseSettings, client: Any) -> None:
    status, headers, _ = curl(server, path="/?database=tallystick&query=INSERT%20INTO%20t%20(n)%20VALUES%20(1)")
    assert status >= 400
    assert headers["x-clickhouse-exception-code"] == "164"
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_hashes_with_trailing_zeros_survive(client: Any) -> None:
    """A cast of FixedString to String strips NULs: hex() is how they are read."""
    client.raw_insert(
        "t", ["n", "s", "t", "f", "a"], insert_block=(1).to_bytes(8, "little") + b"\0" + bytes(8) + b"\1\0\0\0" + b"\0", fmt="RowBinary"
    )
    assert client.query("SELECT hex(f) FROM t").result_rows == [("01000000",)]


def test_migrations_are_applied_once_and_their_columns_come_from_the_bytes(server: ClickHouseSettings, client: Any) -> None:
    assert migrate(client, "tallystick") == []
    raw = (
        b'{"v":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA","time":"2026-11-24T01:02:03.000004Z","action":"artifact.read","actor":{"principal":"p","kind":"human"},'
        b'"resource":{"kind":"model","id":"m"},"outcome":"allowed","usage":{"bytes":7}}'
    )
    block = (
        (0).to_bytes(4, "little")
        + (1).to_bytes(8, "little")
        + (2).to_bytes(2, "little")
        + bytes([len(raw) & 127 | 128, len(raw) >> 7])
        + raw
    )
    for _ in range(2):
        client.raw_insert("events", ["shard", "index", "pos", "raw"], insert_block=block, fmt="RowBinary")
    query = (
        "SELECT DISTINCT principal, action, outcome, bytes, toString(time), raw, lower(hex(leaf)) FROM events WHERE shard = 0 AND index = 1"
    )
    from tallystick_schemas.events import event_leaf

    [found] = client.query(query).result_rows
    assert found == ("p", "artifact.read", "allowed", 7, "2026-11-24 01:02:03.000004", raw.decode(), event_leaf(raw).hex())
    client.command("OPTIMIZE TABLE events FINAL")
    assert client.query("SELECT count() FROM events WHERE shard = 0 AND index = 1").result_rows == [(1,)]


def test_the_embedded_server_listens_on_loopback_alone(server: ClickHouseSettings, request: pytest.FixtureRequest) -> None:
    if "container" in request.node.name:
        pytest.skip("containers choose their own addresses")
    if not Path("/proc/net/tcp").exists():
        pytest.skip("only Linux lists its sockets in /proc")
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = {parts[1] for parts in listening if parts[3] == "0A" and int(parts[1].split(":")[1], 16) == server.port}
    assert mine == {f"0100007F:{server.port:04X}"}

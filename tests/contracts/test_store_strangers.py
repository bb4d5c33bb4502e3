"""What a stranger gets from the embedded store: another user of the machine, and who takes the port of a store that is stopped."""

import base64
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from tests.support.asking import Asking
from tests.support.clickhouse import EmbeddedClickHouse, start_clickhouse

from tallystick_audit.errors import UnusableHistory
from tallystick_audit.verify.clickhouse import open_source
from tallystick_dashboard.errors import SourceUnavailable
from tallystick_dashboard.store import ClickHouseSources
from tallystick_infra.clickhouse.grants import ROLES
from tallystick_infra.deployment.certificate import make_certificate
from tallystick_infra.deployment.store_secrets import make_store_secrets, store_settings
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_stream_jobs.connectors.errors import Retry
from tallystick_stream_jobs.outbox.minted import History
from tallystick_stream_jobs.triage.store import read_ids

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]


class Listener:
    """Takes a port and writes down what it is told; with a certificate, through TLS if anybody agrees to that."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.heard, self._context, self._open = bytearray(), context, True
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Once all that came is written down; again is harmless."""
        if self._open:
            self._open = False
            # It is told so by a connection: closing a socket wakes nobody who waits on it.
            socket.create_connection(("127.0.0.1", self.port)).close()
            self._thread.join(10)
            self._socket.close()

    def _serve(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            if not self._open:
                peer.close()
                return
            peer.settimeout(2)
            try:
                self.heard += peer.recv(65536, socket.MSG_PEEK)
                if self._context is not None:
                    peer = self._context.wrap_socket(peer, server_side=True)
                self.heard += peer.recv(65536)
                peer.sendall(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                self.heard += b" gone "
            finally:
                peer.close()


def _official(settings: ClickHouseSettings) -> None:
    clickhouse_connect.get_client(**settings.client_kwargs())


def _console(settings: ClickHouseSettings) -> None:
    ClickHouseSources(settings, LogSettings("test")).history()


CLIENTS: dict[str, Callable[[ClickHouseSettings], object]] = {
    "official": _official,
    "outbox": lambda settings: History(settings).rows("SELECT 1"),
    "console": _console,
    "auditor": open_source,
    "triage": lambda settings: read_ids(settings, Keyring.of(()), "x"),
}


@pytest.fixture(params=["plain", "TLS"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    context = None
    if request.param == "TLS":
        make_certificate(tmp_path / "stranger")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "stranger" / "server.crt", tmp_path / "stranger" / "server.key")
    listening = Listener(context)
    yield listening
    listening.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_who_takes_a_stopped_stores_port_learns_no_password(listener: Listener, client: str, tmp_path: Path) -> None:
    make_store_secrets(tmp_path / "keys")
    settings = ClickHouseSettings(port=listener.port, **store_settings(tmp_path / "keys", "cli"))
    with pytest.raises((ClickHouseError, OSError, Retry, SourceUnavailable, UnusableHistory)):
        CLIENTS[client](settings)
    listener.close()
    heard = bytes(listener.heard)
    assert heard, "nobody came"
    told = (settings.password.encode(), base64.b64encode(f"cli:{settings.password}".encode()), b"x-clickhouse", b"authorization")
    assert [one for one in told if one in heard or one in heard.lower()] == []


@pytest.fixture(scope="module")
def open_house() -> Iterator[EmbeddedClickHouse]:
    """A store whose place everybody may walk to; pytest's own folders are shut."""
    if shutil.which("setpriv") is None or shutil.which("curl") is None:
        pytest.skip("setpriv or curl is not installed")
    if subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "true"], check=False, capture_output=True).returncode:
        pytest.skip("another user's shell needs root")
    folder = Path(tempfile.mkdtemp(prefix="tallystick-store-"))
    folder.chmod(0o755)
    try:
        server = start_clickhouse(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)


def as_nobody(*command: str) -> tuple[int, str]:
    """(exit code, what it said) of a command of an unprivileged user."""
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
    )
    return done.returncode, done.stdout + done.stderr


def test_another_user_of_the_machine_reads_no_file_of_it(open_house: EmbeddedClickHouse) -> None:
    assert as_nobody("test", "-r", str(open_house.directory)) == (0, ""), "the test's own folder is open"
    secrets = [open_house.keys / "clickhouse" / f"{role}.password" for role in ROLES]
    assert (open_house.directory / "clickhouse" / "access.xml").stat().st_mode & 0o777 == 0o600
    inside = [open_house.directory / "clickhouse" / name for name in ("access.xml", "lock", "store")]
    for path in [*secrets, open_house.keys / "clickhouse" / "server.key", *inside]:
        assert path.exists()
        assert as_nobody("test", "-r", str(path))[0] == 1, path
        assert as_nobody("test", "-w", str(path.parent))[0] == 1, path


def test_another_user_of_the_machine_can_ask_nothing(open_house: EmbeddedClickHouse) -> None:
    address = f"https://127.0.0.1:{open_house.port}/?database=tallystick"
    assert as_nobody("curl", "-sk", f"https://127.0.0.1:{open_house.port}/ping") == (0, "Ok.\n")
    users = ["", "default", "tallystick", *ROLES]
    for user in users:
        for query in ("SELECT 1", "SELECT * FROM events", "INSERT INTO events (shard) FORMAT RowBinary\n", "DROP TABLE events"):
            code, said = as_nobody("curl", "-sk", "--user", f"{user}:{user}", "--data-binary", query, address)
            assert (code, said[:35]) == (0, "Code: 516. DB::Exception: Authentic"), (user, query)
    with_certificate = open_house.client().query("SELECT count() FROM events").result_rows
    assert with_certificate == [(0,)]


MADE_BEFORE = """
import sys
from chdb.state.sqlitelike import Connection
from tallystick_infra.clickhouse.migrate import migrations
connection = Connection(sys.argv[1])
connection.query("CREATE DATABASE tallystick")
connection.query("USE tallystick")
for migration in migrations():
    for statement in migration.statements():
        connection.query(statement)
connection.query("INSERT INTO root_leaves (index, leaf) VALUES (7, 'kept')")
connection.close()
"""


def test_a_store_of_an_earlier_version_is_served_to_the_new_users(tmp_path: Path) -> None:
    """It was made by an engine without roles; its views belong to nobody."""
    (tmp_path / "clickhouse").mkdir()
    subprocess.run([sys.executable, "-c", MADE_BEFORE, str(tmp_path / "clickhouse" / "store")], check=True, timeout=60)
    server = start_clickhouse(tmp_path)
    try:
        with Asking(server.settings(role="auditor")) as auditor, Asking(server.settings(role="outbox")) as outbox:
            assert auditor.ask("SELECT index, leaf FROM root_leaves") == (None, "7\tkept\n")
            assert auditor.ask("SELECT count() FROM findings") == (None, "0\n")
            assert outbox.ask("SELECT count() FROM findings")[0] == "497"
            assert outbox.ask("SELECT count() FROM root_leaves")[0] == "497"
    finally:
        server.stop()

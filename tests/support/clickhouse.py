"""A real embedded ClickHouse for tests, as a child process on a scratch directory."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect

from tallystick_infra.clickhouse.command import clickhouse_command
from tallystick_infra.clickhouse.migrate import migrate
from tallystick_infra.deployment.keyfiles import make_secret
from tallystick_infra.kafka.broker import free_port
from tallystick_infra.processes import Child, spawn, tail
from tallystick_schemas.settings import ClickHouseSettings


@dataclass
class EmbeddedClickHouse:
    directory: Path
    port: int
    password: str
    child: Child
    auditor_password: str

    def settings(self, database: str = "tallystick") -> ClickHouseSettings:
        return ClickHouseSettings(port=self.port, password=self.password, database=database)

    def auditor(self) -> ClickHouseSettings:
        return ClickHouseSettings(port=self.port, username="auditor", password=self.auditor_password)

    def client(self, database: str = "tallystick"):
        return clickhouse_connect.get_client(**self.settings(database).client_kwargs())

    def stop(self) -> None:
        self.child.stop()


def launch(directory: Path, port: int = 0) -> EmbeddedClickHouse:
    """Start it and wait until it answers; no migrations."""
    password_file = directory / "password"
    password = make_secret(password_file)
    auditor_file = directory / "auditor-password"
    auditor_password = make_secret(auditor_file)
    port = port or free_port()
    child = spawn(
        "clickhouse", clickhouse_command(directory / "clickhouse", port, password_file, auditor_file), directory / "clickhouse.log"
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).close()
            return EmbeddedClickHouse(directory, port, password, child, auditor_password)
        except (urllib.error.URLError, OSError):
            if child.poll() is not None or time.monotonic() > deadline:
                child.stop()
                raise AssertionError(f"ClickHouse did not start: {tail(child.log, 20)}") from None
            time.sleep(0.05)


def start_clickhouse(directory: Path) -> EmbeddedClickHouse:
    """With the tables of the newest version."""
    server = launch(directory)
    migrate(server.client("default"), "tallystick")
    return server


@contextmanager
def running_clickhouse(directory: Path) -> Iterator[EmbeddedClickHouse]:
    server = start_clickhouse(directory)
    try:
        yield server
    finally:
        server.stop()

"""A real embedded ClickHouse for tests, as a child process on a scratch directory."""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect

from tallystick_infra.clickhouse.command import clickhouse_command
from tallystick_infra.clickhouse.grants import Role
from tallystick_infra.clickhouse.migrate import migrate
from tallystick_infra.deployment.store_secrets import make_store_secrets, store_settings
from tallystick_infra.kafka.broker import free_port
from tallystick_infra.processes import Child, spawn, tail
from tallystick_schemas.settings import ClickHouseSettings


@dataclass
class EmbeddedClickHouse:
    directory: Path
    port: int
    child: Child

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def password(self) -> str:
        return self.settings().password

    def settings(self, database: str = "tallystick", role: Role = "owner") -> ClickHouseSettings:
        return ClickHouseSettings(port=self.port, database=database, **store_settings(self.keys, role))

    def auditor(self) -> ClickHouseSettings:
        return self.settings(role="auditor")

    def client(self, database: str = "tallystick", role: Role = "owner"):
        return clickhouse_connect.get_client(**self.settings(database, role).client_kwargs())

    def stop(self) -> None:
        self.child.stop()


def launch(directory: Path, port: int = 0) -> EmbeddedClickHouse:
    """Start it and wait until it answers; no migrations."""
    keys = make_store_secrets(directory / "keys")
    port = port or free_port()
    child = spawn("clickhouse", clickhouse_command(directory / "clickhouse", port, keys, "tallystick"), directory / "clickhouse.log")
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{port}/ping", timeout=2, context=trusting(keys / "server.crt")).close()
            return EmbeddedClickHouse(directory, port, child)
        except (urllib.error.URLError, OSError):
            if child.poll() is not None or time.monotonic() > deadline:
                child.stop()
                raise AssertionError(f"ClickHouse did not start: {tail(child.log, 20)}") from None
            time.sleep(0.05)


def trusting(certificate: Path | str) -> ssl.SSLContext:
    """A client's context that believes this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))


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

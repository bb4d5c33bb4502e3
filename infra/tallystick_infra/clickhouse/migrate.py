"""Migrations: numbered SQL files, applied in order, recorded, and refused when one that was applied has changed."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import Final

from clickhouse_connect.driver.client import Client

from ..errors import MigrationChanged

_LET = re.compile(r"^-- let (\w+) = (.+)$", re.M)


@dataclass(frozen=True)
class Migration:
    """One file. `-- let NAME = text` defines what `${NAME}` stands for."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def statements(self) -> list[str]:
        """The SQL statements, definitions put in, comments taken out."""
        text = self.text
        for name, value in _LET.findall(text):
            text = text.replace("${" + name + "}", value)
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip(" \n;")]


def migrations() -> list[Migration]:
    """All files in order."""
    folder = resources.files(__package__).joinpath("migrations")
    files = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return [Migration(int(path.name[:4]), path.name, path.read_text()) for path in files]


VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version UInt32, name String, sha256 String, applied_at DateTime64(6, 'UTC')) "
    "ENGINE = ReplacingMergeTree ORDER BY version SETTINGS fsync_after_insert = 1"
)


def definitions() -> list[str]:
    """The CREATE statement of every table and view that a migrated database has."""
    return [VERSIONS, *(statement for migration in migrations() for statement in migration.statements())]


def migrate(client: Client, database: str, wanted: list[Migration] | None = None) -> list[str]:
    """Names of the migrations that were applied now. MigrationChanged when an applied one differs; running again is harmless."""
    client.command(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    client.database = database
    client.command(VERSIONS)
    known: dict[int, list[str]] = {
        row[0]: row[1] for row in client.query("SELECT version, groupUniqArray(sha256) FROM schema_versions GROUP BY version").result_rows
    }
    applied = []
    for migration in wanted if wanted is not None else migrations():
        if migration.version in known:
            if known[migration.version] != [migration.sha256]:
                raise MigrationChanged(migration.name)
            continue
        for statement in migration.statements():
            # If we crash between two statements, the next run must pass the ones that are done.
            client.command(re.sub(r"^CREATE (TABLE|MATERIALIZED VIEW) (?!IF)", r"CREATE \1 IF NOT EXISTS ", statement))
        row = [migration.version, migration.name, migration.sha256, datetime.now(UTC)]
        client.insert("schema_versions", [row], column_names=["version", "name", "sha256", "applied_at"])
        applied.append(migration.name)
    return applied

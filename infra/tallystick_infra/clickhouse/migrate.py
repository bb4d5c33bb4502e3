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
    known = _applied(client)
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


def unlike_migrations(client: Client) -> list[str]:
    """Where the store's record of migrations is not this version's, in sentences. What tables and views are, definitions say: this is what it says of them."""
    known, wanted = _applied(client), {one.version: one for one in migrations()}
    missing = [f"{one.name} is not recorded as applied" for one in wanted.values() if one.version not in known]
    changed = [
        f"{one.name} is recorded with another text" for one in wanted.values() if known.get(one.version, [one.sha256]) != [one.sha256]
    ]
    more = [f"migration {version} is recorded, and this version has none" for version in sorted(known.keys() - wanted.keys())]
    return missing + changed + more


def _applied(client: Client) -> dict[int, list[str]]:
    """Version -> the hashes under which it is recorded."""
    query = "SELECT version, groupUniqArray(sha256) FROM schema_versions GROUP BY version"
    return {row[0]: row[1] for row in client.query(query).result_rows}

"""Rows that nobody signs: a sealer's time beside its note, the record of migrations, a notary's snapshots. A change there is told, or changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.history import History, make_history, private_key, public_bytes
from tests.support.history_tables import empty_tables, insert_history, insert_rows

from tallystick_audit.verify import verify_history
from tallystick_infra.clickhouse.migrate import migrate, migrations, unlike_migrations
from tallystick_infra.errors import MigrationChanged
from tallystick_infra.sealed import last_sealed, newest_root
from tallystick_stream_jobs.notary.ledger import ClickHouseLedger

pytestmark = pytest.mark.embedded
SYNC = "SETTINGS mutations_sync = 2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: EmbeddedClickHouse) -> Client:
    return server.client()


@pytest.fixture
def history(client: Client) -> History:
    made = make_history()
    empty_tables(client)
    insert_history(client, made)
    return made


def integrity(server: EmbeddedClickHouse, history: History) -> tuple[str, int]:
    report = verify_history(server.settings(), history.log, history.now, processes=1, settle_s=0)
    return report.integrity, report.exit_code


def test_the_time_beside_a_note_is_believed_by_nobody(server: EmbeddedClickHouse, client: Client, history: History) -> None:
    """A sealer that died looked alive to `doctor`."""
    sealed, size = last_sealed(client, history.log), newest_root(client, history.log)
    assert size == 7
    client.command(f"ALTER TABLE checkpoints UPDATE time = now64() + 3600 WHERE 1 {SYNC}")
    insert_rows(client, "checkpoints", [(history.log.root_origin, 10**6, b"\1" * 32, b"no note", 0)])
    assert (last_sealed(client, history.log), newest_root(client, history.log)) == (sealed, size)
    client.command(f"ALTER TABLE checkpoints DELETE WHERE size = 1000000 {SYNC}")
    assert integrity(server, history) == ("pass", 0)


def test_a_seal_counts_for_the_key_that_signed_it(client: Client, history: History) -> None:
    sealed = last_sealed(client, history.log)
    assert sealed is not None
    assert history.now - 120 < sealed <= history.now
    other = replace(history.log, sealer_keys=(public_bytes(private_key("thief")),))
    assert (last_sealed(client, other), newest_root(client, other)) == (None, None)
    client.command(f"ALTER TABLE ledger_entries DELETE WHERE shard = 1 {SYNC}")
    assert last_sealed(client, history.log) is None, "one shard stands still"


@pytest.fixture
def recorded(server: EmbeddedClickHouse, client: Client) -> Iterator[None]:
    """The record of migrations as `migrate` leaves it, before and after."""
    yield
    client.command("TRUNCATE TABLE schema_versions")
    migrate(client, client.database or "tallystick")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE schema_versions DELETE WHERE version = 2", "0002_events.sql is not recorded as applied"),
        ("ALTER TABLE schema_versions UPDATE sha256 = 'x' WHERE version = 2", "0002_events.sql is recorded with another text"),
        (
            "INSERT INTO schema_versions (version, name, sha256) VALUES (99, 'later', 'x')",
            "migration 99 is recorded, and this version has none",
        ),
    ],
)
def test_another_record_of_migrations_is_told(client: Client, change: str, said: str) -> None:
    assert unlike_migrations(client) == []
    client.command(f"{change} {SYNC}" if change.startswith("ALTER") else change)
    assert unlike_migrations(client) == [said]


@pytest.mark.usefixtures("recorded")
def test_migrations_that_are_forgotten_are_applied_again_and_change_nothing(
    server: EmbeddedClickHouse, client: Client, history: History
) -> None:
    client.command("TRUNCATE TABLE schema_versions")
    assert migrate(client, client.database or "tallystick") == [one.name for one in migrations()]
    assert integrity(server, history) == ("pass", 0)
    client.command(f"ALTER TABLE schema_versions UPDATE sha256 = 'x' WHERE version = 3 {SYNC}")
    with pytest.raises(MigrationChanged):
        migrate(client, client.database or "tallystick")


def test_nothing_rests_on_the_columns_of_a_snapshot(server: EmbeddedClickHouse, client: Client, history: History) -> None:
    """The state is signed whole, with its shard and index; a row of any numbers is one more state that no notary signed, and entries are folded again."""
    ledger = ClickHouseLedger(client)
    client.command("INSERT INTO notary_snapshots (shard, index, epoch, state) VALUES (0, 3, 1, 'as signed'), (0, 999, 77, 'forged')")
    assert ledger.snapshot(0) == b"forged", "what the notary opens, and refuses (tests/unit/control_plane)"
    assert integrity(server, history) == ("pass", 0)
    client.command("TRUNCATE TABLE notary_snapshots")
    assert ledger.snapshot(0) is None
    assert integrity(server, history) == ("pass", 0)

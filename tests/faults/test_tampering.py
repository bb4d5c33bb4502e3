"""An insider with every right in the store, but no sealer key: each change made by SQL in a real ClickHouse is found at its place."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import running_clickhouse
from tests.support.history import History, make_history
from tests.support.history_tables import carry_over, change_columns, empty_tables, insert_history, insert_rows, rows_of
from tests.support.seeing import ATTACKS, seeing
from tests.support.tampering import CASES, Tampering

from tallystick_audit.errors import UnusableHistory
from tallystick_audit.verify import Report, verify_history
from tallystick_schemas.settings import ClickHouseSettings

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server.settings()


@pytest.fixture(scope="module")
def client(clickhouse: ClickHouseSettings) -> Client:
    return clickhouse_connect.get_client(**clickhouse.client_kwargs(), compress=False)


@pytest.fixture
def history(client: Client) -> History:
    """A small true history, anew for each test."""
    made = make_history()
    empty_tables(client)
    insert_history(client, made)
    return made


def judged(clickhouse: ClickHouseSettings, history: History, processes: int = 1) -> Report:
    return verify_history(clickhouse, history.log, history.now, processes=processes, settle_s=0)


def test_true_history_passes(clickhouse: ClickHouseSettings, history: History) -> None:
    report = judged(clickhouse, history)
    assert report.failures == ()
    assert (report.exit_code, report.entries, report.events) == (0, 29, 72)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_found(clickhouse: ClickHouseSettings, client: Client, history: History, case: Tampering) -> None:
    changed = deepcopy(history)
    case.change(changed)
    carry_over(client, rows_of(history), rows_of(changed))
    change_columns(client, changed.columns)
    report = judged(clickhouse, history)
    assert report.exit_code == case.exit_code
    assert case.found in [(failure.step, failure.shard, failure.index) for failure in report.failures]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_sealers_key_in_the_wrong_hands_is_found_by_what_agents_were_shown(
    clickhouse: ClickHouseSettings, client: Client, name: str
) -> None:
    changed = seeing().after(name).builder.history
    empty_tables(client)
    insert_history(client, changed)
    report = judged(clickhouse, changed, processes=2)
    assert (report.integrity, report.exit_code) == ("fail", 1)
    assert any(failure.step == 10 and "was shown another history" in failure.reason for failure in report.failures)


def test_rows_that_were_inserted_twice_are_one(clickhouse: ClickHouseSettings, client: Client, history: History) -> None:
    """A notary that crashed between insert and receipt inserts the same rows again."""
    insert_history(client, history)
    report = judged(clickhouse, history)
    assert report.failures == ()
    assert (report.entries, report.events) == (29, 72)


def test_processes_find_what_one_finds(clickhouse: ClickHouseSettings, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_audit.verify.history.SMALL", 0)
    made = make_history(shards=3, agents=5, segments=8)
    broken = next(row for row in made.events if row[:3] == (2, 5, 1))
    made.events.remove(broken)
    empty_tables(client)
    insert_history(client, made)
    told: list[int] = []
    report = verify_history(clickhouse, made.log, made.now, lambda shard, index, events, rate: told.append(events), processes=2)
    alone = judged(clickhouse, made)
    assert [(failure.step, failure.shard, failure.index) for failure in report.failures] == [(6, 2, 5)]
    assert report.failures == alone.failures
    assert (report.entries, report.events) == (alone.entries, alone.events)
    assert told[-1] == len(made.events)


def test_entries_above_the_newest_seal_wait(clickhouse: ClickHouseSettings, client: Client, history: History) -> None:
    """A history under load: the notary is ahead of the sealer."""
    insert_rows(client, "events", [(0, 18, pos, *row[3:]) for pos, row in enumerate(history.events[:2])])
    insert_rows(client, "ledger_entries", [(0, 18, *history.entries[4][2:])])
    assert judged(clickhouse, history).exit_code == 0


def test_an_insert_that_stays_half_done_is_not_known_to_be_one(clickhouse: ClickHouseSettings, client: Client, history: History) -> None:
    """A notary that was killed between events and entries leaves what somebody may as well have slipped in."""
    insert_rows(client, "events", [(0, 18, pos, *row[3:]) for pos, row in enumerate(history.events[:2])])
    report = judged(clickhouse, history)
    assert (report.exit_code, report.integrity) == (2, "unknown")
    assert [(one.step, one.shard, one.index) for one in report.failures] == [(6, 0, 18)]


def test_no_tables_is_unusable(clickhouse: ClickHouseSettings, client: Client, history: History) -> None:
    client.command("RENAME TABLE checkpoints TO checkpoints_away")
    try:
        with pytest.raises(UnusableHistory, match="checkpoints") as raised:
            judged(clickhouse, history)
        assert raised.value.exit_code == 3
    finally:
        client.command("RENAME TABLE checkpoints_away TO checkpoints")


def test_no_store_is_unusable(history: History) -> None:
    with pytest.raises(UnusableHistory, match=r"127\.0\.0\.1:1"):
        judged(ClickHouseSettings(port=1), history)

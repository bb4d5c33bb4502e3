"""The responder's questions about what agents were shown, on a real ClickHouse."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.history import History, private_key, public_bytes
from tests.support.history_tables import change_everywhere, insert_history, insert_rows
from tests.support.seeing import seeing

from tallystick_infra.cli import doctor_store
from tallystick_schemas.headers import Seen
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_stream_jobs.responder.history import asking
from tallystick_stream_jobs.responder.shown_roots import read_roots, read_shown

pytestmark = pytest.mark.embedded
LIE = Seen(3, "01" * 32)


@pytest.fixture(scope="module")
def history() -> History:
    """Three rounds; then `gw-1` says something without a signature, and `gw-0` what it was shown last."""
    world = seeing(3)
    world.segment(world.agents[1], LIE)
    world.segment(world.agents[0])
    return world.builder.history


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server


@pytest.fixture(scope="module")
def owner(server: EmbeddedClickHouse, history: History) -> Iterator[Client]:
    with closing(clickhouse_connect.get_client(**server.settings().client_kwargs(), compress=False)) as owner:
        insert_history(owner, history)
        yield owner


@pytest.fixture(scope="module")
def settings(server: EmbeddedClickHouse, owner: Client) -> ClickHouseSettings:
    return server.settings(role="responder")


@pytest.fixture(scope="module")
def client(settings: ClickHouseSettings) -> Iterator[Client]:
    with closing(clickhouse_connect.get_client(**settings.client_kwargs())) as client:
        yield client


def test_each_signed_one_once_with_its_first_segment(client: Client, history: History) -> None:
    shown = read_shown(asking(client), 2, {}, history.now - 3600)
    assert [(one.shard, one.agent, one.seen.size) for one in shown.said] == [
        (0, "gw-0", 3),
        (0, "gw-0", 5),
        (0, "gw-0", 7),
        (1, "gw-1", 3),
        (1, "gw-1", 5),
    ]
    assert all(one.seen.signature for one in shown.said)
    assert shown.marks == {shard: history.size(shard) - 1 for shard in range(2)}
    roots = read_roots(asking(client), history.log, sorted({one.seen.size for one in shown.said}))
    assert {(one.seen.size, one.seen.root) for one in shown.said} == roots


def test_what_was_looked_at_is_not_looked_at_again(client: Client, history: History) -> None:
    marks = read_shown(asking(client), 2, {}, history.now - 3600).marks
    assert read_shown(asking(client), 2, marks, history.now - 3600).said == []
    again = read_shown(asking(client), 2, {**marks, 0: marks[0] - 1}, history.now - 3600)
    assert [(one.shard, one.place, one.agent) for one in again.said] == [(0, history.size(0) - 1, "gw-0")]


def test_older_segments_are_left_to_the_auditor(client: Client, history: History) -> None:
    assert read_shown(asking(client), 2, {}, history.now + 1).said == []


class Place:
    """What the doctor asks of a deployment."""

    def __init__(self, settings: ClickHouseSettings, log: LogSettings) -> None:
        self._settings, self._log = settings, log

    def clickhouse(self) -> ClickHouseSettings:
        return self._settings

    def log(self) -> LogSettings:
        return self._log


def test_the_doctor_names_what_the_store_lacks(
    settings: ClickHouseSettings, owner: Client, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_store.time, "time", lambda: history.now)
    [well] = doctor_store.shown(Place(settings, history.log))  # type: ignore[arg-type]  # the two things that it asks for
    assert (well.ok, well.seen) == (True, "3 root checkpoints shown to agents in the last hour; no signed one is missing")
    owner.command("ALTER TABLE checkpoints DELETE WHERE size > 3 AND origin = 'test/root' SETTINGS mutations_sync = 2")
    try:
        [ill] = doctor_store.shown(Place(settings, history.log))  # type: ignore[arg-type]
        [stranger] = doctor_store.shown(Place(settings, replace(history.log, sealer_keys=(public_bytes(private_key("other")),))))  # type: ignore[arg-type]
    finally:
        insert_history(owner, history)
    assert not ill.ok
    assert "gw-0 was shown one of 5 leaves (shard 0" in ill.seen
    assert stranger.ok, "what the pinned key did not sign is an agent's word"


def test_what_stands_beside_a_note_is_not_believed(client: Client, owner: Client, history: History) -> None:
    """The other history's root in the column, beside a true note: the finding would never come."""
    note = next(row[3] for row in history.checkpoints if row[:2] == (history.log.root_origin, 5))
    before = read_roots(asking(client), history.log, [5])
    insert_rows(
        owner, "checkpoints", [(history.log.root_origin, 5, b"\1" * 32, note, 0), (history.log.root_origin, 5, b"\2" * 32, b"no note", 0)]
    )
    assert read_roots(asking(client), history.log, [5]) == before
    assert before


def test_no_column_hides_what_agents_were_shown(client: Client, owner: Client, history: History) -> None:
    """Last, since it changes the table."""
    before = read_shown(asking(client), 2, {}, history.now - 3600)
    lies = {"append_time": "1971-01-01 00:00:00.000", "agent": "nobody", "kind": "5", "verdict": "9", "header": "{}"}
    change_everywhere(owner, "ledger_entries", lies)
    assert read_shown(asking(client), 2, {}, history.now - 3600) == before

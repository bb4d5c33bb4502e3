"""What people and processes are shown of the ledger, on a real ClickHouse: the same when derived columns lie, and rows that nobody signed stand beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import EmbeddedClickHouse, running_clickhouse
from tests.support.history import History, make_history
from tests.support.history_tables import change_everywhere, insert_history, insert_rows

from tallystick_dashboard.store import ClickHouseSources
from tallystick_infra.kafka.topics import _newest
from tallystick_infra.retiring import last_root
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header
from tallystick_schemas.keys import key_id
from tallystick_stream_jobs.notary.ledger import ClickHouseLedger

pytestmark = pytest.mark.embedded
LIES = {
    "kind": "6",
    "verdict": "0",
    "generation": "9",
    "offset": "77",
    "append_time": "1971-01-01 00:00:00.000",
    "header": "{}",
    "count": "9",
    "first": "9",
}
"""`agent`, `run` and `n` find a segment that came again: one that they hide is not found."""


@dataclass
class Shown:
    """What was shown before and after."""

    before: dict[str, Any]
    after: dict[str, Any]


def look(server: EmbeddedClickHouse, client: Client, history: History, header: SegmentHeader) -> dict[str, Any]:
    console, ledger = ClickHouseSources(server.settings(role="console"), history.log), ClickHouseLedger(client)
    seen = console.history()
    return {
        "shards": seen.shards,
        "entries": seen.entries,
        "signed": [one for one in seen.checkpoints if one.problem is None],
        "sealed by": [one.sealed_by for one in console.evidence([(0, 4, 0), (1, 2, 1)])],
        "generation": ledger.newest_generation(0),
        "kept": ledger.kept(0, 99),
        "header": ledger.accepted_header(0, header.agent, header.run, header.n),
        "topics": [_newest(client, shard) for shard in range(2)],
        "last root": last_root(client, history.log, key_id(history.log.sealer_keys[0])),
    }


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    history = make_history()
    history.rejected.append((0, 5, b"kept"))
    raw = next(row[2] for row in history.entries if row[:2] == (0, 4))
    header = parse_header(Kind.SEGMENT, parse_entry(raw).header)
    assert isinstance(header, SegmentHeader)
    with pytest.MonkeyPatch.context() as patch, running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        patch.setattr("tallystick_stream_jobs.notary.ledger._KEPT", _all_verdicts())
        client = server.client()
        insert_history(client, history)
        before = look(server, client, history, header)
        change_everywhere(client, "ledger_entries", LIES)
        insert_rows(
            client,
            "checkpoints",
            [(history.log.origin(0), 6, b"\1" * 32, b"no note", 0), (history.log.root_origin, 99, b"\1" * 32, b"", 0)],
        )
        yield Shown(before, look(server, client, history, header))


def _all_verdicts() -> str:
    """The question for what was kept, of entries of any verdict: this history has none that were refused."""
    from tallystick_stream_jobs.notary.ledger import _KEPT

    return _KEPT.replace("> 2) AS e", ">= 0) AS e")


@pytest.mark.parametrize("what", ["shards", "entries", "signed", "sealed by", "generation", "kept", "header", "topics", "last root"])
def test_no_column_and_no_unsigned_row_changes_what_is_shown(shown: Shown, what: str) -> None:
    assert shown.before[what]
    assert shown.after[what] == shown.before[what]


def test_it_is_what_the_history_has(shown: Shown) -> None:
    made = SimpleNamespace(**{name.replace(" ", "_"): value for name, value in shown.before.items()})
    assert made.sealed_by == [8, 5]
    assert made.last_root == 7
    assert {Kind.SEGMENT, Kind.ENROL} < {one.kind for one in made.entries}
    assert [one.entries for one in made.shards] == [18, 11]

"""What a sealer reads of the ledger, on a real ClickHouse whose derived columns lie: it signs what entries are, not what columns say of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from tests.support.clickhouse import running_clickhouse
from tests.support.history import make_history
from tests.support.history_tables import change_everywhere, insert_history, insert_rows
from tests.support.signing import directive

from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.records import parse_record
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.sealer.store import ClickHouseSealStore

pytestmark = pytest.mark.embedded


def entry(verdict: Verdict) -> bytes:
    record = parse_record(directive("sealer", ["recorder"]))
    return encode_entry(Entry(record.kind, 0, 0, 0, 0, verdict, record.header_raw, record.sig, b""))


@pytest.fixture(
    scope="module", params=[{}, {"kind": "1", "verdict": "9"}, {"kind": "5", "verdict": "0"}], ids=["true", "hiding", "inventing"]
)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """`make_history` has seals at 7, 12 and 17 in shard 0; and at 4, 7 and 10 in shard 1."""
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        owner = server.client()
        insert_history(owner, make_history())
        stored = enumerate([Verdict.ACCEPTED, Verdict.BAD_SIGNATURE], start=18)
        insert_rows(owner, "ledger_entries", [(0, index, entry(verdict), bytes(32), bytes(32)) for index, verdict in stored])
        change_everywhere(owner, "ledger_entries", request.param)
        yield server.client(role="sealer")


def test_the_newest_seal_is_found_by_its_bytes(client: Client) -> None:
    store = ClickHouseSealStore(client)
    assert [store.newest_seal(shard) for shard in range(3)] == [17, 10, None]


def test_directives_are_found_by_their_bytes(client: Client) -> None:
    assert list(ClickHouseSealStore(client).directives()) == [entry(Verdict.ACCEPTED)]

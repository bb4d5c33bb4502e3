"""One suite for the verifier's port, over the in-memory twin and over a real ClickHouse."""

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from tests.support.clickhouse import running_clickhouse
from tests.support.history import History, HistoryBuilder, make_history
from tests.support.history_source import MemorySource
from tests.support.history_tables import empty_tables, insert_history

from tallystick_audit.verify.clickhouse import open_source
from tallystick_audit.verify.source import HistorySource, StoredCheckpoint, StoredEntry, StoredLeaf, Stranger
from tallystick_schemas.settings import ClickHouseSettings

Open = Callable[[History], HistorySource]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server.settings()


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.embedded)])
def source_of(request: pytest.FixtureRequest) -> Open:
    """A source that holds a history's rows."""
    if request.param == "memory":
        return MemorySource
    settings = request.getfixturevalue("clickhouse")

    def opened(history: History) -> HistorySource:
        client = clickhouse_connect.get_client(**settings.client_kwargs(), compress=False)
        empty_tables(client)
        insert_history(client, history)
        client.close()
        return open_source(settings)

    return opened


def test_entries_come_in_order(source_of: Open) -> None:
    history = make_history()
    history.entries.reverse()
    read = [row for block in source_of(history).entries(0, 3, 9) for row in block]
    assert read == sorted(StoredEntry(*row[1:]) for row in history.entries if row[0] == 0 and 3 <= row[1] < 9)


def test_events_come_in_order(source_of: Open) -> None:
    history = make_history()
    history.events.reverse()
    blocks = list(source_of(history).events(0, 4, 10))
    rows = [
        (index, position, raw, block.leaves[32 * at : 32 * at + 32])
        for block in blocks
        for at, (index, position, raw) in enumerate(zip(block.indexes, block.positions, block.raws, strict=True))
    ]
    assert rows == sorted(row[1:] for row in history.events if row[0] == 0 and 4 <= row[1] < 10)
    assert isinstance(blocks[0].positions, array)


def test_rows_that_differ_stand_beside_each_other(source_of: Open) -> None:
    history = make_history()
    shard, index, entry, leaf, chain = history.entries[4]
    history.entries.append((shard, index, entry + b"x", bytes(32), chain))
    shard, index, pos, raw, leaf = history.events[0]
    history.events.append((shard, index, pos, raw + b"x", bytes(32)))
    source = source_of(history)
    read = [row.leaf for block in source.entries(history.entries[4][0], history.entries[4][1], history.entries[4][1] + 1) for row in block]
    assert read == sorted([bytes(32), history.entries[4][3]])
    [block] = source.events(shard, index, index + 1)
    assert list(block.positions) == [0, 0, 1, 2, 3]
    assert block.leaves[:64] == b"".join(sorted([bytes(32), leaf]))


def test_bytes_of_every_kind_come_back(source_of: Open) -> None:
    """Hashes that end in NULs, text that is no UTF-8, empty strings, strings over 16 KiB."""
    history = make_history()
    odd = [b"", b"\0", b"\xff\n\t\\", b"x" * 20_000, b"ends in nul\0"]
    history.events = [(0, 0, pos, raw, b"h" * 31 + b"\0") for pos, raw in enumerate(odd)]
    history.entries = [(0, 0, b"\xff" * 300, b"l" * 30 + b"\0\0", b"c" * 31 + b"\0")]
    source = source_of(history)
    [block] = source.events(0, 0, 1)
    assert block.raws == odd
    assert block.leaves == (b"h" * 31 + b"\0") * 5
    assert [row for rows in source.entries(0, 0, 1) for row in rows] == [StoredEntry(*history.entries[0][1:])]


def test_checkpoints_and_leaves(source_of: Open) -> None:
    history = make_history()
    source = source_of(history)
    assert source.checkpoints() == sorted(StoredCheckpoint(*row) for row in history.checkpoints)
    assert source.root_leaves() == [StoredLeaf(*row) for row in history.root_leaves]


def test_rejected(source_of: Open) -> None:
    builder = HistoryBuilder(1)
    for raw in (b"garbage", b"", b"\0\xff" * 9000):
        builder.record(0, raw)
    assert list(source_of(builder.history).rejected(0, 2, 9)) == [(2, b""), (3, b"\0\xff" * 9000)]


def test_empty_range(source_of: Open) -> None:
    source = source_of(make_history())
    assert list(source.entries(1, 90, 99)) == []
    assert list(source.events(1, 90, 99)) == []
    assert list(source.rejected(1, 0, 99)) == []


def test_strangers(source_of: Open) -> None:
    history = make_history()
    history.entries += [(9, 4, *history.entries[0][2:]), (9, 3, *history.entries[0][2:])]
    history.events.append((5, 7, *history.events[0][2:]))
    assert sorted(source_of(history).strangers(2), key=lambda row: row.shard) == [
        Stranger("events", 5, 7),
        Stranger("ledger_entries", 9, 3),
    ]

"""Dispositions are asked of the whole history only when somebody closed something since."""

from types import SimpleNamespace
from typing import Any

import pytest

from tallystick_dashboard.store import ClickHouseSources
from tallystick_schemas.settings import ClickHouseSettings, LogSettings


class Store:
    """Answers like ClickHouse; `closed` holds the places of closings."""

    def __init__(self) -> None:
        self.closed: list[tuple[int, int]] = []
        self.top = 10
        self.whole = 0

    def query(self, sql: str, parameters: Any, settings: Any) -> SimpleNamespace:
        if "dispositions" in sql:
            self.whole += 1
            return SimpleNamespace(result_rows=[(f"F{index}", "false-positive", "ann", "x", 0) for _, index in self.closed])
        if sql.startswith("SELECT 1 FROM events"):
            since = int(sql.rpartition("index >= ")[2].partition(")")[0])
            return SimpleNamespace(result_rows=[(1,) for _, index in self.closed if index >= since][:1])
        if sql.startswith("SELECT shard, max(index) FROM"):
            return SimpleNamespace(result_rows=[(0, self.top)])
        return SimpleNamespace(result_rows=[(0, self.top, 0, 0, 0, 0, 0, [])])


def test_the_whole_history_is_read_again_only_for_a_new_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_dashboard.store.ask", lambda *_: None)
    store = Store()
    store.closed = [(0, 3)]
    sources = ClickHouseSources(ClickHouseSettings(), LogSettings("test", shards=1))
    sources._made = store
    list(sources._shards())
    assert [list(sources.closings()) for _ in range(3)] == [["F3"]] * 3, "a console that read a finding late still learns of it"
    assert store.whole == 1
    store.closed.append((0, 11))  # its entry is not in the ledger yet, so the view may not have it
    assert list(sources.closings()) == ["F3", "F11"]
    assert list(sources.closings()) == ["F3", "F11"]
    assert store.whole == 3, "asked again until the ledger is past it"
    store.top = 11
    list(sources._shards())
    sources.closings()
    sources.closings()
    assert store.whole == 4

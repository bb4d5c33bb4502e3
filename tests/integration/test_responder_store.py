"""The responder's one client of the store: it goes on over a store that was away, and nobody who asks hears of a connection of before."""

import threading
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from tests.support.clickhouse import launch, start_clickhouse

from tallystick_stream_jobs.responder import sources
from tallystick_stream_jobs.responder.sources import Store

pytestmark = pytest.mark.embedded


def test_the_client_is_kept_and_made_anew_when_the_store_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(sources, "_FRESH_S", 0.0)
    get_client = clickhouse_connect.get_client
    monkeypatch.setattr(clickhouse_connect, "get_client", lambda **kwargs: made.append(1) or get_client(**kwargs))
    server = start_clickhouse(tmp_path)
    try:
        store = Store(server.settings(role="responder"))

        def asked() -> int:
            with store.asking() as ask:
                return int(ask("SELECT count() FROM ledger_entries", {})[0][0])

        made.clear()
        assert [asked() for _ in range(3)] == [0, 0, 0]
        assert len(made) == 1
        with pytest.raises(ClickHouseError), store.asking() as ask:
            ask("SELECT no_such_column FROM ledger_entries", {})
        threads = [threading.Thread(target=asked) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(made) == 2, "anew after an error, and for all who asked at once"
        server.stop()
        with pytest.raises((ClickHouseError, OSError)):
            asked()
        server = launch(tmp_path, server.port)
        assert asked() == 0
        server.stop()
        server = launch(tmp_path, server.port)
        assert asked() == 0, "a store that was started again between two questions is no error"
    finally:
        server.stop()

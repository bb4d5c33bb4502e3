"""A store that is stopped: its port takes connections and nobody reads. Whoever waits for a page is told so, and by whom it waits."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.silent import silent

from tallystick_dashboard.errors import SourceUnavailable
from tallystick_dashboard.store import ClickHouseSources
from tallystick_schemas.settings import ClickHouseSettings, LogSettings

READS: dict[str, Callable[[ClickHouseSources], Any]] = {
    "evidence": lambda one: one.evidence([(0, 0, 0)]),
    "plan": lambda one: one.plan("principal:ann", 0.0),
    "closings": lambda one: one.closings(),
    "history": lambda one: one.history(),
}


@pytest.fixture
def stopped() -> Iterator[int]:
    with silent() as port:
        yield port


def test_every_read_is_here() -> None:
    assert set(READS) == {name for name, what in vars(ClickHouseSources).items() if callable(what) and not name.startswith("_")}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("read", READS)
def test_a_page_is_told_that_the_store_says_nothing(read: str, stopped: int) -> None:
    sources = ClickHouseSources(ClickHouseSettings(port=stopped), LogSettings("test", shards=1))
    told = f"ClickHouse does not answer: 127.0.0.1:{stopped} takes connections and says nothing; let its process go on if it was stopped"
    with pytest.raises(SourceUnavailable, match=told):
        READS[read](sources)

"""Dispositions: what came since the last look is looked through, by the keys that are known, and all of it again once other keys are."""

from collections.abc import Collection, Mapping

import pytest
from tests.support.signing import OPERATORS, directive

from tallystick_dashboard.store import ClickHouseSources
from tallystick_schemas.evidence import Ask
from tallystick_schemas.finding_events import Dispositions, Order, Said
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, LogSettings


def said(finding: str, disposition: str, second: int) -> Said:
    return Said(finding, disposition, "ann", "x", Order(f"2026-11-23T04:00:{second:02}.000000Z", (0, second, 0)))


class Ledger:
    """Closings by index; a reader without a key sees none."""

    def __init__(self, keyring: Keyring) -> None:
        self.closed, self.looks, self._keyring = {3: said("F3", "other", 3)}, list[int](), keyring

    def read(self, _ask: Ask, keyring: Keyring, _agents: Collection[str], marks: Mapping[int, int]) -> Dispositions:
        assert keyring is self._keyring
        self.looks.append(marks.get(0, -1))
        new = [one for index, one in self.closed.items() if index > marks.get(0, -1)] if list(keyring) else []
        return Dispositions({one.finding: one for one in new}, {0: max(self.closed)}, 0, 0)


def test_only_what_came_since_is_read_unless_other_keys_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring.of(OPERATORS)
    ledger = Ledger(keyring)
    monkeypatch.setattr("tallystick_dashboard.store.read_dispositions", ledger.read)
    sources = ClickHouseSources(ClickHouseSettings(), LogSettings("test", shards=1))
    sources.keyring = keyring
    assert sources.closings() == {}
    keyring.take(directive("cli"))
    assert list(sources.closings()) == ["F3"], "a console that learns of a key late still learns of what it signed"
    ledger.closed[11] = said("F11", "other", 11)
    ledger.closed[12] = said("F3", "false-positive", 12)
    for _ in range(2):
        assert {name: one.disposition for name, one in sources.closings().items()} == {"F11": "other", "F3": "false-positive"}
    assert ledger.looks == [-1, -1, 3, 12]


def test_the_newest_word_stands_in_whatever_order_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring.of(OPERATORS)
    keyring.take(directive("cli"))
    ledger = Ledger(keyring)
    ledger.closed = {3: said("F3", "other", 30)}
    monkeypatch.setattr("tallystick_dashboard.store.read_dispositions", ledger.read)
    sources = ClickHouseSources(ClickHouseSettings(), LogSettings("test", shards=1))
    sources.keyring = keyring
    sources.closings()
    ledger.closed[4] = said("F3", "false-positive", 4)
    assert sources.closings()["F3"].disposition == "other"

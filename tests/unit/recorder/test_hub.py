"""The process's hub: whose turn it is."""

from typing import Any

import pytest

from tallystick_producers import hub as module
from tallystick_producers.hub import Hub
from tallystick_schemas.settings import KafkaSettings


class Member:
    """Counts its turns; `wait` is what it answers."""

    agent, partition = "agent", 0

    def __init__(self, wait: float) -> None:
        self.wait, self.turns = wait, 0

    def send_due(self, _: Any) -> float:
        self.turns += 1
        return self.wait

    def take_receipts(self, _: Any) -> None: ...

    def take_checkpoint(self, *_: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """One whose threads never start: turns are given by the test."""
    monkeypatch.setattr(module.threading.Thread, "start", lambda _: None)
    made = Hub(KafkaSettings())
    made._followed = frozenset({0})
    return made


def test_a_turn_goes_to_who_is_called_or_due_and_not_to_all(hub: Hub) -> None:
    calm, busy = Member(60.0), Member(0.0)
    hub.join(calm)
    hub.join(busy)
    assert hub._round(1, set()) <= 0.0, "the busy one is due again at once"
    assert (calm.turns, busy.turns) == (1, 1), "who is new is due"
    hub._round(2, set())
    assert (calm.turns, busy.turns) == (1, 2)
    hub._round(3, {calm})
    assert (calm.turns, busy.turns) == (2, 3)


def test_nobody_is_left_alone_for_longer_than_a_second(hub: Hub) -> None:
    calm = Member(60.0)
    hub.join(calm)
    assert 0.0 < hub._round(1, set()) <= 1.0


def flying(hub: Hub) -> tuple[Member, Member, list[Any]]:
    """Two members whom nobody calls, and the answers to what the first one handed over."""
    landed: list[Any] = []
    first, second = Member(60.0), Member(60.0)
    hub.join(first)
    hub.join(second)
    hub._called = set()
    producer: Any = type("Producer", (), {"send": lambda _, key, record, done: landed.append(done)})()
    hub._producer = producer
    hub.send(first, b"four", lambda _: None)
    return first, second, landed


def test_who_found_no_room_is_called_when_there_is_some(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLYING_BYTES", 4)
    first, second, landed = flying(hub)
    assert hub.room() == 0
    landed[0](None)
    assert hub._called == {first, second}
    assert hub.room() == 4


def test_who_has_room_is_called_alone(hub: Hub) -> None:
    first, _, landed = flying(hub)
    landed[0](None)
    assert hub._called == {first}

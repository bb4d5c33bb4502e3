"""The process's hub: whose turn it is, and whose receipts count."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from kafka.errors import KafkaTimeoutError
from tests.support.signing import OPERATORS, Speaker, directive, opener

from tallystick_producers import hub as module
from tallystick_producers.hub import Hub
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.topics import ACTS, RECEIPTS

LOG = LogSettings("test", operator_keys=OPERATORS)
RECEIPT = Receipt("agent", "r" * 32, 3, 0, 0, 7, "", "")


class Member:
    """Counts its turns; `wait` is what it answers."""

    agent, partition = "agent", 0

    def __init__(self, wait: float) -> None:
        self.wait, self.turns, self.unanswered = wait, 0, False
        self.receipts: list[Receipt] = []

    def send_due(self, _: Any) -> float:
        self.turns += 1
        return self.wait

    def take_receipts(self, receipts: Sequence[Receipt]) -> None:
        self.receipts += receipts

    def take_checkpoint(self, *_: Any) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """One whose threads never start: turns are given by the test."""
    monkeypatch.setattr(module.threading.Thread, "start", lambda _: None)
    made = Hub(KafkaSettings(), LOG)
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


def test_receipts_that_a_notary_signed_reach_their_agent(hub: Hub) -> None:
    hub._opener = opener()
    mine, other = Member(60.0), Member(60.0)
    other.agent = "other"
    hub.join(mine)
    hub.join(other)
    both = [RECEIPT, Receipt("agent", "r" * 32, 4, 2, 0, 8, "", "")]
    hub._dispatch([(b"agent", Speaker("notary").says(RECEIPTS, b"agent", encode_receipts(both)))])
    assert (mine.receipts, other.receipts) == (both, [])


def forged() -> dict[str, bytes]:
    """Receipts for `agent` that no notary of this deployment gave."""
    body = encode_receipts([RECEIPT])
    notary = Speaker("notary")
    return {
        "unsigned": body,
        "garbage": b"\xff",
        "no receipts": notary.says(RECEIPTS, b"agent", b"{}"),
        "a stranger's": Speaker("notary", key="mallory").says(RECEIPTS, b"agent", body),
        "another role's": Speaker("detectors").says(RECEIPTS, b"agent", body),
        "another agent's": notary.says(RECEIPTS, b"other", body),
        "another topic's": notary.says(ACTS, b"agent", body),
        "another deployment's": Speaker("notary", deployment="other").says(RECEIPTS, b"agent", body),
    }


@pytest.mark.parametrize("what", sorted(forged()))
def test_a_receipt_that_no_notary_gave_frees_nothing(hub: Hub, what: str) -> None:
    hub._opener = opener()
    mine = Member(60.0)
    hub.join(mine)
    hub._dispatch([(b"agent", forged()[what])])
    assert mine.receipts == []
    assert hub._refused.count == 1


class Looking:
    """A reader that gives these receipts, and looks at roles when it is asked to."""

    partitions = frozenset({0})

    def __init__(self, given: list[list[tuple[bytes, bytes]]]) -> None:
        self.given, self.looks, self.asked = given, 0, 0

    def look(self) -> int:
        self.asked += 1
        return self.looks + 1

    def poll(self) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
        return (self.given.pop(0) if self.given else []), []


def receive(hub: Hub, reader: Looking) -> None:
    hub._receive(cast(Any, reader))


def test_a_receipt_by_a_key_without_a_role_waits_for_a_look_at_the_roles(hub: Hub) -> None:
    mine = Member(60.0)
    hub.join(mine)
    word = (b"agent", Speaker("notary").says(RECEIPTS, b"agent", encode_receipts([RECEIPT])))
    reader = Looking([[word], [word]])
    receive(hub, reader)
    receive(hub, reader)
    assert (mine.receipts, hub._refused.count, reader.asked) == ([], 0, 1)
    hub._opener.keyring.take(directive("notary"))
    reader.looks = 1
    receive(hub, reader)
    assert mine.receipts == [RECEIPT, RECEIPT]


def test_who_has_no_role_after_a_look_is_refused_and_strangers_fill_no_memory(hub: Hub) -> None:
    hub.join(Member(60.0))
    stranger = (b"agent", Speaker("notary", key="mallory").says(RECEIPTS, b"agent", encode_receipts([RECEIPT])))
    reader = Looking([[stranger] * 100])
    receive(hub, reader)
    assert (len(hub._unknown), hub._refused.count) == (64, 36)
    reader.looks = 1
    receive(hub, reader)
    assert (hub._unknown, hub._refused.count, reader.asked) == ([], 100, 1)


def test_who_hears_no_receipt_of_what_it_sends_again_reads_anew_and_more_and_more_seldom(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    mine = Member(60.0)
    hub.join(mine)
    hub._heard_at, waits = clock[0], []
    clock[0] += 1000.0
    hub._listen()  # nothing of its own waits for an answer
    mine.unanswered = True
    for _ in range(5):
        hub._heard_at, begun = clock[0], clock[0]
        while True:
            try:
                hub._listen()
            except KafkaTimeoutError:
                break
            clock[0] += 1.0
        waits.append(clock[0] - begun)
    assert waits == [10.0, 30.0, 60.0, 300.0, 300.0]
    hub._opener = opener()
    hub._dispatch([(b"agent", Speaker("notary").says(RECEIPTS, b"agent", encode_receipts([RECEIPT])))])
    assert (hub._heard_at, hub._deaf) == (clock[0], 0), "a receipt ends it"


def test_a_notary_whose_role_comes_later_is_believed_then(hub: Hub) -> None:
    mine = Member(60.0)
    hub.join(mine)
    value = Speaker("notary").says(RECEIPTS, b"agent", encode_receipts([RECEIPT]))
    hub._dispatch([(b"agent", value)])
    assert mine.receipts == []
    hub._opener.keyring.take(directive("notary"))
    hub._dispatch([(b"agent", value)])
    assert mine.receipts == [RECEIPT]


def test_one_hub_serves_one_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two on one Kafka have notaries of their own."""
    monkeypatch.setattr(module.threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(module, "_hubs", {})
    kafka, member = KafkaSettings("127.0.0.1:2"), Member(60.0)
    one = module.join_hub(kafka, LOG, member)
    assert module.join_hub(kafka, LogSettings("test", 9, OPERATORS), member) is one
    assert module.join_hub(kafka, LogSettings("other", operator_keys=OPERATORS), member) is not one

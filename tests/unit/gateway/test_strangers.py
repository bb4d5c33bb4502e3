"""Strangers' refusals: told one by one while they are few, then counted, whole, and bounded whatever comes."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.gateway import counting
from tallystick_producers.gateway.counting import Counting
from tallystick_producers.gateway.strangers import ALL_BURST, ALL_PER_S, BURST, MAX_COUNTS, MAX_SOURCES, Refused, Strangers, network_of
from tallystick_producers.instants import Instant
from tallystick_schemas.events import Actor, Source


def refused(action: str = "auth.fail", principal: str = "anonymous", ip: str = "192.0.2.1") -> Refused:
    return Refused(action, {"actor": Actor(principal, "human"), "source": Source(ip=ip), "attrs": {"request_id": ip}})


def instant(at: float) -> Instant:
    return Instant(wall=1_000_000 + at, mono=at)


def numbers(events: Iterable[Refused]) -> list[int]:
    return [int(event.fields["attrs"]["stands_for"]) for event in events]


def test_a_source_is_told_ten_times_then_once_a_second_and_the_rest_is_counted() -> None:
    strangers = Strangers()
    told = [strangers.is_told("192.0.2.1", refused(), instant(at / 1000)) for at in range(1000)]
    assert told[: int(BURST)] == [True] * int(BURST)
    assert sum(told) == BURST
    [one] = strangers.counted()
    assert one.action == "auth.fail"
    assert one.fields["attrs"] == {"request_id": "192.0.2.1", "stands_for": "990", "since": "1970-01-12T13:46:40.010000Z"}
    assert strangers.counted() == []
    assert strangers.is_told("192.0.2.1", refused(), instant(2.0)), "after a second there is room for one"


def test_a_noisy_source_hides_nobody_else() -> None:
    strangers = Strangers()
    for _ in range(1000):
        strangers.is_told("192.0.2.1", refused(), instant(0.0))
    assert strangers.is_told("198.51.100.7", refused(ip="198.51.100.7"), instant(0.0))


def test_kinds_are_counted_apart() -> None:
    strangers = Strangers()
    for _ in range(100):
        for one in (refused(), refused("access.check"), refused(principal="alice")):
            strangers.is_told("192.0.2.1", one, instant(0.0))
    kinds = {(event.action, event.fields["actor"].principal) for event in strangers.counted()}
    assert kinds == {("auth.fail", "anonymous"), ("access.check", "anonymous"), ("auth.fail", "alice")}


def test_many_sources_have_a_bound_together_and_are_counted_whole() -> None:
    strangers = Strangers()
    asked = 3 * MAX_SOURCES
    told = 0
    for number in range(asked):
        ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        told += strangers.is_told(ip, refused(ip=ip), instant(0.0))
    events = strangers.counted()
    assert told == ALL_BURST
    assert len(events) == MAX_COUNTS + 1
    assert sum(numbers(events)) + told == asked
    assert events[-1].fields["source"] is None
    assert events[-1].fields["attrs"]["sources"] == "several"
    assert len(strangers._buckets) == MAX_SOURCES


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 30)), max_size=300))
def test_what_is_told_and_what_is_counted_is_what_was_asked(asked: list[tuple[float, int]]) -> None:
    strangers, at, told = Strangers(), 0.0, 0
    for wait, source in asked:
        at += wait
        told += strangers.is_told(f"192.0.2.{source}", refused(ip=f"192.0.2.{source}"), instant(at))
    assert told + sum(numbers(strangers.counted())) == len(asked)
    assert told <= ALL_BURST + ALL_PER_S * at + 1


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        (None, ""),
        ("nobody", ""),
    ],
)
def test_whose_bucket(client: str | None, network: str) -> None:
    assert network_of(client) == network


def test_what_is_counted_waits_while_it_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "TELL_S", 0.0)
    told: list[Refused] = []

    async def knocking() -> int:
        ready = False
        mine = Counting(told.append, lambda: ready)
        alone = 0
        for _ in range(100):
            alone += mine.is_told("192.0.2.1", refused())
            await asyncio.sleep(0)
        assert told == []
        ready = True
        while not told:
            await asyncio.sleep(0)
        mine.flush()
        return alone

    alone = asyncio.run(knocking())
    assert numbers(told) == [100 - alone]

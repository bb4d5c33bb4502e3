"""Who goes when a server has no room: never who is being answered, and a stranger that only sits there before anybody else."""

import resource

import pytest

from tallystick_producers.serving.limits import Limits, raise_file_limit
from tallystick_producers.serving.room import GRACE_S, Guest, Room

HERE, THERE = "127.0.0.1", "192.0.2.7"


class Door:
    """A room of four, two an address, and who was sent off."""

    def __init__(self, **limits: int) -> None:
        self.room = Room(Limits(**{"connections": 4, "per_address": 2, **limits}))
        self.sent: list[str] = []
        self.gone: set[str] = set()

    def come(self, name: str, at: float, address: str = HERE, *, asked: bool = False, busy: bool = False) -> bool:
        guest = Guest(address, at, lambda: self.sent.append(name), lambda: name in self.gone, asked, busy)
        return self.room.enter(guest)


def test_who_sits_there_without_a_question_goes_first_and_the_oldest_of_them() -> None:
    door = Door()
    door.come("idle for long", 0, asked=True)
    door.come("silent", 1)
    door.come("silent too", 2)
    door.come("answered", 0, asked=True, busy=True)
    assert door.come("new", 10)
    assert door.come("newer", 10)
    assert door.sent == ["silent", "silent too"]


def test_a_newcomer_has_time_for_its_handshake() -> None:
    door = Door()
    door.come("shaking hands", 10)
    door.come("idle", 9, asked=True)
    door.come("idle for long", 3, asked=True)
    door.come("busy", 0, asked=True, busy=True)
    assert door.come("new", 10 + GRACE_S / 2)
    assert door.sent == ["idle for long"]


def test_a_flood_of_newcomers_is_held_by_the_newcomers() -> None:
    door = Door()
    for n in range(10):
        assert door.come(f"flood {n}", n * GRACE_S / 100)
    assert door.sent == [f"flood {n}" for n in range(6)]
    assert len(door.room) == 4


def test_when_all_are_being_answered_the_new_one_is_refused() -> None:
    door = Door()
    assert all(door.come(f"busy {n}", n, asked=True, busy=True) for n in range(4))
    assert not door.come("new", 10)
    assert (door.sent, len(door.room)) == ([], 4)


def test_one_address_takes_no_more_than_its_part() -> None:
    door = Door()
    assert door.come("a", 0, THERE)
    assert door.come("b", 1, THERE, asked=True, busy=True)
    assert door.come("c", 5, THERE)
    assert door.sent == ["a"]
    assert door.come("here", 6)
    door.come("busy", 7, "192.0.2.8", asked=True, busy=True)
    full = Door()
    assert [full.come(f"{n}", n, THERE, asked=True, busy=True) for n in range(3)] == [True, True, False]


@pytest.mark.parametrize("address", [HERE, "::1", "127.8.0.1", ""])
def test_this_machine_has_the_whole_room(address: str) -> None:
    door = Door()
    assert [door.come(f"{n}", n, address, asked=True, busy=True) for n in range(5)] == [True] * 4 + [False]


def test_a_websocket_that_ended_gives_its_place_back() -> None:
    door = Door()
    for n in range(4):
        door.come(f"socket {n}", n, asked=True, busy=True)
    door.gone.add("socket 2")
    assert door.come("new", 9)
    assert (door.sent, len(door.room)) == ([], 4)


def test_files_are_left_for_what_connections_ask_for() -> None:
    assert Limits().within(1024).connections == 256
    assert Limits().within(1024).per_address == 256
    assert Limits().within(400).per_address == 100
    assert Limits().within(65_536) == Limits()


def test_the_limit_of_files_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
        files = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files > 512
        assert raise_file_limit() == files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

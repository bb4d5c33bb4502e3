"""Who is connected to a server, and who goes when there is no room: pure, given the time.

A newcomer is let in, and who asks for nothing goes: strangers cannot shut the door by sitting in it. Nobody whose request is under way is sent off.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from tallystick_schemas.addresses import is_loopback

from .limits import Limits

GRACE_S: Final = 1.0
"""So long a newcomer has for handshake and head before it counts as one that only sits there."""


@dataclass(eq=False)
class Guest:
    """One connection. `since`: when it came, or when its last request was answered."""

    address: str
    since: float
    send_off: Callable[[], None] = field(repr=False)
    is_gone: Callable[[], bool] = field(repr=False)
    """Whether it ended without `Room.leave`: of a websocket, only the system is told."""
    asked: bool = False
    busy: bool = False


class Room:
    """The guests of one server."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._guests = limits, dict[Guest, None]()

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, guest: Guest) -> bool:
        """Take a place, or somebody's who asks for nothing; False when everybody's request is under way."""
        if len(self._guests) >= self._limits.connections or self._is_crowd(guest.address):
            self._sweep()
        if self._is_crowd(guest.address) and not self._make_place(self._of(guest.address), guest.since):
            return False
        if len(self._guests) >= self._limits.connections and not self._make_place(self._guests, guest.since):
            return False
        self._guests[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """Give a place back; again is harmless."""
        self._guests.pop(guest, None)

    def _sweep(self) -> None:
        for guest in [one for one in self._guests if one.is_gone()]:
            self.leave(guest)

    def _of(self, address: str) -> list[Guest]:
        return [one for one in self._guests if one.address == address]

    def _is_crowd(self, address: str) -> bool:
        return not _is_loopback(address) and len(self._of(address)) >= self._limits.per_address

    def _make_place(self, guests: Iterable[Guest], now: float) -> bool:
        """Send off whoever never asked, or else asked longest ago, or else came just now."""
        free = [one for one in guests if not one.busy]
        sitting = [one for one in free if not one.asked and now - one.since > GRACE_S]
        chosen = min(sitting or [one for one in free if one.asked] or free, key=lambda one: one.since, default=None)
        if chosen is None:
            return False
        self.leave(chosen)
        chosen.send_off()
        return True


def _is_loopback(address: str) -> bool:
    """Who has no address came through a socket of this machine."""
    try:
        return not address or is_loopback(ip_address(address.partition("%")[0]))
    except ValueError:
        return False

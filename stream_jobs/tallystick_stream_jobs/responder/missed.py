"""Orders that the history has and topic `acts` never brought: a broker that drops or holds back must not decide which orders are carried out."""

from collections.abc import Callable
from typing import Final

from tallystick_schemas.orders import Order
from tallystick_schemas.roles import Keyring

from .sources import Sources

BROUGHT_S: Final = 15.0
"""So long after the ledger first showed it, `acts` may take to bring an order."""
BEFORE_S: Final = 3_600.0
"""Orders of so long before an owner began are looked for as well. Older ones are left to people: what was right then may be wrong by now."""


class Missed:
    """Of one owner, which began at `now` (seconds since 1970). `known`: whether a command was decided, as the owner remembers it."""

    def __init__(self, sources: Sources, keyring: Keyring, known: Callable[[str], bool], now: float) -> None:
        self._sources, self._keyring, self._known = sources, keyring, known
        self._since = now - BEFORE_S
        self._marks: dict[int, int] = {}
        self._waiting: dict[str, tuple[float, Order]] = {}

    def ask(self, now: float) -> list[Order]:
        """Orders that it is time to carry out, in the order in which they were given. Blocks on the store, and raises what that raises."""
        read = self._sources.orders(self._keyring, self._marks, self._since)
        self._marks |= read.marks
        for order in read.orders:
            self._waiting.setdefault(order.lock.command, (now, order))
        self._waiting = {command: one for command, one in self._waiting.items() if not self._known(command)}
        late = [order for first, order in self._waiting.values() if now - first >= BROUGHT_S]
        # Where Kafka's data is gone, so is the memory: what was decided before stands in the ledger alone.
        decided = self._sources.decided(self._keyring, [order.lock.command for order in late]) if late else set()
        for order in late:
            del self._waiting[order.lock.command]
        return sorted((order for order in late if order.lock.command not in decided), key=lambda order: order.lock.at)

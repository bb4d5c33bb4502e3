"""What the history has and a topic never brought: orders that `acts`, and findings that `findings` should have. A broker that drops or holds back must
not decide which orders are carried out, and which findings nobody hears of."""

from collections.abc import Callable, Collection, Iterable
from typing import Final, Generic, TypeVar

from tallystick_schemas.messages import Finding
from tallystick_schemas.orders import Order
from tallystick_schemas.roles import Keyring

from .decisions import command_of
from .sources import Sources

T = TypeVar("T")
BROUGHT_S: Final = 15.0
"""So long after the ledger first showed it, `acts` may take to bring an order."""
FOUND_S: Final = 60.0
"""So long may `findings` take: detection may find much at once, and each is decided on in its turn."""
BEFORE_S: Final = 3_600.0
"""What is at most so much older than an owner is looked for as well. The rest is left to people: what was right then may be wrong by now."""


class Late(Generic[T]):
    """What waits for its topic, by the command that decides on it. Pure, and given the time."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._waiting: dict[str, tuple[float, T]] = {}

    def take(self, read: Iterable[tuple[str, T]], known: Callable[[str], bool], now: float) -> dict[str, T]:
        """With what the ledger shows beyond what it showed before: those whose time is over and that are not known."""
        for command, one in read:
            self._waiting.setdefault(command, (now, one))
        self._waiting = {command: one for command, one in self._waiting.items() if not known(command)}
        return {command: one for command, (first, one) in self._waiting.items() if now - first >= self._grace_s}

    def drop(self, commands: Collection[str]) -> None:
        """They were decided, or are told of."""
        for command in commands:
            del self._waiting[command]


class Missed:
    """Of one owner, which began at `now` (seconds since 1970). `known`: whether a command was decided, as the owner remembers it.

    What it asks blocks on the store, and raises what that raises; it is asked again then.
    """

    def __init__(self, sources: Sources, keyring: Keyring, known: Callable[[str], bool], now: float) -> None:
        self._sources, self._keyring, self._known = sources, keyring, known
        self._since = now - BEFORE_S
        self._order_marks: dict[int, int] = {}
        self._finding_marks: dict[int, int] = {}
        self._orders: Late[Order] = Late(BROUGHT_S)
        self._findings: Late[Finding] = Late(FOUND_S)

    def orders(self, now: float) -> list[Order]:
        """Orders that it is time to carry out, in the order in which they were given."""
        read = self._sources.orders(self._keyring, self._order_marks, self._since)
        late = self._undecided(self._orders, [(order.lock.command, order) for order in read.orders], now)
        self._order_marks |= read.marks
        return sorted(late, key=lambda order: order.lock.at)

    def findings(self, now: float) -> list[Finding]:
        """Findings that ask for a lock, and on which nobody decided."""
        read = self._sources.acting(self._keyring, self._finding_marks, self._since)
        late = self._undecided(self._findings, [(command_of(found), found) for found in read.findings], now)
        self._finding_marks |= read.marks
        return late

    def _undecided(self, waiting: Late[T], read: Iterable[tuple[str, T]], now: float) -> list[T]:
        late = waiting.take(read, self._known, now)
        # Where Kafka's data is gone, so is the memory: what was decided before stands in the ledger alone.
        decided = self._sources.decided(self._keyring, list(late)) if late else set()
        waiting.drop(late)
        return [one for command, one in late.items() if command not in decided]

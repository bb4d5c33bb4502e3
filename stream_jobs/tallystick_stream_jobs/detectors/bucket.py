"""The principals that share a hash. Those that spoke last are held as objects, the others as bytes.

A principal who uses a dozen models is 3 kB of msgpack and 40 kB of objects (`bench detect`). As objects they are read at once, as bytes after 30 µs;
so 65,536 principals a partition fit into memory, and what Python's collector walks through does not grow with them.
"""

from typing import Any, Final

from .base import State
from .kept import FORM, Kept, Packed, day_of, encode_kept, pack, state_of, unpack

States = dict[str, Any]
"""Rule id -> the rule's state; and `day` -> the day on which the principal spoke last."""
HOT: Final = 64
"""Principals held as objects."""
MAX_BYTES: Final = 6 << 20
"""Of a bucket as it is kept: a message holds 8 MiB."""
FORGET_DAYS: Final = 90
"""Who was silent so long is forgotten; looked for as newcomers come."""
_DAY: Final = "day"


class Bucket:
    """In both maps, the principal that spoke last is at the end; all that rest were silent longer than all that do not."""

    def __init__(self, most: int, hot: int = HOT, kept: Kept | None = None) -> None:
        """`most` principals, `hot` of them as objects from `rest` to `rest`."""
        kept = Kept({}, {}) if kept is None else kept
        self.seen, self.peers, self.collections = kept.seen, kept.peers, kept.collections
        self._most, self._hot = most, hot
        self._awake: dict[str, States] = {}
        self._resting: dict[str, Packed] = kept.principals

    def __len__(self) -> int:
        return len(self._awake) + len(self._resting)

    @property
    def crowded(self) -> bool:
        """More of them are held as objects than shall be."""
        return len(self._awake) > self._hot

    def states(self, principal: str, day: int) -> States:
        """A principal that speaks on this day; it takes the place of the one that was silent longest when there are too many."""
        awake = self._awake
        states = awake.pop(principal, None)
        if states is None:
            packed = self._resting.pop(principal, None)
            if packed is None:
                states = {}
                self._make_room(day)
            else:
                states = unpack(packed)
        states[_DAY] = day
        awake[principal] = states
        return states

    def state(self, principal: str, rule: str) -> State:
        """A rule's state of one that does not speak now. Who changes it hands it to `put`."""
        states = self._awake.get(principal)
        if states is not None:
            found: State = states.get(rule, {})
            return found
        packed = self._resting.get(principal)
        return {} if packed is None else state_of(packed, rule)

    def put(self, principal: str, rule: str, state: State) -> None:
        """Of one that `state` knew; it stays in its place."""
        if principal in self._awake:
            self._awake[principal][rule] = state
        else:
            self._resting[principal] = pack(unpack(self._resting[principal]) | {rule: state})

    def rest(self) -> None:
        """Nobody may hold a principal's states now: what changes in them afterwards is lost."""
        awake = self._awake
        while len(awake) > self._hot:
            name = next(iter(awake))
            self._resting[name] = pack(awake.pop(name))

    def having(self, rule: str, key: str) -> list[str]:
        """Principals in whose state of this rule such a key is."""
        found = [name for name, packed in self._resting.items() if key in state_of(packed, rule)]
        return found + [name for name, states in self._awake.items() if key in states.get(rule, {})]

    def encoded(self) -> bytes:
        """As it is kept."""
        awake = {name: pack(states) for name, states in self._awake.items()}
        return encode_kept(Kept(self.seen, {**self._resting, **awake}, self.peers, self.collections, FORM))

    def fitted(self, most: int = MAX_BYTES) -> bytes:
        """As it is kept, in at most `most` bytes: who was silent longest is forgotten until it is."""
        raw = self.encoded()
        while len(raw) > most and len(self) > 1:
            for _ in range(1 + len(self) // 8):
                self._forget_one()
            raw = self.encoded()
        return raw

    def _make_room(self, day: int) -> None:
        while len(self) and (len(self) >= self._most or self._oldest_day(day) < day - FORGET_DAYS):
            self._forget_one()

    def _oldest_day(self, default: int) -> int:
        if self._resting:
            return day_of(next(iter(self._resting.values())))
        return int(next(iter(self._awake.values())).get(_DAY, default))

    def _forget_one(self) -> None:
        held: dict[str, Any] = self._resting or self._awake
        del held[next(iter(held))]

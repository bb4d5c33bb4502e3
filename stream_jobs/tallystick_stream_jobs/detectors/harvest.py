"""The harvest half of D14: a collection that several newcomers share out among themselves, each below every line of its own.

First stage here: each bucket keeps, per collection, a sketch of its objects and, in blocks of six hours, who was new to it and what they touched.
Second stage (`harvest`): all partitions' summaries merged (docs/adr/0015).
"""

from typing import Any, Final

from .base import State
from .facts import DAY_S, Fact, number_of
from .sketches import sketch_add

BLOCK_S: Final = 21_600
BLOCKS: Final = 4
_COLLECTIONS_EACH: Final = 32
_COLLECTIONS: Final = 64
_NAMES: Final = 32
_FORGET_DAYS: Final = 30


def observe_harvest(state: State, fact: Fact) -> None:
    """Take one touch in. New is who touched a collection first within two days, or not for thirty."""
    collection = fact.event.resource.collection
    if fact.object is None or not collection:
        return
    number, day = number_of(collection), int(fact.time // DAY_S)
    mine: dict[int, list[int]] = state.setdefault("c", {})
    seen = mine.get(number)
    if seen is None or day - seen[1] > _FORGET_DAYS:
        seen = mine[number] = [day, day]
        while len(mine) > _COLLECTIONS_EACH:
            del mine[min(mine, key=lambda one: (mine[one][1], one))]
    elif seen[1] < day:
        seen[1] = day
    fresh = day - seen[0] <= 1
    if fact.peers.first_touch(number, fact.object) or fresh:
        _note(fact, collection, day, fresh=fresh)


def _note(fact: Fact, collection: str, day: int, *, fresh: bool) -> None:
    shelf = fact.peers.collections
    one = shelf.get(collection)
    if one is None:
        one = shelf[collection] = {"a": day, "z": day, "s": b"", "b": {}}
        while len(shelf) > _COLLECTIONS:
            del shelf[min(shelf, key=lambda name: (shelf[name]["z"], name))]
    one["a"], one["z"] = min(one["a"], day), max(one["z"], day)
    key = fact.object or 0
    one["s"] = sketch_add(one["s"] or None, key)
    if not fresh:
        return
    blocks: dict[int, list[Any]] = one["b"]
    number = int(fact.time // BLOCK_S)
    block = blocks.get(number)
    if block is None:
        block = blocks[number] = [b"", {}]
        for old in [each for each in blocks if each <= max(blocks) - BLOCKS - 1]:
            del blocks[old]
    block[0] = sketch_add(block[0] or None, key)
    if len(block[1]) < _NAMES:
        block[1].setdefault(fact.event.actor.principal, list(fact.place))
    fact.peers.changed.add(collection)

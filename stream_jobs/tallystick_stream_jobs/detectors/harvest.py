"""The harvest half of D14: a collection that several newcomers share out among themselves, each below every line of its own.

First stage here: each bucket keeps, per collection, a sketch of its objects and, in blocks of six hours, who was new to it and what they touched.
Second stage (`harvest`): all partitions' summaries merged (docs/adr/0015).
"""

from typing import Any, Final

from .base import State
from .facts import PANE_S, PANES_DAY, Fact, number_of
from .sketches import gather

BLOCK_S: Final = 21_600
_FACT_PANES: Final = BLOCK_S // PANE_S
BLOCKS: Final = 4
_COLLECTIONS_EACH: Final = 32
_COLLECTIONS: Final = 64
_NAMES: Final = 32
_FORGET_DAYS: Final = 30


def observe_harvest(state: State, fact: Fact) -> None:
    """Take one touch in. New is who touched a collection first within two days, or not for thirty."""
    key: Any = fact.object
    collection = fact.collection
    if key is None or not collection:
        return
    number, day = number_of(collection), fact.pane // PANES_DAY
    mine: dict[int, list[int]] | None = state.get("c")
    if mine is None:
        mine = state["c"] = {}
    seen = mine.get(number)
    if seen is None or day - seen[1] > _FORGET_DAYS:
        seen = mine[number] = [day, day]
        _fit(mine)
    elif seen[1] < day:
        seen[1] = day
    one = fact.peers.collections.get(collection)
    if one is None:
        one = _entry(fact, collection, day)
    newest: int = one["z"]
    if day > newest:
        one["z"] = day
    gather(one["s"], key)
    if day - seen[0] <= 1:
        _newcomer(fact, key, collection, one["b"])


def _fit(mine: dict[int, list[int]]) -> None:
    while len(mine) > _COLLECTIONS_EACH:
        del mine[min(mine, key=lambda one: (mine[one][1], one))]


def _entry(fact: Fact, collection: str, day: int) -> dict[str, Any]:
    """What is kept of a collection: first and last day, its objects, and blocks of newcomers."""
    shelf = fact.peers.collections
    one = shelf[collection] = {"a": day, "z": day, "s": [b"", []], "b": {}}
    while len(shelf) > _COLLECTIONS:
        del shelf[min(shelf, key=lambda name: (shelf[name]["z"], name))]
    return one


def _newcomer(fact: Fact, key: Any, collection: str, blocks: dict[int, list[Any]]) -> None:
    number = fact.pane // _FACT_PANES
    block = blocks.get(number)
    if block is None:
        block = blocks[number] = [b"", [], {}]
        for old in [each for each in blocks if each <= max(blocks) - BLOCKS - 1]:
            del blocks[old]
    gather(block, key)
    names: dict[str, list[int]] = block[2]
    if len(names) < _NAMES and (principal := fact.principal) not in names:
        names[principal] = list(fact.place)
    fact.peers.changed.add(collection)

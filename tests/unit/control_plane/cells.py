"""What a cell of the matrix is: one attack on one surface, what its reader then does, and where that is seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Attack = Literal["forge", "replay", "roll back", "reorder", "delay", "drop", "delete", "another deployment's"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)
WRITING: frozenset[Attack] = frozenset({"forge", "replay", "delete", "another deployment's"})
"""Needs no more than to write; the others need to hold what is stored."""


class Outcome(Enum):
    REFUSED = "refused"
    """Nothing changes by it."""
    TOLD = "told"
    """It is seen, and said."""
    CLOSED = "closed"
    """Doors that cannot know deny."""
    LIMIT = "limit"
    """It works; the cell says what is lost."""


REFUSED, TOLD, CLOSED, LIMIT = Outcome


class Said(NamedTuple):
    """What the page says of a cell: what must come out of its run, and where and how soon, or what is lost."""

    outcome: Outcome
    where: str


@dataclass(frozen=True)
class Surface:
    """Something that others could have written. `run`: makes the attack on real readers in an empty folder; what came out."""

    name: str
    kind: Literal["topic", "table", "file"]
    run: Callable[[Attack, Path], Outcome]
    cells: Mapping[Attack, Said]


def unless(works: bool, otherwise: Outcome = REFUSED) -> Outcome:
    """A limit where the attack works."""
    return LIMIT if works else otherwise

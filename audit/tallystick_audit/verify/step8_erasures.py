"""Step 8: each row whose bytes are gone is named by an erase record of its shard, by place and not by number. Pure.

From level 3 on the record's entry has the places that it names. Before it the entry has the root over them alone: where the emptied places are those of
one such record, in rising order, the root says so; else they may have been named, which does not pass.
"""

from collections.abc import Iterable
from typing import Final

from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.words import counted, noun

from .report import Failure, Findings, Outcome
from .step6_events import PieceResult
from .work import ShardResult

STEP: Final = 8


def check_erased(shard: ShardResult, pieces: Iterable[PieceResult], findings: Findings) -> None:
    """A failure where events were emptied that no record names; unknown where one of before level 3 may name them."""
    places = sorted(place for piece in pieces for place in piece.erased if place not in shard.erasable)
    if not places or _root(places) in shard.hidden:
        return
    index, position = places[0]
    lost = f"{counted(len(places), 'event')} of this shard lost {noun(len(places), 'its', 'their')} bytes, the first at position {position}"
    named = sum(shard.hidden.values())
    if len(places) > named:
        findings.fail(STEP, shard.shard, index, f"{lost}, and no erase record names {noun(len(places), 'it', 'them')}")
        return
    reason = f"{lost}; erase records of before level 3 name {counted(named, 'event')}, and the history does not have which"
    findings.add(Failure(STEP, shard.shard, index, reason, outcome=Outcome.UNKNOWN))


def _root(places: list[tuple[int, int]]) -> str:
    return root_of(leaf_hashes([b'{"index":%d,"pos":%d}' % place for place in places])).hex()

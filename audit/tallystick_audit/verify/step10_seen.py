"""Step 10: the root checkpoints that agents were shown lie on this history. Pure.

A `seen` with the sealer's signature proves itself: one that does not fit was signed over another history, and integrity fails. Without a signature it is
the agent's word alone, which is told and fails nothing: else any agent could fail every verification for good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from tallystick_schemas.checkpoints import verifiers_of
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import Frontier
from tallystick_schemas.notes import Verifier
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.vouching import SeenRoot, is_signed

from .accepted import accepted_segments
from .report import AgentsSeen, Findings, UnfitSeen
from .source import StoredEntry

STEP: Final = 10


class FirstSaid(NamedTuple):
    """The first segment of a shard that says so."""

    shard: int
    place: int
    """Index of its entry."""
    agent: str


@dataclass
class SeenBook:
    """Every different `seen` of segments, each with the first of each shard that says so: keys are retired in each shard at a place of its own.

    As many as root checkpoints were signed, and as agents make up.
    """

    said: dict[SeenRoot, dict[int, FirstSaid]] = field(default_factory=dict)

    def take(self, shard: int, index: int, header: SegmentHeader) -> None:
        """One segment; those of a shard come in order."""
        if header.seen is not None:
            self.said.setdefault(SeenRoot.of(header.seen), {}).setdefault(shard, FirstSaid(shard, index, header.agent))

    def take_above(self, shard: int, rows: Iterable[StoredEntry]) -> None:
        """Rows above the newest seal, which nobody vouches for: a note that the sealer signed needs nobody to. Others are left out."""
        for index, header, _ in accepted_segments(rows):
            if header.seen is not None and header.seen.signature is not None:
                self.take(shard, index, header)

    def merge(self, others: Iterable["SeenBook"]) -> None:
        """What other shards say."""
        for other in others:
            for seen, firsts in other.said.items():
                self.said.setdefault(seen, {}).update(firsts)

    @property
    def size(self) -> int:
        """Leaves of the longest root log that any agent was shown."""
        return max((seen.size for seen in self.said), default=0)


Retired = Mapping[int, Mapping[str, int]]
"""By shard: key id -> index of the entry that retired the key there."""


def check_seen(book: SeenBook, leaves: Sequence[bytes], log: LogSettings, retired: Retired, findings: Findings) -> AgentsSeen:
    """Each against the root over as many of today's `leaves` (hashes, from leaf 0 on): what fits, and what nobody signed and does not.

    A sealer's key that was retired before the segment counts no longer: whoever stole it could fail every history from then on.
    """
    tree, fit, unfit = Frontier(), 0, dict[str, UnfitSeen]()
    for seen, firsts in sorted(book.said.items()):
        today = ""
        if seen.size <= len(leaves):
            tree.extend(leaves[tree.size : seen.size])
            today = tree.root.hex()
        if today == seen.root:
            fit += 1
            continue
        first, *others = (firsts[shard] for shard in sorted(firsts))
        signed = next((one for one in (first, *others) if is_signed(seen, _verifiers(log, seen, one, retired), log.root_origin)), None)
        if signed is not None:
            findings.fail(STEP, signed.shard, signed.place, _sentence(seen, signed, today, len(leaves)))
        else:
            one = UnfitSeen(first.agent, first.shard, first.place, seen.size, seen.root, today)
            known = unfit.setdefault(first.agent, one)
            unfit[first.agent] = replace(known, count=known.count + (known is not one))
    return AgentsSeen(fit, tuple(unfit[agent] for agent in sorted(unfit)))


def _verifiers(log: LogSettings, seen: SeenRoot, first: FirstSaid, retired: Retired) -> list[Verifier]:
    ends = retired.get(first.shard, {})
    return [one for one in verifiers_of(log, log.root_origin, seen.size) if ends.get(key_id(one.public), first.place) >= first.place]


def _sentence(seen: SeenRoot, first: FirstSaid, today: str, leaves: int) -> str:
    has = f"the first {seen.size} leaves of today's root log have root {today}" if today else f"today's root log has {leaves} leaves"
    return f"{first.agent} was shown another history: a pinned sealer key signed a root checkpoint of {seen.size} leaves with root {seen.root}, and {has}"

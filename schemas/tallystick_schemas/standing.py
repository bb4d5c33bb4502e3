"""Whether an event that a store shows is the one that its agent signed. Pure.

Its leaf, with the stored leaves beside it, must fold to the root in the header of its segment's entry (section 9, step 6, for single events): an inclusion
proof, so whoever answers for the store cannot slip another event in. Whether the entry itself is in its place is told by the chain above it, which
`tallystick audit verify` recomputes whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .entries import entry_leaf, parse_entry
from .errors import ParseError
from .events import event_leaf
from .headers import Kind, SegmentHeader, parse_header
from .merkle import root_of


class Standing(StrEnum):
    """Of one event."""

    HOLDS = "holds"
    """It is what its agent signed."""
    ERASED = "erased"
    """Its bytes are gone, its leaf is still the signed one."""
    CHANGED = "changed"
    """Its bytes are not what its agent signed."""
    REMOVED = "removed"
    """Its agent signed an event here, and the store has none."""
    UNPROVEN = "unproven"
    """Its segment is damaged, so that nothing can be said of it alone."""
    WAITING = "waiting"
    """The store does not have its segment's entry yet."""


@dataclass(frozen=True)
class StoredSegment:
    """What a store has of one segment: the entry's bytes and leaf (None without an entry), and (position, leaf) of each event's row."""

    entry: bytes | None
    entry_leaf: bytes
    leaves: Sequence[tuple[int, bytes]]


def standings(segment: StoredSegment, raws: Mapping[int, bytes], cited: Iterable[int]) -> dict[int, Standing]:
    """Position -> standing of the cited events of a segment; `raws` are the stored bytes of those that have a row, empty when erased."""
    if segment.entry is None:
        return dict.fromkeys(cited, Standing.WAITING)
    stored = dict(segment.leaves)
    mine = {pos: event_leaf(raw) for pos, raw in raws.items() if raw}
    changed = {pos for pos, leaf in mine.items() if leaf != stored.get(pos)}
    signed = _signed(segment.entry, segment.entry_leaf)
    whole = signed is not None and sorted(pos for pos, _ in segment.leaves) == list(range(signed.count))
    if signed is None or not whole:
        proven = False
    elif _root(stored | mine) == signed.root:
        proven, changed = True, set()  # the column of leaves was changed, if any: the events were not
    else:
        proven = _root(stored) == signed.root
    return {pos: _standing(pos, raws, changed, proven) for pos in cited}


def _standing(pos: int, raws: Mapping[int, bytes], changed: set[int], proven: bool) -> Standing:
    if pos not in raws:
        return Standing.REMOVED
    if pos in changed:
        return Standing.CHANGED
    if not proven:
        return Standing.UNPROVEN
    return Standing.HOLDS if raws[pos] else Standing.ERASED


def _signed(entry: bytes, leaf: bytes) -> SegmentHeader | None:
    """The header of an accepted segment; None when the entry is none, or not the one that its leaf was made of."""
    if entry_leaf(entry) != leaf:
        return None
    try:
        parsed = parse_entry(entry)
        if parsed.kind != Kind.SEGMENT or not parsed.verdict.accepted:
            return None
        header = parse_header(Kind.SEGMENT, parsed.header)
    except ParseError:
        return None
    return header if isinstance(header, SegmentHeader) else None


def _root(leaves: Mapping[int, bytes]) -> str:
    return root_of([leaves[pos] for pos in sorted(leaves)]).hex()

"""What was signed around the segments that a run still owes: who fills a gap has to join it on both sides (SPEC section 6). Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .headers import SegmentHeader
from .segments import segment_link

Edge = tuple[bytes, int]
"""Where two segments meet: the link of the first one, and the number of the event that the second one begins with."""


class Span(NamedTuple):
    """A segment as its neighbours see it: its number, the edge that it begins at, and the one that it ends at."""

    n: int
    begin: Edge
    end: Edge


class Gap(msgspec.Struct, array_like=True, frozen=True):
    """Missing segments first to last, both included. `before` is where the first of them has to begin, `after` where the last has to end.

    None where that is not known: the fold remembers it from level 3 on.
    """

    first: int
    last: int
    before: Edge | None = None
    after: Edge | None = None


def span_of(header: SegmentHeader, raw: bytes) -> Span:
    """The span of the segment with this header, whose bytes are `raw`."""
    return Span(header.n, (bytes.fromhex(header.prev), header.first), (segment_link(raw), header.first + header.count))


def gap_with(gaps: Sequence[Gap], n: int) -> Gap | None:
    """The gap that segment n is missing in, if it is."""
    return next((gap for gap in gaps if gap.first <= n <= gap.last), None)


def joins(gap: Gap, span: Span) -> bool:
    """Whether a segment of the gap continues what its predecessor signed, and its successor what it signs."""
    begins = span.n != gap.first or gap.before in (None, span.begin)
    return begins and (span.n != gap.last or gap.after in (None, span.end))


def filled(gap: Gap, span: Span, *, remember: bool) -> list[Gap]:
    """What is left of a gap when one of its segments came. `remember`: with the new edges."""
    left = Gap(gap.first, span.n - 1, gap.before, span.begin if remember else None)
    right = Gap(span.n + 1, gap.last, span.end if remember else None, gap.after)
    return [one for one in (left, right) if one.first <= one.last]

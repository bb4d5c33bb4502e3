"""Bodies of segments and erasures (SPEC sections 4 and 5): what verdicts 7 and 10 are about."""

from typing import Annotated, Final, NamedTuple

import msgspec

from .bulk import parse_together
from .errors import ParseError
from .events import Event, parse_event
from .headers import MAX_SEGMENT_EVENTS, Erase, SegmentHeader
from .merkle import leaf_hashes, root_of
from .records import Record, split_items
from .verdicts import Verdict


class Erasure(msgspec.Struct, frozen=True):
    """One event that an erase record names: its place in the shard of the header."""

    index: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    pos: Annotated[int, msgspec.Meta(ge=0, lt=MAX_SEGMENT_EVENTS)]


class Body(NamedTuple):
    """What a record carried: raw items, and for a segment the events in them."""

    items: list[bytes]
    events: list[Event]
    erased: list[Erasure]


class BodyRefused(ParseError):
    """A body that does not belong to its header, or an event that section 2 does not allow."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        self.verdict = verdict
        super().__init__(reason)


EMPTY_BODY: Final = Body([], [], [])
_erasure: Final = msgspec.json.Decoder(Erasure)
_encode_erasure: Final = msgspec.json.Encoder().encode


def examine_body(record: Record, *, bounded: bool = False) -> Body:
    """The record's body, checked against its header. BodyRefused with verdict 7 or 10. `bounded`: events by the rules of level 3."""
    header = record.header
    if isinstance(header, SegmentHeader):
        items = _items(record.body, header.count, header.root)
        return Body(items, _events(items, bounded=bounded), [])
    if isinstance(header, Erase):
        items = _items(record.body, header.count, header.root)
        return Body(items, [], _erasures(items))
    if record.body:
        raise BodyRefused(Verdict.BODY_MISMATCH, f"a record of kind {record.kind} has a body of {len(record.body)} bytes")
    return EMPTY_BODY


def _items(body: bytes, count: int, root: str) -> list[bytes]:
    try:
        items = split_items(body)
    except ParseError as error:
        raise BodyRefused(Verdict.BODY_MISMATCH, str(error)) from error
    if len(items) != count:
        raise BodyRefused(Verdict.BODY_MISMATCH, f"the header counts {count} items, the body holds {len(items)}")
    if root_of(leaf_hashes(items)).hex() != root:
        raise BodyRefused(Verdict.BODY_MISMATCH, "the body's Merkle root is not the header's")
    return items


def _events(items: list[bytes], *, bounded: bool) -> list[Event]:
    together = parse_together(items, bounded=bounded)
    if together is not None:
        return together
    events: list[Event] = []
    try:
        for item in items:
            events.append(parse_event(item, bounded=bounded))
    except ParseError as error:
        raise BodyRefused(Verdict.MALFORMED_EVENT, f"event {len(events)} of the segment: {error}") from error
    return events


def _erasures(items: list[bytes]) -> list[Erasure]:
    """What is erased must not depend on who reads it, so a place has one form."""
    try:
        places = [_erasure.decode(item) for item in items]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BodyRefused(Verdict.BODY_MISMATCH, f"an item of the erasure is not a place: {error}") from error
    if [_encode_erasure(place) for place in places] != items:
        raise BodyRefused(Verdict.BODY_MISMATCH, 'an item of the erasure is not {"index":…,"pos":…} in its one form')
    return places

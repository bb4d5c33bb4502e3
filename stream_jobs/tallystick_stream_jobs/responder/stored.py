"""Events as the ledger has them, each checked against its segment's root, signature and role before it counts: the store is asked, and not believed."""

import logging
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.evidence import Ask, Cited, read_cited
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header
from tallystick_schemas.messages import Place
from tallystick_schemas.records import signed_bytes
from tallystick_schemas.roles import Holder, Keyring, Role
from tallystick_schemas.signatures import fits
from tallystick_schemas.standing import Standing

log: Final = logging.getLogger(__name__)
SIGNED_BY: Final = (
    "(shard, `index`) IN (SELECT shard, `index` FROM ledger_entries WHERE agent IN {agents:Array(String)} "
    "AND `index` > arrayElement({marks:Array(Int64)}, shard + 1))"
)
"""A condition for questions with a limit: any agent may write events that look like another's, and must not push those out of what is looked at."""
_AT_ONCE: Final = 500
_ENTRIES: Final = (
    "SELECT shard, `index`, base64Encode(entry) FROM ledger_entries "
    "WHERE (shard, `index`) IN {segments:Array(Tuple(UInt32, UInt64))} LIMIT 1 BY shard, `index`"
)


class Stored(NamedTuple):
    """An event of the ledger, its place, and whose key signed it."""

    event: Event
    place: Place
    holder: Holder


def read_entries(ask: Ask, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """(shard, index) -> the stored entry, for those that the ledger has."""
    if not segments:
        return {}
    return {(int(shard), int(index)): b64decode(entry) for shard, index, entry in ask(_ENTRIES, {"segments": list(segments)})}


def read_stored(ask: Ask, keyring: Keyring, places: Sequence[Place], role: Role) -> Iterator[Stored]:
    """The events at these places that agents with a role signed. What does not hold is logged and left out, other agents' events silently.

    A key that is revoked by now counts: what it signed before its end was accepted, and the fold accepts nothing after it.
    """
    for at in range(0, len(places), _AT_ONCE):
        some = places[at : at + _AT_ONCE]
        cited = read_cited(ask, some)
        entries = read_entries(ask, sorted({(shard, index) for shard, index, _ in some}))
        for place in some:
            try:
                stored = _stored(place, cited[place], entries.get((place[0], place[1])), keyring)
            except ParseError as error:
                log.error("the event at %d:%d:%d does not count: %s", *place, error)
                continue
            if stored is not None and role in stored.holder.roles:
                yield stored


def _stored(place: Place, cited: Cited, entry: bytes | None, keyring: Keyring) -> Stored | None:
    """An event and who signed it; None for an agent without a role, ParseError where it does not hold."""
    if cited.standing is not Standing.HOLDS:
        raise ParseError(f"the event is {cited.standing}")
    header, signed = _segment(entry)
    holder = keyring.holder(header.agent, header.key)
    if holder is None:
        return None
    if not fits(holder.public, signed.sig, signed_bytes(Kind.SEGMENT, signed.header)):
        raise ParseError(f"{header.agent} did not sign its segment")
    return Stored(parse_event(cited.raw), place, holder)


def _segment(raw: bytes | None) -> tuple[SegmentHeader, Entry]:
    if raw is None:
        raise ParseError("its entry is gone")
    entry = parse_entry(raw)
    if entry.kind != Kind.SEGMENT or not entry.verdict.accepted:
        raise ParseError("its entry is no accepted segment")
    header = parse_header(Kind.SEGMENT, entry.header)
    assert isinstance(header, SegmentHeader)
    return header, entry

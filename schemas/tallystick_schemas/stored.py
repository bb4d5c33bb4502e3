"""Events as the ledger has them, each checked against its segment's root, signature and key before it counts: the store is asked, and not believed. Pure."""

from base64 import b64decode
from collections.abc import Sequence
from typing import Final, NamedTuple

from .entries import Entry, parse_entry
from .errors import ParseError
from .events import Event, parse_event
from .evidence import Ask, Cited, read_cited
from .headers import Kind, SegmentHeader, parse_header
from .messages import Place
from .records import signed_bytes
from .roles import Holder, Keyring
from .signatures import fits
from .standing import Standing

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


class Read(NamedTuple):
    """What became of each place: `held` are proven; `away` are erased, or their entry is on its way; `broken` are not what an agent signed, or of a key
    that no operator named, with the reason."""

    held: list[Stored]
    away: dict[Place, str]
    broken: dict[Place, str]


def read_entries(ask: Ask, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """(shard, index) -> the stored entry, for those that the ledger has."""
    if not segments:
        return {}
    return {(int(shard), int(index)): b64decode(entry) for shard, index, entry in ask(_ENTRIES, {"segments": list(segments)})}


def read_signed(ask: Ask, keyring: Keyring, places: Sequence[Place]) -> Read:
    """The events at these places that keys signed which operators gave to agents.

    A key that is revoked by now counts: what it signed before its end was accepted, and the fold accepts nothing after it.
    """
    read = Read([], {}, {})
    for at in range(0, len(places), _AT_ONCE):
        some = places[at : at + _AT_ONCE]
        cited = read_cited(ask, some)
        entries = read_entries(ask, sorted({(shard, index) for shard, index, _ in some}))
        proven = _Proven(keyring)
        for place in some:
            if cited[place].standing in (Standing.ERASED, Standing.WAITING):
                read.away[place] = f"the event is {cited[place].standing}"
                continue
            try:
                read.held.append(_stored(place, cited[place], proven.holder(place[:2], entries.get(place[:2]))))
            except ParseError as error:
                read.broken[place] = str(error)
    return read


def _stored(place: Place, cited: Cited, holder: Holder) -> Stored:
    if cited.standing is not Standing.HOLDS:
        raise ParseError(f"the event is {cited.standing}")
    return Stored(parse_event(cited.raw), place, holder)


class _Proven:
    """Whose key signed each segment, looked at once."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[tuple[int, int], Holder | ParseError] = {}

    def holder(self, at: tuple[int, int], entry: bytes | None) -> Holder:
        """ParseError where nobody's did that an operator named."""
        if at not in self._known:
            try:
                self._known[at] = _signer(entry, self._keyring)
            except ParseError as error:
                self._known[at] = error
        known = self._known[at]
        if isinstance(known, ParseError):
            raise known
        return known


def _signer(raw: bytes | None, keyring: Keyring) -> Holder:
    header, signed = _segment(raw)
    holder = keyring.holder(header.agent, header.key)
    if holder is None:
        raise ParseError(f"no operator named key {header.key} of {header.agent}")
    if not fits(holder.public, signed.sig, signed_bytes(Kind.SEGMENT, signed.header)):
        raise ParseError(f"{header.agent} did not sign its segment")
    return holder


def _segment(raw: bytes | None) -> tuple[SegmentHeader, Entry]:
    if raw is None:
        raise ParseError("its entry is gone")
    entry = parse_entry(raw)
    if entry.kind != Kind.SEGMENT or not entry.verdict.accepted:
        raise ParseError("its entry is no accepted segment")
    header = parse_header(Kind.SEGMENT, entry.header)
    assert isinstance(header, SegmentHeader)
    return header, entry

"""Words about locks from the ledger: events that a responder signed, each checked against its segment's root, signature and role before it counts."""

import logging
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.evidence import Ask, read_cited
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Place
from tallystick_schemas.records import signed_bytes
from tallystick_schemas.roles import Keyring
from tallystick_schemas.standing import Standing

from .lock_events import word_of

log: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 500
_WORDS: Final = """
SELECT shard, `index`, pos FROM events
WHERE action IN ('credential.suspend', 'credential.resume', 'credential.revoke') AND JSONHas(raw, 'attrs', 'decision')
    AND `index` > arrayElement({marks:Array(Int64)}, shard + 1)
ORDER BY toUInt64OrZero(splitByChar(' ', JSONExtractString(raw, 'attrs', 'number'))[1]) DESC,
    toUInt64OrZero(splitByChar(' ', JSONExtractString(raw, 'attrs', 'number'))[2]) DESC, `index` DESC, pos DESC
LIMIT 3 BY resource_kind, resource_id
"""
"""Three of a subject are looked at: a newest one that does not hold must not hide the one before it."""
_ENTRIES: Final = (
    "SELECT shard, `index`, base64Encode(entry) FROM ledger_entries "
    "WHERE (shard, `index`) IN {segments:Array(Tuple(UInt32, UInt64))} LIMIT 1 BY shard, `index`"
)
_TIPS: Final = "SELECT shard, max(`index`) FROM ledger_entries GROUP BY shard"


class Words(NamedTuple):
    """Words by their numbers, and the highest index of each shard that was looked at."""

    held: list[Held]
    marks: dict[int, int]


def read_words(ask: Ask, keyring: Keyring, shards: int, marks: Mapping[int, int]) -> Words:
    """The newest words of each subject above the marks. What does not hold is logged and left out: the words before it stand."""
    tips = {shard: int(index) for shard, index in ask(_TIPS, {})}
    seen = [marks.get(shard, -1) for shard in range(shards)]
    places = [(int(shard), int(index), int(pos)) for shard, index, pos in ask(_WORDS, {"marks": seen})]
    found: list[Held] = []
    for at in range(0, len(places), _AT_ONCE):
        found += _read(ask, keyring, places[at : at + _AT_ONCE])
    return Words(found, tips)


def read_entries(ask: Ask, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """(shard, index) -> the stored entry, for those that the ledger has."""
    if not segments:
        return {}
    return {(int(shard), int(index)): b64decode(entry) for shard, index, entry in ask(_ENTRIES, {"segments": list(segments)})}


def _read(ask: Ask, keyring: Keyring, places: Sequence[Place]) -> Iterable[Held]:
    cited = read_cited(ask, places)
    entries = read_entries(ask, sorted({(shard, index) for shard, index, _ in places}))
    for place in places:
        try:
            if cited[place].standing is not Standing.HOLDS:
                raise ParseError(f"the event is {cited[place].standing}")
            signer = _signer(entries.get((place[0], place[1])), keyring)
            word = word_of(parse_event(cited[place].raw), place, signer) if signer else None
        except ParseError as error:
            log.error("the event about a lock at %d:%d:%d does not count: %s", *place, error)
            continue
        if word is not None:
            yield word


def _signer(raw: bytes | None, keyring: Keyring) -> tuple[str, str] | None:
    """Agent and key of the responder that signed an entry; None for an agent of another role, ParseError where the signature does not hold.

    A key that is revoked by now counts: what it signed before its end was accepted, and the fold accepts nothing after it.
    """
    header, entry = _segment(raw)
    holder = keyring.holder(header.agent, header.key)
    if holder is None or "responder" not in holder.roles:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(holder.public).verify(entry.sig, signed_bytes(Kind.SEGMENT, entry.header))
    except InvalidSignature as error:
        raise ParseError(f"{header.agent} did not sign its segment") from error
    return header.agent, header.key


def _segment(raw: bytes | None) -> tuple[SegmentHeader, Entry]:
    if raw is None:
        raise ParseError("its entry is gone")
    entry = parse_entry(raw)
    if entry.kind != Kind.SEGMENT or not entry.verdict.accepted:
        raise ParseError("its entry is no accepted segment")
    header = parse_header(Kind.SEGMENT, entry.header)
    assert isinstance(header, SegmentHeader)
    return header, entry


def words_in(records: Iterable[bytes], keyring: Keyring, *, accepted: bool = False) -> list[Held]:
    """The words in segments as they travel: those of a spool, or ones that the history `accepted`, where a key that is revoked by now counts."""
    from .proven import prove

    found: list[Held] = []
    for raw in records:
        try:
            proven = prove(raw, keyring, revoked=accepted)
            words = [word_of(event, (0, 0, 0), (proven.holder.agent, proven.holder.key)) for event in proven.events]
        except ParseError as error:
            log.error("a segment of the spool does not count: %s", error)
            continue
        found += [word for word in words if word is not None and "responder" in proven.holder.roles]
    return found


def asking(client: Any) -> Ask:
    """A ClickHouse client as `Ask`."""
    return lambda query, parameters: client.query(query, parameters=parameters).result_rows

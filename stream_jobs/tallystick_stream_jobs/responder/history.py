"""Words about locks from the ledger: events that a responder signed."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tallystick_schemas.errors import ParseError
from tallystick_schemas.evidence import Ask
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Place
from tallystick_schemas.roles import Keyring

from .lock_events import word_of
from .stored import SIGNED_BY, read_stored

log: Final = logging.getLogger(__name__)
_WORDS: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('credential.suspend', 'credential.resume', 'credential.revoke') AND JSONHas(raw, 'attrs', 'decision')
    AND `index` > arrayElement({{marks:Array(Int64)}}, shard + 1) AND {SIGNED_BY}
ORDER BY toUInt64OrZero(splitByChar(' ', JSONExtractString(raw, 'attrs', 'number'))[1]) DESC,
    toUInt64OrZero(splitByChar(' ', JSONExtractString(raw, 'attrs', 'number'))[2]) DESC, `index` DESC, pos DESC
LIMIT 3 BY resource_kind, resource_id
"""  # noqa: S608 - parameters are the store's
"""Three of a subject are looked at: a newest one that does not hold must not hide the one before it."""
_TIPS: Final = "SELECT shard, max(`index`) FROM ledger_entries GROUP BY shard"


class Words(NamedTuple):
    """Words by their numbers, and the highest index of each shard that was looked at."""

    held: list[Held]
    marks: dict[int, int]


def read_words(ask: Ask, keyring: Keyring, shards: int, marks: Mapping[int, int]) -> Words:
    """The newest words of each subject above the marks. What does not hold is logged and left out: the words before it stand."""
    tips = read_tips(ask)
    seen = [marks.get(shard, -1) for shard in range(shards)]
    places = [
        (int(shard), int(index), int(pos)) for shard, index, pos in ask(_WORDS, {"marks": seen, "agents": keyring.named("responder")})
    ]
    return Words(list(_read(ask, keyring, places)), tips)


def read_tips(ask: Ask) -> dict[int, int]:
    """Shard -> the highest index that the ledger has of it. Ask before what stands below: a notary writes events first, and their entries commit them."""
    return {int(shard): int(index) for shard, index in ask(_TIPS, {})}


def _read(ask: Ask, keyring: Keyring, places: Sequence[Place]) -> Iterable[Held]:
    for one in read_stored(ask, keyring, places, "responder"):
        try:
            word = word_of(one.event, one.place, (one.holder.agent, one.holder.key))
        except ParseError as error:
            log.error("the event about a lock at %d:%d:%d does not count: %s", *one.place, error)
            continue
        if word is not None:
            yield word


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

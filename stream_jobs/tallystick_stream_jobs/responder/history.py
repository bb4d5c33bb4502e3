"""Words about locks from the ledger: events that a responder signed."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tallystick_schemas.candidates import Question, read_tips
from tallystick_schemas.errors import ParseError
from tallystick_schemas.evidence import Ask
from tallystick_schemas.locks import Held
from tallystick_schemas.roles import Keyring
from tallystick_schemas.stored import Stored

from .lock_events import word_of
from .signed import look_for

log: Final = logging.getLogger(__name__)
_NUMBER: Final = "toUInt64OrZero(splitByChar(' ', JSONExtractString(raw, 'attrs', 'number'))[{at}])"
_WORDS: Final = Question(
    ("credential.suspend", "credential.resume", "credential.revoke"),
    "JSONHas(raw, 'attrs', 'decision')",
    f"ORDER BY {_NUMBER.format(at=1)} DESC, {_NUMBER.format(at=2)} DESC, `index` DESC, pos DESC "
    "LIMIT 3 BY JSONExtractString(raw, 'resource', 'kind'), JSONExtractString(raw, 'resource', 'id')",
)
"""Three of a subject are looked at: a newest one that does not hold must not hide the one before it."""


class Words(NamedTuple):
    """Words by their numbers, and the highest index of each shard that was looked at."""

    held: list[Held]
    marks: dict[int, int]


def read_words(ask: Ask, keyring: Keyring, marks: Mapping[int, int]) -> Words:
    """The newest words of each subject above the marks. What does not hold is logged and left out: the words before it stand."""
    tips = read_tips(ask, marks)
    stored = look_for(ask, _WORDS, (keyring, "responder"), (tips, marks), {"agents": keyring.named("responder")})
    return Words(list(_words(stored)), tips)


def _words(stored: Iterable[Stored]) -> Iterator[Held]:
    for one in stored:
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

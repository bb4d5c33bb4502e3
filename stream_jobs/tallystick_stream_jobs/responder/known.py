"""Known names: what the history says of one that is ordered about, as a sentence for the decision. Pure; who asks brings the rows (seen.py)."""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec

from tallystick_schemas.events import Event
from tallystick_schemas.messages import Decision
from tallystick_schemas.names import canonical
from tallystick_schemas.stored import Stored
from tallystick_schemas.words import counted

KNOWN: Final = "known"
"""The key in a decision's `policy`; in its event the attribute `guard.known`."""
UNKNOWN: Final = "unknown-subject"
"""How the sentence about nobody begins: what finding R04 is made of."""
_SHOWN: Final = 3
EXACT: Final = """
SELECT shard, `index`, pos FROM (SELECT shard, `index`, pos FROM events WHERE principal = {name:String} LIMIT 3)
UNION ALL SELECT shard, `index`, pos FROM (SELECT shard, `index`, pos FROM events WHERE credential = {name:String} LIMIT 3)
SETTINGS max_execution_time = 2, max_threads = 2
"""
"""Columns find candidates; what they name is read from bytes that their agents signed."""
MOST_READ: Final = 100_000
"""Events whose bytes are looked through for a name that no column has: what a store reads within the half second that there is."""
_BY_BYTES: Final = """
SELECT shard, `index`, pos FROM
(
    SELECT shard, `index`, pos, JSONExtractString(raw, 'actor', 'principal') AS mine, JSONExtractString(raw, 'actor', 'credential') AS its FROM events
)
WHERE {column} = {value} OR its = {name} LIMIT 3 BY mine, its = {name}
LIMIT 20 SETTINGS max_execution_time = 2, max_threads = 2, max_rows_to_read = {rows}
"""
_NEAR: Final = """
SELECT shard, `index`, pos FROM events WHERE {column} = {value} LIMIT 3 BY principal LIMIT 20 SETTINGS max_execution_time = 2, max_threads = 2
"""
"""Others write events too, in spellings of their own, and so did earlier versions: the names that differ by case or normal form alone."""


class Named(NamedTuple):
    """Somebody whom an event names: `principal` or `credential`, and the name as it is recorded."""

    kind: str
    name: str


class Looked(NamedTuple):
    """What signed events say; whether all events' bytes were looked through, or for candidates the columns alone that the store derived from them;
    and how many candidates are not what their agents signed, or are nobody's."""

    found: list[Named]
    by_bytes: bool
    broken: int = 0


def named_by(stored: Iterable[Stored], *names: str) -> list[Named]:
    """Whom these events name; with `names`, as far as it is one of them."""
    said = {Named(kind, name) for one in stored for kind, name in _names(one.event) if name}
    return sorted(one for one in said if not names or one.name in names)


def _names(event: Event) -> tuple[tuple[str, str | None], ...]:
    return ("principal", event.actor.principal), ("credential", event.actor.credential)


def near_sql(name: str) -> str:
    """The question for other spellings of `name`, the parameter; normal forms cost ten times as much, so they are asked for where they can differ."""
    form = _form(name)
    return _NEAR.format(column=form.format("principal"), value=form.format("{name:String}"))


def bytes_sql(name: str) -> str:
    """The same question, and for a credential, to the events' bytes; the store refuses it (TOO_MANY_ROWS) where there are more than MOST_READ."""
    form, given = _form(name), "{name:String}"
    return _BY_BYTES.format(column=form.format("mine"), value=form.format(given), name=given, rows=MOST_READ)


def _form(name: str) -> str:
    return "lower({})" if name.isascii() else "lowerUTF8(normalizeUTF8NFC({}))"


def is_known(subject: str, found: Collection[Named]) -> bool:
    """True when the history names the subject: a principal in any spelling, a credential by its bytes."""
    kind, _, name = subject.partition(":")
    return any(one.kind == kind and _same(kind, one.name, name) for one in found)


def alike(one: Named, name: str) -> bool:
    """Whether what an event names is the name, or a principal's in another case or normal form."""
    return one.name == name or (one.kind == "principal" and canonical(one.name).lower() == canonical(name).lower())


def sentence(subject: str, looked: Looked) -> str:
    """What a decision says of its subject's name."""
    columns = "" if looked.by_bytes else "; looked for in searchable columns alone, `tallystick audit verify` says whether they hold"
    if looked.broken:
        columns += f"; {counted(looked.broken, 'event')} of the store with such a name {'is' if looked.broken == 1 else 'are'} not what an agent signed"
    if is_known(subject, looked.found):
        return f"seen: the history names it{columns}"
    others = sorted({f"{one.kind}:{one.name}"[:200] for one in looked.found})[:_SHOWN]
    near = f"; it names {', '.join(others)}" if others else ""
    return f"{UNKNOWN}: no event of the history names {subject}, so the lock may hold nobody{near}{columns}"


def not_checked(why: str) -> str:
    """What a decision says when the history could not be asked."""
    return f"not checked: whether the history names it is not known ({why})"


def with_known(decision: Decision, said: str) -> Decision:
    """The decision with the sentence among its guards' words."""
    return msgspec.structs.replace(decision, policy={**decision.policy, KNOWN: said})


def _same(kind: str, one: str, other: str) -> bool:
    return canonical(one) == canonical(other) if kind == "principal" else one == other

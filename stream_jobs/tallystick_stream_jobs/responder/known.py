"""Known names: what the history says of one that is ordered about, as a sentence for the decision. Pure; who asks brings the rows (seen.py)."""

from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from tallystick_schemas.messages import Decision
from tallystick_schemas.names import canonical

KNOWN: Final = "known"
"""The key in a decision's `policy`; in its event the attribute `guard.known`."""
UNKNOWN: Final = "unknown-subject"
"""How the sentence about nobody begins: what finding R04 is made of."""
_SHOWN: Final = 3
EXACT: Final = """
SELECT 'principal', {name:String} FROM (SELECT 1 FROM events WHERE principal = {name:String} LIMIT 1)
UNION ALL SELECT 'credential', {name:String} FROM (SELECT 1 FROM events WHERE credential = {name:String} LIMIT 1)
SETTINGS max_execution_time = 2, max_threads = 2
"""
_NEAR: Final = """
SELECT DISTINCT 'principal', principal FROM events WHERE {column} = {value} LIMIT 20 SETTINGS max_execution_time = 2, max_threads = 2
"""
"""Others write events too, in spellings of their own, and so did earlier versions: the names that differ by case or normal form alone."""


class Named(NamedTuple):
    """Somebody whom an event names: `principal` or `credential`, and the name as it is recorded."""

    kind: str
    name: str


def near_sql(name: str) -> str:
    """The question for other spellings of `name`, the parameter; normal forms cost ten times as much, so they are asked for where they can differ."""
    form = "lower({})" if name.isascii() else "lowerUTF8(normalizeUTF8NFC({}))"
    return _NEAR.format(column=form.format("principal"), value=form.format("{name:String}"))


def is_known(subject: str, found: Collection[Named]) -> bool:
    """True when the history names the subject: a principal in any spelling, a credential by its bytes."""
    kind, _, name = subject.partition(":")
    return any(one.kind == kind and _same(kind, one.name, name) for one in found)


def sentence(subject: str, found: Collection[Named]) -> str:
    """What a decision says of its subject's name."""
    if is_known(subject, found):
        return "seen: the history names it"
    others = sorted({f"{one.kind}:{one.name}"[:200] for one in found})[:_SHOWN]
    near = f"; it names {', '.join(others)}" if others else ""
    return f"{UNKNOWN}: no event of the history names {subject}, so the lock may hold nobody{near}"


def not_checked(why: str) -> str:
    """What a decision says when the history could not be asked."""
    return f"not checked: whether the history names it is not known ({why})"


def with_known(decision: Decision, said: str) -> Decision:
    """The decision with the sentence among its guards' words."""
    return msgspec.structs.replace(decision, policy={**decision.policy, KNOWN: said})


def _same(kind: str, one: str, other: str) -> bool:
    return canonical(one) == canonical(other) if kind == "principal" else one == other

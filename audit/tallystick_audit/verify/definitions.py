"""Definitions of tables and views, compared with those that the migrations make (step 7). Pure.

The store's own formatter prints both, so that versions that print otherwise print both otherwise. What is left to compare are words. What a newer or
older server adds by itself when it makes a table nobody here knows: on a server that was not tried, a difference is unknown and no failure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .report import Aspect, Failure, Findings, Outcome

STEP = 7
TRIED: Final = ("26.9.",)
"""Versions of the server on which the definitions that migrations make were seen to compare equal (tests/faults/test_definitions.py)."""
_CREATE: Final = re.compile(
    r"CREATE (?:OR REPLACE )?(?:MATERIALIZED )?(?:TABLE|VIEW|DICTIONARY) (?:IF NOT EXISTS )?(?:`?\w+`?\.)?`?(\w+)`?"
)
_WORDS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`[^`]*`|\w+|\S")
_ENGINE: Final = re.compile(r"ENGINE = (?:Replicated|Shared)(\w*MergeTree)(?:\('[^']*', '[^']*'(?:, )?([^)]*)\))?")
_TUNING: Final = ("INDEX", "PROJECTION")
_SHOWN: Final = 160


@dataclass(frozen=True)
class Definitions:
    """What the store says of itself. `wanted` are the migrations' statements as it prints them, None where it could not."""

    version: str
    database: str
    wanted: Sequence[str | None]
    found: Mapping[str, str]
    """By name, as far as the user may see."""
    missing: Sequence[str] = ()
    """Wanted ones that are not there."""
    policies: Sequence[tuple[str, str]] | None = ()
    """(table, name) of row policies; None when the user may not see them."""


@dataclass
class _Parts:
    head: str
    columns: dict[str, str] = field(default_factory=dict)
    tail: str = ""
    settings: dict[str, str] = field(default_factory=dict)


def compare_definitions(stored: Definitions, statements: Sequence[str], findings: Findings) -> list[str]:
    """Failures and what is unknown go into `findings`; what was not compared, and what stands beside, is returned in sentences."""
    notes: list[str] = []
    wanted = {name_of(text): printed for text, printed in zip(statements, stored.wanted, strict=True)}
    unseen = [name for name in wanted if name not in stored.found and name not in stored.missing]
    for name, printed in wanted.items():
        if name in stored.missing:
            findings.fail(STEP, None, None, f"{name} is missing in database {stored.database}, and the migrations make it")
        elif name in stored.found:
            _one(stored, name, printed, findings, notes)
    for table, policy in stored.policies or ():
        if table in wanted or not table:
            findings.fail(
                STEP, None, None, f"row policy {policy} may hide rows of {table or 'every table'} from some, and the migrations make none"
            )
    if unseen:
        notes.append(f"not compared, since this user may not see their definitions: {', '.join(unseen)}")
    if stored.policies is None:
        notes.append("not looked at: row policies, which this user may not see")
    if beside := sorted(stored.found.keys() - wanted.keys()):
        notes.append(f"database {stored.database} has beside what the migrations make: {', '.join(beside)}")
    return notes


def name_of(statement: str) -> str:
    """The table or view that a CREATE statement makes."""
    found = _CREATE.match(statement)
    return found[1] if found else statement.split("\n", 1)[0]


def _one(stored: Definitions, name: str, printed: str | None, findings: Findings, notes: list[str]) -> None:
    if printed is None:
        _unknown(findings, f"the definition of {name} cannot be compared: server {stored.version} does not print the migrations' one")
        return
    wanted, found = _parts(printed, stored.database), _parts(stored.found[name], stored.database)
    for sentence in _differences(name, wanted, found):
        if stored.version.startswith(TRIED):
            findings.fail(STEP, None, None, sentence)
        else:
            _unknown(findings, f"{sentence}; server {stored.version} may print it otherwise, which was not tried")
    tuning = [key for key in found.columns.keys() - wanted.columns.keys() if key.startswith(_TUNING)]
    tuning += [f"{key} = {value}" for key, value in found.settings.items() if key not in wanted.settings and key != "index_granularity"]
    if tuning:
        notes.append(f"{name} has beside what the migrations make: {', '.join(sorted(tuning))}")


def _unknown(findings: Findings, reason: str) -> None:
    findings.add(Failure(STEP, None, None, reason, Aspect.INTEGRITY, Outcome.UNKNOWN))


def _differences(name: str, wanted: _Parts, found: _Parts) -> Iterator[str]:
    if wanted.head != found.head:
        yield f"{name} is made by {_short(found.head)}, the migrations say {_short(wanted.head)}"
        return
    for column in [*wanted.columns, *(key for key in found.columns if key not in wanted.columns and not key.startswith(_TUNING))]:
        here, there = found.columns.get(column, "nothing"), wanted.columns.get(column, "nothing")
        if here != there:
            yield f"{name}: {column} is {_apart(here, there)}"
    for setting, value in wanted.settings.items():
        if found.settings.get(setting) != value:
            yield f"{name}: setting {setting} is {found.settings.get(setting, 'absent')}, the migrations say {value}"
    if wanted.tail != found.tail:
        yield f"{name}: its definition is {_apart(found.tail, wanted.tail)}"


def _apart(here: str, there: str) -> str:
    """Both from where they part."""
    at = next((at for at, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), min(len(here), len(there)))
    at = max(here.rfind(" ", 0, at) + 1, 0) if at > _SHOWN // 2 else 0
    return f"{'… ' if at else ''}{_short(here[at:])}, the migrations say {'… ' if at else ''}{_short(there[at:])}"


def _short(text: str) -> str:
    return f"`{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}`"


def _parts(printed: str, database: str) -> _Parts:
    """A printed CREATE statement taken apart: kind and name; columns and what stands among them; the rest; settings."""
    text = _ENGINE.sub(lambda found: f"ENGINE = {found[1]}" + (f"({found[2]})" if found[2] else ""), printed)
    words = _plain(text, database)
    head = words[: 3 if words[1:2] == ["MATERIALIZED"] else 2]
    view = "VIEW" in head
    at = len(head) + 1 + (3 if words[len(head) : len(head) + 3] == ["IF", "NOT", "EXISTS"] else 0)
    columns: dict[str, str] = {}
    if words[at : at + 1] == ["("]:
        end = _closing(words, at)
        # A view's columns are what the server found its query to give; the query is compared.
        columns = {} if view else dict(map(_column, _split(words[at + 1 : end])))
        at = end + 1
    tail, settings = words[at:], dict[str, str]()
    if "SETTINGS" in tail and not view:
        cut = tail.index("SETTINGS")
        settings = {one[0]: " ".join(one[2:]) for one in _split(tail[cut + 1 :])}
        tail = tail[:cut]
    return _Parts(" ".join(head), columns, " ".join(tail), settings)


def _plain(text: str, database: str) -> list[str]:
    """Words without backticks, and names without their database."""
    words = [word.strip("`") if word.startswith("`") and re.fullmatch(r"`\w+`", word) else word for word in _WORDS.findall(text)]
    plain: list[str] = []
    at = 0
    while at < len(words):
        if words[at] == database and words[at + 1 : at + 2] == ["."]:
            at += 2
        plain += words[at : at + 1]
        at += 1
    return plain


def _closing(words: Sequence[str], at: int) -> int:
    depth = 0
    for number in range(at, len(words)):
        depth += (words[number] == "(") - (words[number] == ")")
        if depth == 0:
            return number
    return len(words)


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    """At commas that stand in no parentheses."""
    part: list[str] = []
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _column(words: Sequence[str]) -> tuple[str, str]:
    """Name and the rest. How a column is compressed is the operator's own affair."""
    kept = list(words)
    if "CODEC" in kept:
        at = kept.index("CODEC")
        del kept[at : _closing(kept, at + 1) + 1]
    named = 2 if kept[0] in (*_TUNING, "CONSTRAINT") else 1
    return " ".join(kept[:named]) if named == 2 else f"column {kept[0]}", " ".join(kept[named:])

"""Step 7 for entries: every derived column of `ledger_entries` computed again from the entry's bytes, beside steps 3 to 5. Pure."""

from typing import Any, Final

import msgspec

from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError

from .columns import SEPARATOR, differences, unreadable
from .report import Findings
from .source import StoredEntry

STEP = 7
_FROM_ENTRY: Final = ("kind", "generation", "offset", "append_time", "verdict", "header")
_FROM_HEADER: Final = ("agent", "key", "run", "n", "first", "count", "epoch")
ENTRY_COLUMNS: Final = (*_FROM_ENTRY, *_FROM_HEADER)
"""Derived columns in the order of their text; `append_time` in milliseconds. `leaf` and `chain` are step 3's."""


class _Members(msgspec.Struct, gc=False):
    """Members of a header that columns are made of, of whatever type: only the kind's own are checked by the fold."""

    agent: Any = ""
    key: Any = ""
    run: Any = ""
    n: Any = 0
    first: Any = 0
    count: Any = 0
    epoch: Any = 0


_decode: Final = msgspec.json.Decoder(_Members).decode
_NOTHING: Final = _Members()


class EntryColumns:
    """Takes every row of a shard, also those that repeat the one before."""

    def __init__(self, shard: int, findings: Findings) -> None:
        self._shard, self._findings = shard, findings

    def take(self, row: StoredEntry) -> None:
        """One row. Of what is no entry step 3 tells."""
        try:
            entry = parse_entry(row.entry)
        except ParseError:
            return
        if entry_text(entry) == row.columns:
            return
        expected = _expected(entry)
        if _reads_nothing(entry.header) and row.columns.endswith(_NOTHING_READ):
            expected[len(_FROM_ENTRY) :] = [None] * len(_FROM_HEADER)
        for sentence in differences(ENTRY_COLUMNS, expected, row.columns, "the entry's bytes"):
            self._findings.fail(STEP, self._shard, row.index, sentence)


def entry_text(entry: Entry) -> bytes:
    """The columns of one entry as one text; nothing stands in it for what is not compared."""
    return SEPARATOR.join([value or "" for value in _expected(entry)]).encode()


def _expected(entry: Entry) -> list[str | None]:
    return [*_from_entry(entry), *_from_header(_members(entry.header))]


def _from_entry(entry: Entry) -> list[str | None]:
    # The column is signed, the number in the entry is not.
    append_ms = entry.append_ms - (entry.append_ms >> 63 << 64)
    numbers = (entry.kind, entry.generation, entry.offset, append_ms, entry.verdict.value)
    return [*map(str, numbers), entry.header.decode("utf-8", "backslashreplace")]


def _members(header: bytes) -> _Members:
    try:
        return _decode(header)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _NOTHING  # no JSON object: the engine finds nothing in it, and steps 3 and 5 say what is wrong


def _from_header(members: _Members) -> list[str | None]:
    return [
        *(value if isinstance(value, str) else "" if value is None else None for value in (members.agent, members.key, members.run)),
        _number(members.n, 2**64),
        _number(members.first, 2**64),
        _number(members.count, 2**64, 2**16),
        _number(members.epoch, 2**63),
    ]


def _number(value: Any, limit: int, modulo: int | None = None) -> str | None:
    """What the column says; None, and not compared, for a member of another type: engines convert it as they like, and nothing reads it."""
    if value is None:
        return "0"
    if type(value) is not int or not 0 <= value < limit:
        return None
    return str(value % modulo if modulo else value)


_NOTHING_READ: Final = (SEPARATOR + SEPARATOR.join(value or "" for value in _from_header(_NOTHING))).encode()


def _reads_nothing(header: bytes) -> bool:
    try:
        return unreadable(header)
    except (ValueError, RecursionError):
        return False

"""Step 7 for events: every derived column computed again from the event's bytes, beside step 6, and compared with the stored one. Pure.

What a column is made of is section 11 of the format's page; the migration says the same in SQL. Nothing here asks the store's engine.
"""

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, Protocol

from tallystick_schemas.events import Event, Source, Usage, Why

from .columns import SEPARATOR, differences, unreadable
from .report import Findings

STEP = 7
EVENT_COLUMNS: Final = (
    *("time", "action", "principal", "principal_kind", "credential", "session", "outcome"),
    *("resource_kind", "resource_id", "version", "part", "collection", "sensitivity"),
    *("bytes", "objects", "tokens_in", "tokens_out", "duration_ms"),
    *("purpose", "grant_id", "ticket", "ip", "country", "user_agent", "host", "request_id"),
)
"""Derived columns of `events` in the order of their text; `leaf` is step 6's."""
_ZERO: Final = "1970-01-01 00:00:00.000000"
_NUMBERS: Final = frozenset(["bytes", "objects", "tokens_in", "tokens_out", "duration_ms"])
_EMPTY: Final = tuple(_ZERO if name == "time" else "0" if name in _NUMBERS else "" for name in EVENT_COLUMNS)
"""Columns of a row without bytes."""
EMPTY_TEXT: Final = SEPARATOR.join(_EMPTY).encode()
_LIMITS: Final = (_ZERO, "1900-01-01 00:00:00.000000", "2299-12-31 23:59:59.999999")
"""What an engine makes of a time beyond its calendar, which runs from 1900 to 2299 by ClickHouse's pages and further in newer versions."""
_NO_USAGE, _NO_WHY, _NO_SOURCE, _NO_ATTRS = Usage(), Why(), Source(), dict[str, str]()


class Rows(Protocol):
    """Rows of one segment."""

    index: int
    positions: Sequence[int]
    raws: list[bytes]
    columns: list[bytes]


def event_text(event: Event) -> str:
    """The columns of one event as one text. Its time is taken as if a calendar had it."""
    actor, resource, time = event.actor, event.resource, event.time
    usage, why, source = event.usage or _NO_USAGE, event.why or _NO_WHY, event.source or _NO_SOURCE
    return (
        f"{time[:10]} {time[11:26]}\0{event.action}\0{actor.principal}\0{actor.kind}\0{actor.credential or ''}\0{actor.session or ''}\0"
        f"{event.outcome}\0{resource.kind}\0{resource.id}\0{resource.version or ''}\0{resource.part or ''}\0{resource.collection or ''}\0"
        f"{resource.sensitivity or ''}\0{usage.bytes or 0}\0{usage.objects or 0}\0{usage.tokens_in or 0}\0{usage.tokens_out or 0}\0"
        f"{usage.duration_ms or 0}\0{why.purpose or ''}\0{why.grant or ''}\0{why.ticket or ''}\0{source.ip or ''}\0{source.country or ''}\0"
        f"{source.user_agent or ''}\0{source.host or ''}\0{(event.attrs or _NO_ATTRS).get('request_id', '')}"
    )


class EventColumns:
    """Takes rows whose events are parsed."""

    def __init__(self, shard: int, findings: Findings) -> None:
        self._shard, self._findings = shard, findings

    def take(self, groups: Sequence[Rows], events: Sequence[Event | None]) -> None:
        """`events` of all rows in their order; None where one breaks the format, of which step 6 tells."""
        stored = [text for group in groups for text in group.columns]
        expected = [None if event is None else event_text(event) for event in events]
        if None not in expected and SEPARATOR.join(expected).encode() == b"\0".join(stored):  # type: ignore[arg-type]  # no None is in it
            return
        places = [(group.index, position, raw) for group in groups for position, raw in zip(group.positions, group.raws, strict=True)]
        for (index, position, raw), text, columns in zip(places, expected, stored, strict=True):
            if text is not None and text.encode() != columns:
                self._differs(index, position, _closer(text.split(SEPARATOR), raw, columns))

    def erased(self, index: int, position: int, columns: bytes) -> None:
        """A row without bytes: its columns are empty as well."""
        if columns != EMPTY_TEXT:
            self._differs(index, position, differences(EVENT_COLUMNS, _EMPTY, columns, "an erased event"))

    def _differs(self, index: int, position: int, sentences: list[str]) -> None:
        for sentence in sentences:
            self._findings.fail(STEP, self._shard, index, f"the event at position {position}: {sentence}")


def _closer(expected: list[str], raw: bytes, columns: bytes) -> list[str]:
    """What is wrong with a row that is not as usual. Odd times and numbers are what the engine makes of them."""
    if columns == EMPTY_TEXT and unreadable(raw):
        return []
    stored = columns.split(b"\0", 1)[0].decode("utf-8", "replace")
    return differences(EVENT_COLUMNS, [_time(expected[0], stored), *expected[1:]], columns, "the event's bytes")


def _time(plain: str, stored: str) -> str:
    """What column `time` may say of this time: `stored` when it is one of several."""
    if plain.startswith("0000"):
        # To the engine no year was given: it takes the one in which the row was written.
        return stored if stored == _ZERO or (re.fullmatch(r"\d{4}", stored[:4], re.A) and stored[4:] == plain[4:]) else plain
    try:
        date.fromisoformat(plain[:10])
    except ValueError:
        return _ZERO
    return stored if not "1900" <= plain[:4] <= "2299" and stored in _LIMITS else plain

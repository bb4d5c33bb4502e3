"""One JSON object a line, with a mapping; `{a.b}` in it reads the field b of the object a."""

from typing import Any

import msgspec

from ..errors import LineRefused
from .fields import LogEvent
from .mapping import RowMapping


class JsonLines:
    """A parser for lines under one mapping."""

    def __init__(self, mapping: RowMapping) -> None:
        self._mapping = mapping

    def __call__(self, line: bytes) -> LogEvent:
        """The line's event; LineRefused."""
        try:
            row = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise LineRefused(f"not JSON: {error}") from error
        if not isinstance(row, dict):
            raise LineRefused("not a JSON object")
        return self._mapping.event(lambda path: _at(row, path))


def _at(row: Any, path: str) -> str:
    """The value at a path as text: a key that itself has dots is found first. "" for what is missing or null."""
    if isinstance(row, dict) and path in row:
        return _plain(row[path])
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return _plain(row)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()

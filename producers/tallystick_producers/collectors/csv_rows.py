"""Rows of CSV with a mapping. The first line names the columns; a row is one line, so that a broken one spoils no other."""

import csv
from typing import Final

from ..errors import LineRefused
from .fields import LogEvent, text_of
from .mapping import RowMapping

_BOM: Final = "\ufeff"


class CsvRows:
    """A parser for the rows below one header."""

    def __init__(self, mapping: RowMapping, header: bytes) -> None:
        """LineRefused when the header lacks a column that the mapping reads."""
        names = _split(text_of(header).removeprefix(_BOM))
        self._columns = {name.strip(): at for at, name in enumerate(names)}
        self._width = len(names)
        self._mapping = mapping
        if missing := sorted(mapping.columns() - set(self._columns)):
            raise LineRefused(f"the header has no column {', '.join(missing)}")

    def __call__(self, line: bytes) -> LogEvent:
        """The row's event; LineRefused."""
        values = _split(text_of(line))
        if len(values) != self._width:
            raise LineRefused(f"the row has {len(values)} fields, the header {self._width}")
        columns = self._columns
        return self._mapping.event(lambda name: values[columns[name]])


def _split(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LineRefused(f"not a row of CSV: {error}") from error
    return rows[0] if rows else []

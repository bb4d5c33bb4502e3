"""Tables for people that lose nothing: what has to be copied or typed stands whole, in one piece where there is room for it."""

from collections.abc import Collection
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_LEAST = 8
"""Cells that each other column must keep for the whole ones to stay in one piece."""
_GAP = 2


class Listing(Table):
    """A table whose columns named in `whole` (ids, subjects, commands, names) are not broken while the others keep `_LEAST` cells each.

    The leftmost come first; one without room is folded like all others, for rich cuts what it may neither wrap nor fit, silently.
    """

    def __init__(self, *columns: str, whole: Collection[str] = ()) -> None:
        super().__init__(*columns, box=None, pad_edge=False, header_style="bold")
        self._whole = frozenset(whole)
        for column in self.columns:
            column.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [max(_width(cell) for cell in (column.header, *column.cells)) for column in self.columns]
        room = options.max_width - sum(min(width, _LEAST) + _GAP for width in widths)
        for column, width in zip(self.columns, widths, strict=True):
            more = max(0, width - _LEAST)
            column.no_wrap = column.header in self._whole and more <= room
            room -= more if column.no_wrap else 0
        yield from super().__rich_console__(console, options)


def _width(cell: object) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(str(cell))


def short_time(time: str, now: datetime | None = None) -> str:
    """A wire time (RFC 3339, UTC) as `HH:MM:SS` on the day of `now`, otherwise as `MM-DD HH:MM`; in another year with it."""
    today = f"{now or datetime.now(UTC):%Y-%m-%d}"
    if time[:10] == today:
        return time[11:19]
    return time[5:16].replace("T", " ") if time[:4] == today[:4] else time[:16].replace("T", " ")

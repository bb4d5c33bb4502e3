"""Tables for people that lose nothing: what has to be copied or typed stands whole, in one piece where there is room for it."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from ..terminal import styled

_LEAST = 8
"""Cells that each other column must keep for the whole ones to stay in one piece."""
_GAP = 2
_SENTENCE = 56
"""Cells that a column of sentences needs to be read as such."""
_LONGEST = 1_000
"""Characters of a cell. An event has room for a name of 16,000, which would push everything else off the screen."""


class Listing(Table):
    """A table whose columns named in `whole` (ids, subjects, commands, names) are not broken while the others keep `_LEAST` cells each.

    The leftmost come first; one without room is folded like all others, for rich cuts what it may neither wrap nor fit, silently.
    `below` is the last column, of sentences: where it would be a narrow strip, each sentence stands under its row instead.
    A cell that is a string is text on one line, of at most `_LONGEST` characters; colours and lines come from `terminal.styled` and `lines`.
    """

    def __init__(self, *columns: str, whole: Collection[str] = (), below: str | None = None) -> None:
        super().__init__(*columns, box=None, pad_edge=False, header_style="bold")
        self._whole, self._below = frozenset(whole), below
        for column in self.columns:
            column.overflow = "fold"

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """One row."""
        super().add_row(*(styled(cut(cell)) if isinstance(cell, str) else cell for cell in cells), style=style, end_section=end_section)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [max(_width(cell) for cell in (column.header, *column.cells)) for column in self.columns]
        if self._below is not None and options.max_width - sum(widths[:-1]) - _GAP * (len(widths) - 1) < min(widths[-1], _SENTENCE):
            yield from self._with_notes(widths[:-1], options.max_width)
            return
        room = options.max_width - sum(min(width, _LEAST) + _GAP for width in widths)
        for column, width in zip(self.columns, widths, strict=True):
            more = max(0, width - _LEAST)
            column.no_wrap = column.header in self._whole and more <= room
            room -= more if column.no_wrap else 0
        yield from super().__rich_console__(console, options)

    def _with_notes(self, widths: list[int], most: int) -> RenderResult:
        """The rows without their last column, and that below each: under the sentence that it belongs to, where a sentence has room there."""
        while sum(widths) + _GAP * (len(widths) - 1) > most and max(widths[1:]) > _LEAST:
            widest = max(range(1, len(widths)), key=lambda at: widths[at])
            widths[widest] -= 1
        begin = sum(widths[:-1]) + _GAP * (len(widths) - 1)
        indent = begin if most - begin >= _SENTENCE else _GAP
        *cells, notes = (list(column.cells) for column in self.columns)
        yield _line([Text(str(column.header), "bold") for column in self.columns[:-1]], widths)
        for row, note, *shown in zip(self.rows, notes, *cells, strict=True):
            yield _line(shown, widths, row.style)
            if _width(note):
                yield Padding(note, (0, 0, 0, indent), style="dim", expand=False)


def _line(cells: Sequence[RenderableType], widths: Sequence[int], style: StyleType | None = None) -> Table:
    line = Table.grid(padding=(0, _GAP, 0, 0))
    for width in widths:
        line.add_column(width=width, overflow="fold")
    line.add_row(*cells, style=style)
    return line


def _width(cell: object) -> int:
    return (cell if isinstance(cell, Text) else styled(cell)).cell_len


def cut(text: str) -> str:
    """A cell's text; of a very long one the beginning, and how much is left out. `--json` has all of it."""
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]}… and {more:,} characters more" if more > 0 else text


def framed(title: str, content: Text) -> Panel:
    """Text in a frame that is no wider than it needs."""
    return Panel(content, title=styled(title), title_align="left", border_style="dim", expand=False)


def indented(text: str) -> Padding:
    """A line that stands two cells in, and so do those that it is folded to."""
    return Padding(styled(text), (0, 0, 0, _GAP), expand=False)


def amount(value: float) -> str:
    """A measured value in few cells: 0.9, 40, 412.5, 50.3M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def short_time(time: str, now: datetime | None = None) -> str:
    """A wire time (RFC 3339, UTC) as `HH:MM:SS` on the day of `now`, otherwise as `MM-DD HH:MM`; in another year with it."""
    today = f"{now or datetime.now(UTC):%Y-%m-%d}"
    if time[:10] == today:
        return time[11:19]
    return time[5:16].replace("T", " ") if time[:4] == today[:4] else time[:16].replace("T", " ")

"""The one home of what commands print. Text from outside is shown here and never obeyed: no escape, no bidi control, no markup, no forged line.

A string that is printed, or put into a cell, is one line: `schemas.shown` makes it safe, and rich's markup and emoji codes are off. Colours come
from `styled` alone, lines from `lines` and `block`. `tests/unit/infra/test_one_home.py` holds all other modules to it.
"""

import io
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import click
import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.segment import Segment
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tallystick_schemas.shown import shown, shown_json, shown_lines

StyledText: TypeAlias = Text
"""What `styled`, `joined` and `lines` make; nobody else does."""
Drawn: TypeAlias = RenderableType
_PIPED_WIDTH = 10_000
"""Columns where nobody's screen ends: a table is then as wide as its cells."""


class Terminal(Console):
    """A console that takes every string for text. What was built without `styled` is made safe on its way out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Text on one line; measured as it will stand there."""
        return super().render_str(shown(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments in which nothing acts but what rich itself wrote."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown_lines(segment.text))

    def status(self, status: RenderableType, **options: Any) -> Status:
        """A line that turns while something is awaited. rich would read its markup, so it is made of text here."""
        return super().status(styled(status) if isinstance(status, str) else status, **options)


def out(as_json: bool = False) -> Terminal:
    """Where people read: standard output, or standard error when standard output is for a script."""
    seen = (sys.stderr if as_json else sys.stdout).isatty()
    return Terminal(stderr=as_json, soft_wrap=not seen, width=None if seen else _PIPED_WIDTH)


def styled(text: object, style: str = "") -> Text:
    """One line of text in a style of rich's: `bold red`."""
    return Text(shown(str(text)), style)


def joined(*parts: str | Text) -> Text:
    """Parts with styles of their own, on one line."""
    return Text.assemble(*(styled(part) if isinstance(part, str) else part for part in parts))


def lines(*parts: str | Text) -> Text:
    """Each part on a line of its own."""
    return Text("\n").join(styled(part) if isinstance(part, str) else part for part in parts)


def block(text: str) -> Text:
    """Text whose line breaks are ours."""
    return Text(shown_lines(text))


def timed(text: str | Text) -> RenderableType:
    """A line of a log for people, with the time in front and what does not fit under its beginning; in a pipe, one line."""
    now = styled(time.strftime("%H:%M:%S"), "dim")
    if not sys.stdout.isatty() and not sys.stderr.isatty():
        return joined(now, " ", text)
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(now, joined(text))
    return line


def titled(title: str, note: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of figures with a title and a sentence below; all columns but the first stand to the right."""
    table = Table(title=styled(title), caption=styled(note), title_justify="left", caption_justify="left")
    for at, name in enumerate(head):
        table.add_column(styled(name), justify="right" if at else "left")
    for row in rows:
        table.add_row(*map(styled, row))
    return table


def bar(console: Console, *columns: ProgressColumn, disable: bool = False) -> Progress:
    """A bar that goes when it is full; its description is text."""
    return Progress(TextColumn("{task.description}", markup=False), BarColumn(), *columns, console=console, disable=disable, transient=True)


def emit_json(value: object) -> None:
    """One object on one line of standard output. The value is exact; what a terminal would obey stands in it as `\\u`."""
    sys.stdout.write(shown_json(msgspec.json.encode(value).decode()) + "\n")
    sys.stdout.flush()


def echo(text: str, *, err: bool = False) -> None:
    """One plain line, whatever the width of the screen."""
    click.echo(shown(text), err=err)


def echo_error(sentence: str) -> None:
    """`error:` in red, and the sentence, on standard error."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {shown(sentence)}", err=True)


def echo_click(error: click.ClickException) -> None:
    """What click says of a mistake on the command line: usage, hint and sentence."""
    paper = _Paper()
    error.show(paper)
    click.echo(shown_lines(paper.getvalue().rstrip("\n")), err=True)


def confirm(question: str, *, default: bool = False, abort: bool = False) -> bool:
    """Yes or no from the terminal, asked on standard error; Abort for no, if so wanted."""
    return click.confirm(shown(question), default=default, abort=abort, err=True)


class _Paper(io.StringIO):
    """Takes what is shown on a terminal: for a file, click would drop escapes, and nobody would see that they were there."""

    def isatty(self) -> bool:
        return True

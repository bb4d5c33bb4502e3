"""`tallystick evaluate FILE`: how often the detectors are right and wrong, measured on a log of anybody's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .common import emit_json, json_option, out

if TYPE_CHECKING:
    from ..evaluate.run import Step


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--splices", default=12, show_default=True, type=click.IntRange(1, 100), help="Draws of 60 hijacks to average over.")
@json_option
def evaluate(file: Path, splices: int, as_json: bool) -> None:
    """Recall and false alarms on a log with the columns of the SEC's EDGAR log (.csv or .csv.gz).

    Who makes at most 500 requests a day is an ordinary user; 400 requests in a row of a harvester are spliced into 60 of them. Thresholds are
    frozen on one half of the users and reported on the other. The same file gives the same figures.
    """
    from ..evaluate import run, tables
    from ..evaluate.log import read_log
    from ..evaluate.report import report
    from ..evaluate.responding import respond

    with _progress(as_json) as step:
        size = file.stat().st_size if file.is_file() else 0
        log = read_log(file, lambda read: step("reading the log", read, size))
        result = run.evaluate(log, step, splices)
        step("deciding on findings", 0, 1)
        untouched = respond(log.facts(user, log.people[user]) for user in result.users)
        told = report(log, result, untouched, splices)
    console = out(as_json)
    for table in tables.tables(told):
        console.print(tables.shown(table))
    if as_json:
        emit_json(told)


@contextmanager
def _progress(as_json: bool) -> Iterator["Step"]:
    console = out(as_json)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        tasks: dict[str, object] = {}

        def step(what: str, done: int, total: int) -> None:
            task = tasks.setdefault(what, None) or bar.add_task(what, total=total)
            tasks[what] = task
            bar.update(task, completed=done, total=total)  # type: ignore[arg-type] # a TaskID

        yield step

"""`tallystick evaluate FILE`: how often the detectors are right and wrong, measured on a log of anybody's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import MofNCompleteColumn, TaskID, TimeRemainingColumn

from ..terminal import bar
from .common import emit_json, json_option, out

if TYPE_CHECKING:
    from tallystick_stream_jobs.detectors.base import Rule

    from ..evaluate.run import Step


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--splices", default=12, show_default=True, type=click.IntRange(1, 100), help="Draws of 60 hijacks to average over.")
@click.option(
    "--cloudtrail", multiple=True, type=click.Path(path_type=Path), help="An attack set of CloudTrail, labelled by Stratus Red Team."
)
@click.option("--benign", multiple=True, metavar="FORMAT=PATH", help="A log in which nothing happened: combined=PATH, csv:MAPPING=PATH, …")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder of own Sigma rules to run beside the detectors.",
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Put the tables into this page, between its two marks.")
@json_option
def evaluate(
    file: Path,
    splices: int,
    cloudtrail: tuple[Path, ...],
    benign: tuple[str, ...],
    rules: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Recall and false alarms on a log with the columns of the SEC's EDGAR log (.csv or .csv.gz).

    Who makes at most 500 requests a day is an ordinary user; 400 requests in a row of a harvester are spliced into 60 of them. Thresholds are
    frozen on one half of the users and reported on the other. The same file gives the same figures.
    """
    from ..evaluate.page import write_page
    from ..evaluate.tables import shown, tables

    detectors = _detectors(rules)
    with _progress(as_json) as step:
        told = _measure(file, splices, detectors, step)
        told |= _others(cloudtrail, benign, detectors, step)
    console = out(as_json)
    made = tables(told)
    for table in made:
        console.print(shown(table))
    if markdown is not None:
        write_page(markdown, made)
    if as_json:
        emit_json(told)


def _detectors(folder: Path | None) -> "tuple[Rule, ...]":
    """Ours with their shipped thresholds, and the folder's. A rule that cannot be used is an error: its silence would be read as a figure."""
    from tallystick_stream_jobs.detectors.registry import build_rules
    from tallystick_stream_jobs.sigma.load import load_rules

    own, refused = load_rules(folder) if folder else ((), ())
    if refused:
        raise refused[0]
    return (*build_rules(), *own)


def _measure(file: Path, splices: int, detectors: "tuple[Rule, ...]", step: "Step") -> dict[str, Any]:
    from ..evaluate import run
    from ..evaluate.log import read_log
    from ..evaluate.report import report
    from ..evaluate.responding import respond

    size = file.stat().st_size if file.is_file() else 0
    log = read_log(file, lambda read: step("reading the log", read, size))
    result = run.evaluate(log, step, splices)
    step("deciding on findings", 0, 1)
    return report(log, result, respond((log.facts(user, log.people[user]) for user in result.users), detectors), splices)


def _others(cloudtrail: tuple[Path, ...], benign: tuple[str, ...], detectors: "tuple[Rule, ...]", step: "Step") -> dict[str, Any]:
    from ..evaluate.attacks import cloudtrail_set
    from ..evaluate.benign import benign_set

    found: dict[str, Any] = {"cloudtrail": [], "benign": []}
    for at, path in enumerate(cloudtrail):
        step("reading attack sets", at, len(cloudtrail))
        found["cloudtrail"].append(cloudtrail_set(path, detectors))
    for at, given in enumerate(benign):
        step("reading quiet sets", at, len(benign))
        form, _, path_text = given.partition("=")
        try:
            found["benign"].append(benign_set(form, Path(path_text), detectors))
        except ValueError as error:
            raise click.UsageError(f"--benign {given}: {error}") from error
    return {name: sets for name, sets in found.items() if sets}


@contextmanager
def _progress(as_json: bool) -> Iterator["Step"]:
    console = out(as_json)
    with bar(console, MofNCompleteColumn(), TimeRemainingColumn(), disable=not console.is_terminal) as drawn:
        tasks: dict[str, TaskID] = {}

        def step(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = drawn.add_task(what, total=total)
            drawn.update(tasks[what], completed=done, total=total)

        yield step

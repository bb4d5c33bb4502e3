"""Exercises: `tallystick drill list / run / report / clean`."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import StyledText, Terminal, joined, styled, timed
from .common import data_option, emit_json, end_on_sigterm, json_option, open_deployment, out
from .groups import Group
from .tables import Listing

if TYPE_CHECKING:
    from ..drills.results import Result


@click.group(cls=Group)
def drill() -> None:
    """Attacks by synthetic principals on a running deployment, graded against its own signed record."""


@drill.command(name="list")
@json_option
def list_drills(as_json: bool) -> None:
    """The scenarios that come with us."""
    from ..drills.catalogue import find, names

    drills = [find(name) for name in names()]
    if as_json:
        emit_json({"drills": [{"name": d.name, "title": d.scenario.title, "techniques": d.scenario.techniques} for d in drills]})
        return
    table = Listing("name", "shows", "techniques", whole=("name",))
    for one in drills:
        table.add_row(one.name, one.scenario.title, ", ".join(one.scenario.techniques))
    out().print(table)


@drill.command()
@data_option
@json_option
@click.argument("names", metavar="NAME…", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that come with us.")
@click.option("--headless", is_flag=True, help="Nothing but lines: for schedules and pipelines.")
@click.option("--side-by-side", default=1, show_default=True, type=click.IntRange(1, 16), help="How many drills at once.")
def run(data: Path, as_json: bool, names: tuple[str, ...], everything: bool, headless: bool, side_by_side: int) -> int:
    """Play drills, by name or as YAML files of yours. Exit code: 0 all passed, 1 one failed, 3 this cannot be drilled."""
    from ..drills import catalogue
    from ..drills.run import Runner

    if not names and not everything:
        raise click.UsageError("name a drill (`tallystick drill list` shows them), or give --all")
    end_on_sigterm()
    console = out(as_json)
    drills = [catalogue.find(name) for name in (*names, *(catalogue.names() if everything else ()))]

    def say(text: str) -> None:
        console.print(timed(text))

    with console.status("drilling …") if not headless and console.is_terminal else contextlib.nullcontext():
        results = Runner(open_deployment(data), say, side_by_side).run(drills)
    for result in results:
        _show(console, result)
    passed = all(result.passed for result in results)
    if as_json:
        emit_json({"passed": passed, "drills": [result.to_json() for result in results]})
    return 0 if passed else 1


@drill.command()
@data_option
@json_option
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here.")
def report(data: Path, as_json: bool, run_id: str | None, output: Path | None) -> None:
    """The after-action report of a drill as one HTML file; without RUN, the newest one's."""
    from ..drills.page import page
    from ..drills.results import known_runs, read_result

    folder = open_deployment(data).path / "drills"
    newest = known_runs(folder)[:1] if folder.is_dir() else []
    result = read_result(folder, run_id or (newest[0] if newest else ""))
    if as_json:
        emit_json(result.to_json())
    if output is not None or not as_json:
        path = output or Path(f"drill-{result.scenario}-{result.run}.html")
        path.write_text(page(result), "utf-8")
        out(as_json).print(joined("The report is in ", styled(path, "bold"), "."))


@drill.command()
@data_option
@json_option
def clean(data: Path, as_json: bool) -> int:
    """Remove what drills left behind when they were killed: tokens, agents' keys, locks, artifacts."""
    from ..drills.leftovers import alone, clear

    deployment = open_deployment(data)
    with alone(deployment):
        cleared = clear(deployment)
    if as_json:
        emit_json(cleared)
    else:
        out().print(cleared.words())
    return 1 if cleared.troubles else 0


def _show(console: Terminal, result: "Result") -> None:
    """Expectations with times, what was lost, and the verdict."""
    from tallystick_schemas.words import counted

    from ..drills.grade import size

    table = Listing("", "the record shows", "after", "within", "what", below="what")
    for mark in result.grades.expected:
        after = f"{mark.after_s:.2f} s" if mark.after_s is not None else "never"
        table.add_row(_sign(mark.met), mark.words, after, f"{mark.within_s:g} s", mark.seen)
    for mark in result.grades.must_not:
        table.add_row(_sign(mark.met), mark.words, "–", "ever", mark.seen)
    console.print(table)
    lost, grades = result.grades.lost, result.grades
    most = f" (at most {lost.most_objects} and {size(lost.most_bytes or 0)})" if lost.most_objects is not None else ""
    console.print(f"Lost: {counted(lost.objects, 'object')}, {size(lost.bytes)}{most}.")
    if grades.hops_ms:
        console.print("Hops: " + ", ".join(f"{name.replace('_', ' ')} {ms:.0f} ms" for name, ms in grades.hops_ms.items()) + ".")
    for error in result.errors:
        console.print(styled(error, "red"))
    verdict = styled("passed", "bold green") if result.passed else styled("failed", "bold red")
    console.print(joined(f"{result.title}: ", verdict, f". `tallystick drill report {result.run}` writes its report."))
    console.print()


def _sign(met: bool) -> StyledText:
    return styled("✓", "green") if met else styled("✗", "red")

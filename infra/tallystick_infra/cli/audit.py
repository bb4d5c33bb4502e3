"""The auditor's commands: `tallystick audit verify`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import echo, styled
from .common import data_option, emit_json, json_option, open_deployment, open_running, out
from .groups import Group

if TYPE_CHECKING:
    from tallystick_audit.verify import Report


@click.group(cls=Group)
def audit() -> None:
    """Check the history without trusting who keeps it."""


@audit.command()
@data_option
@click.option(
    "--seen",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="A note that was kept, of the root log or of a shard: the history must extend it. May be given again.",
)
@click.option(
    "--save-note",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the newest root note here when integrity passes. The one that is there must be extended by it.",
)
@json_option
def verify(data: Path, seen: tuple[Path, ...], save_note: Path | None, as_json: bool) -> int:
    """Recompute every hash, signature and verdict of the history, read through SQL only.

    Exit code: 0 all pass, 1 a failure (also pinned keys that fit no part of the history), 2 unknown, 3 unusable input.
    """
    from tallystick_audit.notes import kept_to_extend, open_kept, read_note
    from tallystick_audit.verify import verify_history

    from ..clickhouse.migrate import definitions
    from .audit_view import show_report

    log = open_deployment(data).log()
    kept = [open_kept(path, read_note(path), log) for path in seen]
    before, extended = kept_to_extend(save_note, log) if save_note else (None, [])
    deployment = open_running(data, "ClickHouse")
    with out(True).status("reading the history …") as status:

        def progress(shard: int, index: int, done: int, rate: float) -> None:
            status.update(styled(f"shard {shard}, index {index:,}: {done:,} events checked, {rate:,.0f} a second"))

        report = verify_history(
            deployment.clickhouse("auditor"),
            log,
            time.time(),
            progress if sys.stderr.isatty() else None,
            kept=(*kept, *extended),
            definitions=definitions(),
        )
    if save_note:
        _save(save_note, report, before)
    if as_json:
        emit_json(report.to_json())
    else:
        show_report(report)
    return report.exit_code


def _save(path: Path, report: "Report", before: bytes | None) -> None:
    """The note of a history that is whole; of any other, the old one stays."""
    from tallystick_audit.notes import save_note

    if report.integrity == "pass" and report.note is not None:
        save_note(path, report.note.encode(), before)
        echo(f"the root note of {report.root_size} leaves is kept in {path}", err=True)
        return
    why = f"integrity is {report.integrity.value}" if report.integrity != "pass" else "there is no root checkpoint yet"
    echo(f"the note {path} was not saved: {why}", err=True)

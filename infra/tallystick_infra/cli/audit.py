"""The auditor's commands: `tallystick audit verify`."""

import sys
import time
from pathlib import Path

import click

from .common import data_option, emit_json, json_option, open_running, out


@click.group()
def audit() -> None:
    """Check the history without trusting who keeps it."""


@audit.command()
@data_option
@json_option
def verify(data: Path, as_json: bool) -> int:
    """Recompute every hash, signature and verdict of the history, read through SQL only.

    Exit code: 0 all pass, 1 a failure, 2 unknown, 3 unusable input, or pinned keys that fit no part of the history.
    """
    from tallystick_audit.verify import verify_history

    from .audit_view import show_report

    deployment = open_running(data, "ClickHouse")
    with out(True).status("reading the history …") as status:

        def progress(shard: int, index: int, done: int, rate: float) -> None:
            status.update(f"shard {shard}, index {index:,}: {done:,} events checked, {rate:,.0f} a second")

        report = verify_history(deployment.clickhouse(), deployment.log(), time.time(), progress if sys.stderr.isatty() else None)
    if as_json:
        emit_json(report.to_json())
    else:
        show_report(report)
    return report.exit_code

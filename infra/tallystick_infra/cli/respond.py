"""Response from a terminal: `tallystick lock / unlock / locks / findings`. Orders are signed events; the responder carries them out."""

import getpass
from pathlib import Path

import click
import msgspec
from rich.table import Table

from .common import data_option, emit_json, json_option, open_deployment, out

_AGENT = "cli"


def _subject(text: str) -> str:
    kind, _, name = text.partition(":")
    if kind in ("principal", "credential") and name:
        return text
    return f"principal:{text}"


@click.command()
@data_option
@json_option
@click.argument("subject")
@click.option("--minutes", type=float, help="How long; without it, until somebody lifts it.")
@click.option("--finding", help="Id of the finding that led to it.")
@click.option("--reason", required=True, help="Why; the locked person and the auditor will read it.")
@click.option("--by", default=getpass.getuser, show_default="your user name", help="Who orders it; it stands in the history.")
@click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait until it is in force.")
def lock(data: Path, as_json: bool, subject: str, minutes: float | None, finding: str | None, reason: str, by: str, timeout: float) -> None:
    """Suspend SUBJECT: a principal's name, or credential:ID."""
    from tallystick_producers import Recorder
    from tallystick_stream_jobs.responder.client import order_lock, wait_applied

    deployment = open_deployment(data)
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        command = order_lock(recorder, _subject(subject), reason, by, minutes, finding)
        made = wait_applied(deployment.kafka(), command, timeout)
    if as_json:
        emit_json(made)
        return
    out().print(
        f"[bold]{made.subject}[/] is locked{f' until {made.until[:16]}Z' if made.until else ''}: {made.reason} (command {made.command})"
    )


@click.command()
@data_option
@json_option
@click.argument("subject")
@click.option("--reason", required=True, help="Why; it stands in the history.")
@click.option("--by", default=getpass.getuser, show_default="your user name", help="Who orders it; it stands in the history.")
@click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait until it is in force.")
def unlock(data: Path, as_json: bool, subject: str, reason: str, by: str, timeout: float) -> None:
    """Lift the lock of SUBJECT: a principal's name, or credential:ID."""
    from tallystick_producers import Recorder
    from tallystick_stream_jobs.responder.client import order_unlock, wait_applied

    deployment = open_deployment(data)
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        command = order_unlock(recorder, _subject(subject), reason, by)
        made = wait_applied(deployment.kafka(), command, timeout)
    if as_json:
        emit_json(made)
        return
    out().print(f"[bold]{made.subject}[/] may go on: {made.reason} (command {made.command})")


@click.command()
@data_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Lifted ones as well.")
def locks(data: Path, as_json: bool, everything: bool) -> None:
    """Who is locked, why, by whom, until when."""
    from tallystick_stream_jobs.responder.client import read_locks

    found = [lock for lock in read_locks(open_deployment(data).kafka()) if everything or lock.state == "locked"]
    if as_json:
        emit_json({"locks": found})
        return
    table = Table("subject", "state", "since", "until", "by", "why", box=None, header_style="bold")
    for one in sorted(found, key=lambda lock: lock.at, reverse=True):
        table.add_row(one.subject, one.state, one.at[:19], (one.until or "lifted by hand")[:19], one.by, one.reason)
    out().print(table if found else "Nobody is locked.")


@click.command()
@data_option
@json_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
def findings(data: Path, as_json: bool, limit: int) -> None:
    """What the detectors found, newest first."""
    from tallystick_stream_jobs.responder.client import read_findings

    found = read_findings(open_deployment(data).kafka(), limit)
    if as_json:
        emit_json({"findings": [msgspec.to_builtins(one) for one in found]})
        return
    table = Table("time", "severity", "detector", "about", "value", "what", box=None, header_style="bold")
    for one in found:
        table.add_row(one.time[:19], one.severity, one.detector, one.principal, f"{one.value:g} (line {one.threshold:g})", one.text)
    out().print(table if found else "Nothing was found.")

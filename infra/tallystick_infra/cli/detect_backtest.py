"""`tallystick detect backtest`: what a rule would have found in the history, and what it would have cost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tallystick_schemas.words import counted

from ..terminal import joined, styled
from .common import data_option, emit_json, json_option, open_running, out
from .tables import Listing, amount

_SHOWN = 50
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.command()
@data_option
@json_option
@click.argument("rule")
@click.option("--from", "start", type=_MOMENT, required=True, help="From this time on (UTC).")
@click.option("--to", "end", type=_MOMENT, help="Up to this time (UTC), not included; default: now.")
@click.option("--replay", is_flag=True, help="Run the detector itself over the history's events, also where SQL could answer.")
def backtest(data: Path, as_json: bool, rule: str, start: datetime, end: datetime | None, replay: bool) -> None:
    """What RULE would have found. RULE: a rule file, the id of a rule in DATA/rules, or of a built-in detector.

    A rule of one's own runs as SQL with the same windows as in the stream. The listing says which way it was done.
    """
    import clickhouse_connect

    from tallystick_stream_jobs.sigma.reports import back_test, chosen_rule

    deployment = open_running(data, "ClickHouse")
    chosen = chosen_rule(rule, data / "rules")
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    bounds = [moment.replace(tzinfo=UTC).timestamp() for moment in (start, end or datetime.now(UTC))]
    with out(True).status(f"looking for {chosen.meta.id} in the history …") as status:

        def progress(done: int) -> None:
            status.update(styled(f"{done:,} events replayed …"))

        report = back_test(client, chosen, bounds[0], bounds[1], replay=replay, progress=progress)
    if as_json:
        emit_json(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    console = out()
    table = Listing("time", "principal", "value", "line", "first", "act", whole=("time", "principal", "first"))
    for one in report["found"][:_SHOWN]:
        table.add_row(one["time"][:19], one["principal"], amount(one["value"]), amount(one["threshold"]), one["place"], one["act"])
    if report["found"]:
        console.print(table)
    if len(report["found"]) > _SHOWN:
        console.print(f"… and {len(report['found']) - _SHOWN} more; --json has them.")
    found = (
        f"{counted(report['findings'], 'finding')}, {counted(report['alerts'], 'alert')} about {counted(report['principals'], 'principal')}"
    )
    often = f"{report['alerts_a_day']:.2f} alerts a day, {report['alerts_a_principal']:.2f} a principal found."
    console.print(joined(styled(report["rule"], "bold"), f" {report['title']}: {found} in {report['days']:.2f} days: {often}"))
    console.print(f"Done by {report['way']}: {report['means']}")
    if report["truncated"]:
        console.print(styled(f"Only the first {len(report['found']):,} findings are listed and counted; choose a shorter time.", "yellow"))

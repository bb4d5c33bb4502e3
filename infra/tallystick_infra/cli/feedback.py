"""`tallystick findings`, and `findings close`: what a person says about a finding becomes a signed event, and teaches how good its detector is."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from tallystick_schemas.messages import Finding
from tallystick_schemas.orders import MIN_REASON
from tallystick_schemas.roles import Keyring
from tallystick_schemas.vocabulary import DISPOSITIONS

from ..deployment import Deployment
from ..errors import ManyFindings, NoFinding
from ..knocking import knock
from ..terminal import joined, styled
from .common import data_option, emit_json, json_option, open_running, out
from .groups import Group
from .reasons import by_option, checked_reason
from .respond_show import findings as _listing

_AGENT = "cli"
LEAST_PREFIX = 8
"""Digits of a finding's id that may stand for all of it."""


def _show(**options: Any) -> Any:
    context = click.get_current_context()
    return None if context.invoked_subcommand else context.invoke(_listing, **options)


findings = Group(
    "findings",
    callback=_show,
    invoke_without_command=True,
    params=_listing.params,
    help=f"{_listing.help}\n\nWithout a subcommand: lists them.",
)


@findings.command()
@data_option
@json_option
@click.argument("finding")
@click.option("--disposition", required=True, type=click.Choice(DISPOSITIONS), help="What it was.")
@click.option(
    "--reason", required=True, callback=checked_reason, help=f"Why, in {MIN_REASON} characters or more; it stands in the history."
)
@by_option("Who says so")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait until the history has confirmed it.")
def close(data: Path, as_json: bool, finding: str, disposition: str, reason: str, by: str, timeout: float) -> None:
    """Close FINDING (an id of `tallystick findings`, or its first digits: 8 or more). Closing it again replaces what was said; both stay in the history."""
    from tallystick_producers import Actor, Recorder, Resource, Why

    deployment = open_running(data, "Kafka", so="Nothing was recorded.")
    one = find_finding(deployment, finding)
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        event = recorder.record(
            "incident.close",
            actor=Actor(by, "human"),
            resource=Resource("finding", one.id),
            why=Why(text=reason),
            attrs={"disposition": disposition, "detector": one.detector, "version": str(one.version)},
            durable=True,
        )
        recorder.wait_receipts(timeout)
    if as_json:
        emit_json(
            {"finding": one.id, "disposition": disposition, "by": by, "detector": one.detector, "version": one.version, "event": event}
        )
        return
    out().print(joined(f"{one.detector} about ", styled(one.principal, "bold"), f" is closed as {disposition} by {by} (event {event})"))


def find_finding(deployment: Deployment, finding: str) -> Finding:
    """A finding, by its id or the beginning of it, as it was told last; NoFinding, ManyFindings. Kafka knows the newest, the store all."""
    from tallystick_stream_jobs.responder.client import read_findings
    from tallystick_stream_jobs.triage.store import read_ids, read_stored_finding

    newest = {known.id: known for known in read_findings(deployment.kafka(), deployment.log(), 10_000)}
    if finding in newest:
        return newest[finding]
    knock(deployment, "ClickHouse")
    if len(finding) >= LEAST_PREFIX:
        finding = the_one(finding, {*newest, *read_ids(deployment.clickhouse(), _keyring(deployment), finding)})
    one = newest.get(finding) or read_stored_finding(deployment.clickhouse(), _keyring(deployment), finding)
    if one is None:
        raise NoFinding(finding)
    return one


def _keyring(deployment: Deployment) -> Keyring:
    from ..enrolment import ledger_keyring

    return ledger_keyring(deployment.clickhouse(), deployment.log())


def the_one(given: str, known: Collection[str]) -> str:
    """The only id that begins with `given`, or is it; NoFinding, ManyFindings."""
    if given in known:
        return given
    found = sorted(one for one in known if one.startswith(given)) if len(given) >= LEAST_PREFIX else []
    if not found:
        raise NoFinding(given)
    if len(found) > 1:
        raise ManyFindings(given, found)
    return found[0]

"""`tallystick outbox`: what waits to be told elsewhere, what was given up, and whether locks hold where they must."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from .common import data_option, emit_json, json_option, open_running, out
from .groups import Group
from .reasons import by_option
from .tables import Listing, short_time

_AGENT = "cli"
_STATES = ("waiting", "given-up", "done", "cancelled")


@click.group(cls=Group, invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def outbox(ctx: click.Context, data: Path, as_json: bool) -> None:
    """What is told to other systems. Without a subcommand: what waits and what was given up."""
    if ctx.invoked_subcommand is None:
        _list(data, as_json, everything=False)


@outbox.command("list")
@data_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Finished ones as well.")
def list_(data: Path, as_json: bool, everything: bool) -> None:
    """What waits and what was given up: since when, how often it was tried, what went wrong last."""
    _list(data, as_json, everything=everything)


def _list(data: Path, as_json: bool, *, everything: bool) -> None:
    from tallystick_stream_jobs.outbox.orders import read_outbox

    deployment = open_running(data, "Kafka")
    known = read_outbox(deployment.kafka(), deployment.log())
    shown = [one for one in known if everything or one.state in ("waiting", "given-up")]
    if as_json:
        emit_json({"deliveries": shown, "counts": {state: sum(one.state == state for one in known) for state in _STATES}})
        return
    table = Listing("delivery", "about", "state", "since", "tries", "next", "last error", whole=("delivery", "about"), below="last error")
    for one in shown:
        last = one.error or one.detail or ""
        since, then = short_time(one.created_at), short_time(one.next_at or "")
        table.add_row(one.id, one.decision.subject, one.state, since, str(one.attempts), then, last)
    out().print(table if shown else "Nothing waits, and nothing was given up.")


@outbox.command()
@data_option
@json_option
@click.option("--command", "command", help="Of one lock alone.")
def proofs(data: Path, as_json: bool, command: str | None) -> None:
    """Whether locks hold: each point as it was tried, and the milliseconds from finding to refusal. Exits 1 when one does not."""
    from tallystick_stream_jobs.outbox.orders import read_proofs

    deployment = open_running(data, "Kafka")
    found = [one for one in read_proofs(deployment.kafka(), deployment.log()) if command in (None, one.command)]
    if as_json:
        emit_json({"proofs": found})
    else:
        table = Listing("about", "point", "state", "locked", "to denial", "tries", "how", whole=("about",), below="how")
        for one in found:
            denial = f"{one.hops_ms['denial']:.0f} ms" if "denial" in one.hops_ms else ""
            locked = short_time(one.locked_at)
            how = f"{one.how} (command {one.command})"
            table.add_row(one.subject, one.point, one.state, locked, denial, str(one.attempts), how)
        out().print(table if found else "No lock was to be proven.")
    if any(one.state == "still-works" for one in found):
        sys.exit(1)


def _ordered(verb: Literal["retry", "cancel"], data: Path, as_json: bool, delivery: str, reason: str, by: str, timeout: float) -> None:
    from tallystick_producers import Recorder
    from tallystick_stream_jobs.outbox.errors import OrderImpossible
    from tallystick_stream_jobs.outbox.orders import order, read_outbox, wait_changed

    deployment = open_running(data, "Kafka", so="Nothing was recorded.")
    before = next((one for one in read_outbox(deployment.kafka(), deployment.log()) if one.id == delivery), None)
    if before is None:
        raise OrderImpossible(delivery, "there is no such delivery")
    with Recorder.open(deployment.agent(_AGENT)) as recorder:
        order(recorder, delivery, verb, by, reason)
        after = wait_changed(deployment.kafka(), deployment.log(), before, timeout)
    if as_json:
        emit_json(after)
    else:
        out().print(f"{after.id} is {after.state} after {after.attempts} attempts. {after.error or after.detail or ''}")


def _orders(command: Callable[..., None]) -> Callable[..., None]:
    """What both orders are told."""
    for told in (
        click.option("--timeout", default=20.0, show_default=True, help="Seconds to wait until something changes."),
        by_option("Who orders it"),
        click.option("--reason", required=True, help="Why; it stands in the history."),
        click.argument("delivery"),
        json_option,
        data_option,
    ):
        command = told(command)
    return command


@outbox.command()
@_orders
def retry(**told: Any) -> None:
    """Try DELIVERY again now, from the beginning: what was in its way is mended."""
    _ordered("retry", **told)


@outbox.command()
@_orders
def cancel(**told: Any) -> None:
    """Stop trying DELIVERY: somebody did it by hand, or it is no longer wanted."""
    _ordered("cancel", **told)

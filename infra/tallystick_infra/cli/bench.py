"""`tallystick bench`: figures that anyone can make again."""

import time
from typing import Any

import click

from ..terminal import styled
from .common import emit_json, end_on_sigterm, json_option, out
from .groups import Group

_EVENTS = 1_000_000


@click.group(cls=Group, invoke_without_command=True)
@click.option("--events", default=_EVENTS, show_default=True, type=click.IntRange(1000))
@click.option("--trials", default=200, show_default=True, type=click.IntRange(1, 2000))
@json_option
@click.pass_context
def bench(ctx: click.Context, events: int, trials: int, as_json: bool) -> None:
    """Measure on a scratch deployment; without a subcommand, everything on one. Machines are noisy: compare within one run."""
    if ctx.invoked_subcommand is None:
        _measure({"ingest", "verify", "detect", "restart", "respond"}, events, trials, as_json=as_json)


@bench.command()
@click.option("--events", default=_EVENTS, show_default=True, type=click.IntRange(1000))
@json_option
def ingest(events: int, as_json: bool) -> None:
    """Events a second, from the first record() to the last receipt."""
    _measure({"ingest"}, events, 0, as_json=as_json)


@bench.command()
@click.option("--events", default=_EVENTS, show_default=True, type=click.IntRange(1000))
@json_option
def verify(events: int, as_json: bool) -> None:
    """The whole of `audit verify` over so many events."""
    _measure({"ingest", "verify"}, events, 0, as_json=as_json, show={"verify"})


@bench.command()
@click.option("--events", default=_EVENTS, show_default=True, type=click.IntRange(1000))
@json_option
def detect(events: int, as_json: bool) -> None:
    """All detectors over so many verified events of 10,000 principals, on one core. Starts nothing."""
    from ..bench.detect import detect as measure

    console = out(as_json)
    console.print(f"detect: {events:,} events …")
    _show({"detect": measure(events, lambda done: console.print(f"  {done:,} …"))}, as_json=as_json)


@bench.command()
@click.option("--trials", default=200, show_default=True, type=click.IntRange(1, 2000))
@json_option
def respond(trials: int, as_json: bool) -> None:
    """record() to the first denial, under 2,000 events a second."""
    _measure({"respond"}, 0, trials, as_json=as_json)


@bench.command()
@click.option(
    "--trials", default=100, show_default=True, type=click.IntRange(1, 1000), help="Orders without garbage, and as many beside it."
)
@click.option("--garbage", default=10.0, show_default=True, type=click.FloatRange(0.1, 600), help="Megabytes a minute on `events`.")
@click.option("--pieces", default="mixed", show_default=True, type=click.Choice(["mixed", "small"]), help="Small: 64 bytes each.")
@json_option
def orders(trials: int, garbage: float, pieces: str, as_json: bool) -> None:
    """A person's order to lock to the first denial, without garbage and beside it."""
    from ..bench.ingest import AGENTS
    from ..bench.orders import orders as measure
    from ..bench.scratch import scratch

    end_on_sigterm()
    console = out(as_json)
    with scratch(lambda text: console.print(styled(text, "yellow")), AGENTS[:1]) as supervisor:
        console.print(f"orders: {trials} without garbage, {trials} beside it …")
        figures = measure(supervisor, trials, garbage, pieces)
    _show({"orders": figures}, as_json=as_json)


@bench.command()
@json_option
def signing(as_json: bool) -> None:
    """Microseconds to sign, open and refuse a message of the control plane, by its size. Starts nothing."""
    from ..bench.signing import signing as measure

    _show({"signing": measure()}, as_json=as_json)


def _measure(what: set[str], events: int, trials: int, *, as_json: bool, show: set[str] | None = None) -> None:
    from ..bench import detect as detecting
    from ..bench import ingest as ingesting
    from ..bench import respond as responding
    from ..bench import verify as verifying
    from ..bench.scratch import scratch

    end_on_sigterm()
    console = out(as_json)
    results: dict[str, dict[str, Any]] = {}
    if "detect" in what:
        console.print(f"detect: {events:,} events …")
        results["detect"] = detecting.detect(events)
    with scratch(lambda text: console.print(styled(text, "yellow")), [*ingesting.AGENTS, "bench-respond"]) as supervisor:
        # A moment for the parts to come to rest, so that memory at rest is that.
        time.sleep(5)
        if "ingest" in what:
            console.print(f"ingest: {events:,} events …")
            results["ingest"] = ingesting.ingest(supervisor, events)
        if "verify" in what:
            console.print("verify …")
            results["verify"] = verifying.verify(supervisor)
        if "restart" in what:
            console.print("restart of the notary …")
            results["restart"] = verifying.restart(supervisor)
        if "respond" in what:
            console.print(f"respond: {trials} trials …")
            results["respond"] = responding.respond(supervisor, trials)
    _show({name: value for name, value in results.items() if show is None or name in show}, as_json=as_json)


def _show(chosen: dict[str, dict[str, Any]], *, as_json: bool) -> None:
    console = out(as_json)
    for name, figures in chosen.items():
        console.print(styled(name, "bold"))
        for key, value in figures.items():
            console.print(f"  {key}: {value}")
    if as_json:
        emit_json(next(iter(chosen.values())) if len(chosen) == 1 else chosen)

"""One process each, for production and for the supervisor: gateway, console, jobs. The sealer's is in `sealer`."""

import dataclasses
import time
from pathlib import Path

import click

from tallystick_producers.kafka_password import with_password
from tallystick_producers.keyfile import load_key
from tallystick_schemas.settings import AgentSettings, JobSettings

from ..built_in import agent_of
from ..clickhouse.grants import Role
from ..terminal import echo
from .common import begin_part, data_option, open_deployment
from .groups import Group
from .readable import once_readable


def _agent(data: Path, name: str) -> AgentSettings:
    """A part's settings as an agent, once its key and its password can be read."""

    def read() -> AgentSettings:
        agent = open_deployment(data).agent(name)
        load_key(Path(agent.key_file))
        with_password(agent.kafka)
        return agent

    return once_readable(read)


def _job(data: Path, part: Role, instance: str = "") -> tuple[JobSettings, AgentSettings]:
    """A job's settings, once what it signs and signs in with can be read."""
    agent = _agent(data, agent_of(part, instance))
    return once_readable(lambda: dataclasses.replace(open_deployment(data).jobs(part), instance=instance)), agent


@click.command()
@data_option
@click.option("--port", type=int, help="Port to listen on instead of the configured one; 0 takes a free one.")
@click.option("--artifacts", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder to serve.")
def gateway(data: Path, port: int | None, artifacts: Path | None) -> None:
    """Serve a folder of models and datasets: every request is decided, recorded, then answered."""
    from tallystick_producers.gateway.probe import ensure_canary
    from tallystick_producers.gateway.run import run_gateway

    begin_part("gateway", serves=True)
    deployment = open_deployment(data)
    settings = deployment.gateway()
    changes: dict[str, object] = {}
    if port is not None:
        changes["port"] = port
    if artifacts is not None:
        changes["root"] = str(artifacts.absolute())
    agent = _agent(data, "gateway")
    ensure_canary(Path(settings.tokens_file), deployment.probe_secret(), time.time())
    run_gateway(dataclasses.replace(settings, **changes), agent)  # type: ignore[arg-type]  # names are fields


@click.group(cls=Group, invoke_without_command=True)
@data_option
@click.option("--port", type=int, help="Port to listen on instead of the configured one.")
@click.pass_context
def console(ctx: click.Context, data: Path, port: int | None) -> None:
    """Run the incident console. `tallystick console link` prints a one-time sign-in link."""
    if ctx.invoked_subcommand is not None:
        return
    from tallystick_dashboard.run import run_console

    from .console_settings import console_settings

    begin_part("console", serves=True)
    deployment, agent = open_deployment(data), _agent(data, "console")
    settings, clickhouse = console_settings(deployment), once_readable(lambda: deployment.clickhouse("console"))
    if port is not None:
        settings = dataclasses.replace(settings, port=port)
    run_console(settings, agent.kafka, clickhouse, deployment.log(), agent)


@console.command()
@data_option
@click.option(
    "--as",
    "who",
    default=None,
    metavar="NAME",
    help="Who signs in; every act in the console is recorded as theirs. [default: your user name]",
)
def link(data: Path, who: str | None) -> None:
    """Print a sign-in link for one person: good for one use, for ten minutes."""
    from .console_settings import checked_name, login_name, sign_in

    name = checked_name(login_name() if who is None else who)
    echo(sign_in(open_deployment(data), name))


instance_option = click.option(
    "--instance",
    default="",
    help="A name that this process keeps over restarts, so that it takes up its partitions at once; one process a name. "
    "It signs as agent PART.NAME, which an operator enrols with the part's role.",
)


@click.group(cls=Group)
def jobs() -> None:
    """One stream job a process. Start as many notaries as `events` has partitions at the most."""


@jobs.command()
@data_option
@instance_option
def notary(data: Path, instance: str) -> None:
    """Verify, order and store every record; give receipts."""
    from tallystick_stream_jobs.notary.job import run_notary

    begin_part("notary")
    run_notary(*_job(data, "notary", instance))


@jobs.command()
@data_option
@instance_option
def detectors(data: Path, instance: str) -> None:
    """Find what should not happen among verified events."""
    from tallystick_stream_jobs.detectors.job import run_detectors

    begin_part("detectors")
    run_detectors(*_job(data, "detectors", instance))


@jobs.command()
@data_option
@instance_option
def responder(data: Path, instance: str) -> None:
    """Decide on findings and on people's orders; write locks."""
    from tallystick_stream_jobs.responder.job import run_responder

    begin_part("responder")
    run_responder(*_job(data, "responder", instance))


@jobs.command()
@data_option
def outbox(data: Path) -> None:
    """Carry locks to other systems, and prove that they hold. One a deployment."""
    from tallystick_producers.gateway.probe import canary_token
    from tallystick_schemas.settings import build
    from tallystick_stream_jobs.connectors.registry import load
    from tallystick_stream_jobs.outbox.job import run_outbox
    from tallystick_stream_jobs.outbox.settings import OutboxSettings
    from tallystick_stream_jobs.responder.protected import Protected

    begin_part("outbox")
    deployment, (settings, agent) = open_deployment(data), _job(data, "outbox")
    own = build(OutboxSettings, "outbox", deployment.outbox_table(), deployment.env)
    protected = Protected(deployment.jobs("outbox"))
    connectors = load(deployment.connectors(), deployment.secret, deployment.log().deployment, lambda: protected.names(time.time()))
    run_outbox(settings, agent, own, connectors, canary_token(deployment.probe_secret()))


@jobs.command()
@data_option
@click.option("--port", type=int, help="Port to listen on instead of the configured one.")
def signals(data: Path, port: int | None) -> None:
    """Tell receivers of locks by shared signals, and hear issuers. One a deployment."""
    from tallystick_stream_jobs.shared_signals.run import run_signals

    from ..signals import signals_settings

    begin_part("signals", serves=True)
    _agent(data, "signals")
    settings = signals_settings(open_deployment(data))
    run_signals(settings if port is None else dataclasses.replace(settings, port=port))

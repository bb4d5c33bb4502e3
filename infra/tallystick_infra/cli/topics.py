"""For production: `tallystick topics announce / check / acls`, and `tallystick migrate`."""

import dataclasses
from pathlib import Path

import click

from tallystick_schemas.words import counted

from ..terminal import echo
from .common import adopt_option, data_option, open_deployment, open_running, out
from .groups import Group


@click.group(cls=Group)
def topics() -> None:
    """Kafka topics of this deployment."""


@topics.command()
@data_option
@click.option("--replication", default=3, show_default=True, help="Copies of each partition.")
@adopt_option
def announce(data: Path, replication: int, adopt: tuple[str, ...]) -> None:
    """Make missing topics, write the generation record into each new partition, and send the operator's directives that are missing.

    Stop the notary first, start it after.
    """
    import clickhouse_connect

    from ..control import Control
    from ..deployment.keyfiles import read_key
    from ..enrolling import operator_of
    from ..enrolment import read_directives
    from ..kafka.topics import Topics

    deployment = open_running(data, "Kafka", "ClickHouse")
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    live = Topics(deployment.kafka_admin(), deployment.log().shards, replication)
    try:
        made = live.ensure()
        written = live.announce(client, read_key(deployment.keys / "operator.key"))
    finally:
        live.close()
    control = Control(deployment.log(), operator_of(deployment), adopt=adopt)
    sent = control.ensure(deployment.kafka_admin(), read_directives(client, deployment.log()), {}).records
    out().print(f"{counted(len(made), 'topic')} made, {counted(written, 'generation record')} written, {counted(sent, 'directive')} sent.")


@topics.command()
@data_option
def check(data: Path) -> None:
    """Compare the cluster with the table of topics."""
    from ..kafka.topics import Topics

    deployment = open_running(data, "Kafka")
    live = Topics(deployment.kafka(), deployment.log().shards)
    try:
        live.check()
    finally:
        live.close()
    out().print("The topics are as they must be.")


@topics.command()
@data_option
@click.option("--bootstrap", help="Address for the commands. [default: the deployment's Kafka]")
@click.option("--command-config", help="File with the credentials of whoever may set rules there, for the commands.")
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="An agent; may be given several times.")
@click.option("--point", "points", multiple=True, metavar="NAME", help="An agent that is an enforcement point; several times.")
@click.option("--user", "users", multiple=True, metavar="ROLE=USER", help="How a part's user is called there, when not as the part.")
def acls(
    data: Path, bootstrap: str | None, command_config: str | None, agents: tuple[str, ...], points: tuple[str, ...], users: tuple[str, ...]
) -> None:
    """Print the commands that give each part and agent its rules on a Kafka of yours. Nothing is sent."""
    from ..kafka.acl_commands import acl_commands, agents_as_users
    from ..operator import check_agent

    for name in (*agents, *points):
        check_agent(name)
    named = dict(_user(one) for one in users)
    where = bootstrap or open_deployment(data).kafka().bootstrap
    for command in acl_commands(where, command_config, named | agents_as_users(agents, points)):
        echo(command)


def _user(text: str) -> tuple[str, str]:
    """(user, role) of `role=user`; BadParameter."""
    from tallystick_schemas.access import PARTS

    role, _, user = text.partition("=")
    roles = [row.role for row in PARTS]
    if role not in roles or not user.strip() or not user.isprintable():
        raise click.BadParameter(f"{text[:100]!r} is not ROLE=USER with a role of {', '.join(roles)}", param_hint="--user")
    return user, role


@click.command()
@data_option
def migrate(data: Path) -> None:
    """Apply the migrations that ClickHouse has not got yet."""
    import clickhouse_connect

    from ..clickhouse.migrate import migrate as apply

    settings = open_running(data, "ClickHouse").clickhouse("owner")
    client = clickhouse_connect.get_client(**dataclasses.replace(settings, database="default").client_kwargs())
    applied = apply(client, settings.database)
    out().print("applied: " + ", ".join(applied) if applied else "The tables are up to date.")

"""For production: `tallystick topics ensure / check`, and `tallystick migrate`."""

import dataclasses
from pathlib import Path

import click

from tallystick_schemas.words import counted

from .common import adopt_option, data_option, open_running, out


@click.group()
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
    live = Topics(deployment.kafka(), deployment.log().shards, replication)
    try:
        made = live.ensure()
        written = live.announce(client, read_key(deployment.keys / "operator.key"))
    finally:
        live.close()
    control = Control(deployment.log(), operator_of(deployment), adopt=adopt)
    sent = control.ensure(deployment.kafka(), read_directives(client, deployment.log()), {}).records
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

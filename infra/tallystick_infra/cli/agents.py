"""Agents' keys: `tallystick agent enrol / list / revoke`."""

import time
from pathlib import Path

import click

from ..admission import admit, dismiss
from ..deployment import Deployment
from ..deployment.directory import BUILT_IN_AGENTS
from ..deployment.keyfiles import make_key, read_key
from ..enrolment import EnrolledAgent, check_revocable, enrolled_agents
from ..operator import Operator, check_agent, check_text, enrol_agents, record_sender
from .common import data_option, emit_json, json_option, knock, open_deployment, open_running, out
from .tables import Listing, short_time


@click.group()
def agent() -> None:
    """Keys of agents. A key that is enrolled may sign events under its agent's name."""


@agent.command()
@data_option
@json_option
@click.argument("name")
@click.option("--public-key", help="Hex of a public key that the agent made elsewhere; without it, a key is made here.")
@click.option("--owner", default="operator", show_default=True, help="Who answers for this agent.")
@click.option("--point", is_flag=True, help="It may be an enforcement point too: a gateway, or an application that asks `is_locked`.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
def enrol(data: Path, as_json: bool, name: str, public_key: str | None, owner: str, point: bool, timeout: float) -> None:
    """Let NAME sign events from now on, and let it in at the embedded Kafka. Once more with --point lets an agent be an enforcement point."""
    check_agent(name)
    check_text("owner", owner)
    deployment = open_deployment(data)
    knock(deployment, "Kafka", so="Nobody was enrolled.")
    public = _public_key(public_key) if public_key else make_key(deployment.agent_key(name))
    admit(deployment, [name], point=point)
    operator = Operator(read_key(deployment.keys / "operator.key"))
    receipt = enrol_agents(deployment.kafka(), operator, {name: public}, owner, timeout)[0]
    key_file = None if public_key else str(deployment.agent_key(name))
    user, password_file = _kafka_user(deployment, name)
    if as_json:
        told = {"agent": name, "shard": receipt.shard, "index": receipt.index, "key_file": key_file}
        emit_json(told | {"kafka_user": user, "kafka_password_file": password_file})
        return
    out().print(f"[bold]{name}[/] may sign from now on: shard {receipt.shard}, index {receipt.index}.")
    if key_file:
        out().print(f"Its private key: {key_file}")
    if user:
        out().print(f"Its user at Kafka: {user}, the password is in {password_file}", markup=False)


def _kafka_user(deployment: Deployment, name: str) -> tuple[str | None, str | None]:
    """(user, file of the password) at the embedded broker; a Kafka of somebody else's has its own."""
    if not deployment.embedded().kafka:
        return None, None
    user, path = deployment.broker_users.part(name) if name in BUILT_IN_AGENTS else deployment.broker_users.agent(name)
    return user, str(path)


def _public_key(text: str) -> bytes:
    from tallystick_schemas.errors import ParseError
    from tallystick_schemas.keys import check_public_key

    try:
        raw = bytes.fromhex(text)
        check_public_key(raw)
    except (ValueError, ParseError) as error:
        raise click.BadParameter(f"not the hex of an Ed25519 public key: {error}", param_hint="--public-key") from error
    return raw


@agent.command(name="list")
@data_option
@json_option
def list_agents(data: Path, as_json: bool) -> None:
    """Agents that the history knows, and when they last spoke."""
    agents = _agents(open_running(data, "ClickHouse"))
    if as_json:
        emit_json({"agents": agents})
        return
    table = Listing("agent", "key", "shard", "state", "segments", "last spoke (UTC)", whole=("agent", "key"))
    for one in agents:
        spoke = short_time(one.last_spoke) if one.last_spoke else "never"
        table.add_row(one.agent, one.key, str(one.shard), "revoked" if one.revoked else "active", f"{one.segments:,}", spoke)
    out().print(table if agents else "No agent is enrolled. `tallystick agent enrol NAME` makes a key and enrols it.")


def _agents(deployment: Deployment) -> list[EnrolledAgent]:
    import clickhouse_connect

    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    try:
        return enrolled_agents(client)
    finally:
        client.close()


@agent.command()
@data_option
@click.argument("name")
@click.option("--key", "key", required=True, help="Key id: the first 16 hex digits of the public key's SHA-256 (see `agent list`).")
@click.option("--reason", required=True, help="Why; it stands in the history.")
@click.option("--timeout", default=30.0, show_default=True)
@click.confirmation_option(prompt="A revoked key can never be enrolled again. Revoke it?")
def revoke(data: Path, name: str, key: str, reason: str, timeout: float) -> None:
    """End a key of NAME for good."""
    check_agent(name)
    check_text("reason", reason)
    # The notary needs both stores before it says that the key is revoked, so asking one of them first keeps nobody from revoking.
    deployment = open_running(data, "Kafka", "ClickHouse", so="Nothing was revoked.")
    known = _agents(deployment)
    check_revocable(known, name, key)
    operator = Operator(read_key(deployment.keys / "operator.key"))
    record = operator.revoke(name, key, reason, time.time())
    with record_sender(deployment.kafka()) as sender:
        sender.send(name, record)
        receipt = sender.wait([record], timeout)[0]
    if not any(one.agent == name and not one.revoked and one.key != key for one in known):
        dismiss(deployment, [name])
    out().print(f"Key {key} of [bold]{name}[/] is revoked: shard {receipt.shard}, index {receipt.index}.")

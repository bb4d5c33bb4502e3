"""Agents' keys: `tallystick agent enrol / list / revoke`."""

import time
from pathlib import Path

import click

from ..deployment import Deployment
from ..deployment.keyfiles import make_key, read_key
from ..enrolment import EnrolledAgent, check_revocable, enrolled_agents
from ..operator import Operator, check_agent, check_text, enrol_agents, record_sender
from ..terminal import joined, styled
from .common import data_option, emit_json, json_option, open_deployment, open_running, out
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
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
def enrol(data: Path, as_json: bool, name: str, public_key: str | None, owner: str, timeout: float) -> None:
    """Let NAME sign events from now on."""
    check_agent(name)
    check_text("owner", owner)
    deployment = open_deployment(data)
    public = _public_key(public_key) if public_key else make_key(deployment.agent_key(name))
    operator = Operator(read_key(deployment.keys / "operator.key"))
    receipt = enrol_agents(deployment.kafka(), operator, {name: public}, owner, timeout)[0]
    if as_json:
        emit_json(
            {
                "agent": name,
                "shard": receipt.shard,
                "index": receipt.index,
                "key_file": None if public_key else str(deployment.agent_key(name)),
            }
        )
        return
    out().print(joined(styled(name, "bold"), f" may sign from now on: shard {receipt.shard}, index {receipt.index}."))
    if not public_key:
        out().print(f"Its private key: {deployment.agent_key(name)}")


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
    check_revocable(_agents(deployment), name, key)
    operator = Operator(read_key(deployment.keys / "operator.key"))
    record = operator.revoke(name, key, reason, time.time())
    with record_sender(deployment.kafka()) as sender:
        sender.send(name, record)
        receipt = sender.wait([record], timeout)[0]
    out().print(joined(f"Key {key} of ", styled(name, "bold"), f" is revoked: shard {receipt.shard}, index {receipt.index}."))

"""Agents' keys: `tallystick agent list / revoke`; enrolling is in `agent_enrol`, what they may say in `agent_roles`."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..admission import dismiss
from ..control import read_roles
from ..deployment import Deployment
from ..enrolling import revoke_keys
from ..enrolment import EnrolledAgent, check_revocable, enrolled_agents
from ..operator import check_agent, check_text
from ..terminal import joined, styled
from .agent_options import scope_text
from .common import data_option, emit_json, json_option, open_running, out
from .groups import Group
from .tables import Listing, short_time

if TYPE_CHECKING:
    from tallystick_schemas.roles import Holder, Keyring


@click.group(cls=Group)
def agent() -> None:
    """Keys of agents, and what each may say. A key that is enrolled may sign events under its agent's name."""


@agent.command(name="list")
@data_option
@json_option
def list_agents(data: Path, as_json: bool) -> None:
    """Agents that the history knows, what each may say, and when they last spoke."""
    deployment = open_running(data, "Kafka", "ClickHouse")
    agents, roles = agents_of(deployment), read_roles(deployment.kafka(), deployment.log())
    if as_json:
        emit_json({"agents": [msgspec.to_builtins(one) | _said(roles.holder(one.agent, one.key)) for one in agents]})
        return
    _show(agents, roles)


def _said(holder: "Holder | None") -> Mapping[str, Any]:
    """What operators said of a key: null where they said nothing."""
    if holder is None:
        return {"roles": None, "scope": None, "role_state": None}
    return {"roles": sorted(holder.roles), "scope": holder.scope, "role_state": "active" if holder.active else "revoked"}


def _show(agents: Sequence[EnrolledAgent], roles: "Keyring") -> None:
    table = Listing("agent", "key", "shard", "state", "roles", "may say", "segments", "last spoke (UTC)", whole=("agent", "key"))
    for one in agents:
        spoke, holder = short_time(one.last_spoke) if one.last_spoke else "never", roles.holder(one.agent, one.key)
        said = ("–", "no role yet") if holder is None else (", ".join(sorted(holder.roles)), scope_text(holder.scope))
        table.add_row(one.agent, one.key, str(one.shard), _state(one, holder), *said, f"{one.segments:,}", spoke)
    out().print(table if agents else "No agent is enrolled. `tallystick agent enrol NAME` makes a key and enrols it.")


def _state(one: EnrolledAgent, holder: "Holder | None") -> str:
    """One word where key and role agree."""
    if one.revoked and holder is not None and holder.active:
        return "revoked; its role is not"
    if holder is not None and not holder.active and not one.revoked:
        return "active; its role is revoked"
    return "revoked" if one.revoked else "active"


def agents_of(deployment: Deployment) -> list[EnrolledAgent]:
    """Every key in the ledger."""
    import clickhouse_connect

    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        return enrolled_agents(client, deployment.log())


@agent.command()
@data_option
@click.argument("name")
@click.option("--key", "key", required=True, help="Key id: the first 16 hex digits of the public key's SHA-256 (see `agent list`).")
@click.option("--reason", required=True, help="Why; it stands in the history.")
@click.option("--timeout", default=30.0, show_default=True)
@click.confirmation_option(prompt="A revoked key can never be enrolled again. Revoke it?")
def revoke(data: Path, name: str, key: str, reason: str, timeout: float) -> None:
    """End a key of NAME for good, and what it may say."""
    check_agent(name)
    check_text("reason", reason)
    # The notary needs both stores before it says that the key is revoked, so asking one of them first keeps nobody from revoking.
    deployment = open_running(data, "Kafka", "ClickHouse", so="Nothing was revoked.")
    known = agents_of(deployment)
    check_revocable(known, name, key)
    receipt = revoke_keys(deployment, [(name, key)], reason, timeout)[0]
    if not any(one.agent == name and not one.revoked and one.key != key for one in known):
        dismiss(deployment, [name])
    out().print(joined(f"Key {key} of ", styled(name, "bold"), f" is revoked: shard {receipt.shard}, index {receipt.index}."))

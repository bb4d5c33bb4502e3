"""`tallystick agent enrol`: a key that may sign. An agent that is known keeps what it may, unless something else is said."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from tallystick_schemas.encoding import from_base64, to_base64
from tallystick_schemas.keys import key_id

from ..admission import admit
from ..built_in import BUILT_IN_AGENTS
from ..deployment import Deployment
from ..deployment.keyfiles import kept_beside, make_key
from ..enrolling import enrol_agents, known_roles
from ..errors import NoSuchKey
from ..mandates import kept_from, mandate_for, must_not_narrow
from ..operator import check_agent, check_text
from ..terminal import joined, styled
from .agent_options import mandate_options, scope_of, scope_text, unscoped
from .agents import agent, agents_of
from .common import data_option, emit_json, json_option, open_running, out

if TYPE_CHECKING:
    from tallystick_schemas.receipts import Receipt
    from tallystick_schemas.roles import Keyring, Mandate


@agent.command()
@data_option
@json_option
@click.argument("name")
@click.option(
    "--public-key",
    help="Hex of a public key that the agent made elsewhere; without it, its key goes on, and one is made here where it has none that counts.",
)
@click.option("--owner", default="operator", show_default=True, help="Who answers for this agent.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
@click.option("--replace", is_flag=True, help="Take away what the agent may now and the options do not say.")
@click.option("--new-password", is_flag=True, help="Another password for its user at the embedded Kafka. Open connections stay.")
@mandate_options("a known agent keeps its roles, a new one is a recorder")
def enrol(data: Path, as_json: bool, name: str, public_key: str | None, owner: str, timeout: float, **given: Any) -> None:
    """Let NAME sign events from now on, and say what findings may rest on. A known agent keeps the roles and the scope that no option is given for."""
    check_agent(name)
    check_text("owner", owner)
    scope = scope_of(given)
    deployment = open_running(data, "Kafka", "ClickHouse", so="Nothing was enrolled.")
    if given["new_password"]:
        _must_have_user(deployment, name)
    known, place = known_roles(deployment), deployment.agent_key(name)
    present = public_of(public_key) if public_key else _present(deployment, known, name)
    before = kept_from(known, name, key_id(present) if present else None)
    # What it may is settled before a key is made, so a refusal leaves nothing behind.
    mandate = mandate_for(before, name, present or bytes(32), given["role"], scope)
    if not given["replace"]:
        must_not_narrow(before, name, mandate)
    aside = None if present else _set_aside(place)
    public = present or make_key(place)
    mandate = replace(mandate, public_key=to_base64(public))
    admit(deployment, [name], point="point" in mandate.roles, new_password=given["new_password"])
    receipt = enrol_agents(deployment, {name: mandate}, owner, timeout)[0]
    told = {
        "key": key_id(public),
        "key_file": _key_file(place, public),
        "old_key_file": aside and str(aside),
        "kept": bool(before) and not given["role"] and scope is None,
    }
    _tell(deployment, name, mandate, receipt, told, as_json=as_json)


def _present(deployment: Deployment, known: "Keyring", name: str) -> bytes | None:
    """The public key that goes on: that of the file here, else the one that the agent has elsewhere; None where one must be made.

    A key that was revoked can never be enrolled again. NoSuchKey when the agent has several elsewhere.
    """
    own = [one for one in agents_of(deployment) if one.agent == name]
    ended = {one.key for one in own if one.revoked} | {holder.key for holder in known.agent(name) if not holder.active}
    place = deployment.agent_key(name)
    if place.exists() and key_id(public := make_key(place)) not in ended:
        return public
    active = [one for one in own if one.key not in ended]
    if len(active) > 1:
        keys = ", ".join(one.key for one in active)
        raise NoSuchKey(f"{name} has {len(active)} active keys elsewhere: {keys}; name one with --public-key", "Nothing was enrolled")
    return from_base64(active[0].public_key, 32, "public_key") if active else None


def _key_file(place: Path, public: bytes) -> str | None:
    """Where the private key is; None when it is elsewhere."""
    return str(place) if place.exists() and make_key(place) == public else None


def _set_aside(place: Path) -> Path | None:
    """Where a revoked key's file went, None where there was none. If we crash after this, the next `enrol` makes a key as for a new agent."""
    return place.replace(kept_beside(place)) if place.exists() else None


def _must_have_user(deployment: Deployment, name: str) -> None:
    """UsageError where `--new-password` has nothing to change."""
    if not deployment.embedded().kafka:
        raise click.UsageError("--new-password: this Kafka is not the embedded one and keeps its own users. Nothing was enrolled.")
    if name in BUILT_IN_AGENTS:
        path = deployment.broker_users.part(name)[1]
        raise click.UsageError(f"--new-password: {name} is a part of ours; delete {path} and start again. Nothing was enrolled.")


def _tell(deployment: Deployment, name: str, mandate: "Mandate", receipt: "Receipt", told: dict[str, Any], *, as_json: bool) -> None:
    user, password_file = _kafka_user(deployment, name)
    pinned = _pinned(deployment)
    if as_json:
        where = {"shard": receipt.shard, "index": receipt.index}
        broker = {"kafka_user": user, "kafka_password_file": password_file}
        emit_json({"agent": name, **where, **told, **broker, "roles": mandate.roles, "scope": mandate.scope, "log": pinned})
        return
    out().print(joined(styled(name, "bold"), f" may sign from now on: shard {receipt.shard}, index {receipt.index}."))
    kept = " It keeps what it had." if told["kept"] else ""
    out().print(f"Its roles: {', '.join(mandate.roles)}; its scope: {scope_text(mandate.scope)}.{kept}")
    if mandate.scope is None:
        out().print(unscoped(name))
    if told["old_key_file"]:
        out().print(f"Its old key was revoked and is kept in {told['old_key_file']}; delete it when nobody needs it.")
    if told["key_file"]:
        out().print(f"Its private key: {told['key_file']}")
    else:
        out().print(f"Its private key {told['key']} is elsewhere; if it is lost, `tallystick agent rotate {name}` makes another.")
    if user:
        out().print(f"Its user at Kafka: {user}, the password is in {password_file}")
    words = (f"{key} = {value}" for key, value in pinned.items())
    out().print(f"Elsewhere its settings need of [log] (nothing of it is secret): {'; '.join(words)}".replace("'", '"'))


def _pinned(deployment: Deployment) -> dict[str, Any]:
    """What an agent elsewhere must be told of `[log]`, keys as hex."""
    log = deployment.log()
    keys = {"operator_keys": log.operator_keys, "sealer_keys": log.sealer_keys}
    ends = {"sealer_ends": list(log.sealer_ends)} if log.sealer_ends else {}
    return {"deployment": log.deployment, "shards": log.shards} | {name: [one.hex() for one in raw] for name, raw in keys.items()} | ends


def _kafka_user(deployment: Deployment, name: str) -> tuple[str | None, str | None]:
    """(user, file of the password) at the embedded broker; a Kafka of somebody else's has its own."""
    if not deployment.embedded().kafka:
        return None, None
    user, path = deployment.broker_users.part(name) if name in BUILT_IN_AGENTS else deployment.broker_users.agent(name)
    return user, str(path)


def public_of(text: str) -> bytes:
    """The raw public key in `--public-key`; BadParameter for what is none."""
    from tallystick_schemas.errors import ParseError
    from tallystick_schemas.keys import check_public_key

    try:
        raw = bytes.fromhex(text)
        check_public_key(raw)
    except (ValueError, ParseError) as error:
        raise click.BadParameter(f"not the hex of an Ed25519 public key: {error}", param_hint="--public-key") from error
    return raw

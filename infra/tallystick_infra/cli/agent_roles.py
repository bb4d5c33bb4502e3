"""`tallystick agent scope` and `agent rotate`: what an agent may say, and a new key for it while the old one still counts."""

import os
import time
from pathlib import Path
from typing import Any

import click

from tallystick_schemas.encoding import from_base64, to_base64
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Holder, Keyring, Mandate, Role, Scope

from ..admission import admit
from ..built_in import mandate_of
from ..deployment.keyfiles import kept_beside, make_key
from ..enrolling import Roles, enrol_agents, known_roles
from ..enrolment import EnrolledAgent
from ..errors import NoSuchKey
from ..operator import check_agent, check_text, record_sender
from .agent_enrol import public_of
from .agent_options import mandate_options, scope_of, scope_text
from .agents import agent, agents_of
from .common import data_option, emit_json, json_option, open_running, out


@agent.command()
@data_option
@json_option
@click.argument("name")
@click.option("--key", help="Key id, where several keys of the agent are active (see `agent list`).")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
@mandate_options("it keeps the roles that it has")
def scope(data: Path, as_json: bool, name: str, key: str | None, timeout: float, **given: Any) -> None:
    """Say anew what NAME may: the scope, the roles, or both. What is given takes the place of what was; what is not given stays."""
    check_agent(name)
    wanted = scope_of(given)
    if wanted is None and not given["role"]:
        raise click.UsageError("Nothing is said: give --may-action, --may-principal, --may-resource or --role. '*' fits everything.")
    deployment = open_running(data, "Kafka", "ClickHouse", so="Nothing was said.")
    roles = Roles.of(deployment, timeout)
    mandate = _changed(roles.known, _active_key(agents_of(deployment), name, key), given["role"], wanted)
    changed = roles.sign({name: mandate}, time.time())
    admit(deployment, [name], point="point" in mandate.roles)
    with record_sender(deployment.kafka(), deployment.log()) as sender:
        said = roles.say(sender, changed)
    if as_json:
        emit_json({"agent": name, "roles": mandate.roles, "scope": mandate.scope, "changed": bool(said)})
        return
    out().print(f"{name}: {', '.join(mandate.roles)}; {scope_text(mandate.scope)}." + ("" if said else " So it was before."))


def _active_key(known: list[EnrolledAgent], name: str, key: str | None) -> EnrolledAgent:
    """The key that is meant; NoSuchKey when there is none, or there are several."""
    active = [one for one in known if one.agent == name and not one.revoked and key in (None, one.key)]
    if len(active) == 1:
        return active[0]
    if active:
        raise NoSuchKey(
            f"{name} has {len(active)} active keys: {', '.join(one.key for one in active)}; name one with --key", "Nothing was said"
        )
    mend = "`tallystick agent list` shows which are" if key else f"`tallystick agent enrol {name}` makes one and enrols it"
    raise NoSuchKey(f"no active key{' ' + key if key else ''} of {name} is enrolled; {mend}", "Nothing was said")


def _changed(known: Keyring, one: EnrolledAgent, roles: tuple[Role, ...], scope: Scope | None) -> Mandate:
    """What is said anew: the roles stay where none are given, and so does the scope."""
    before = known.holder(one.agent, one.key)
    kept: tuple[Role, ...] = tuple(sorted(before.roles)) if before else ("recorder",)
    if scope is None and before is not None:
        scope = before.scope
    return mandate_of(from_base64(one.public_key, 32, "public_key"), roles or kept, scope)


@agent.command()
@data_option
@json_option
@click.argument("name")
@click.option("--public-key", help="Hex of the new public key, where the agent made it elsewhere; without it, a key is made here.")
@click.option("--owner", default="operator", show_default=True, help="Who answers for this agent.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
def rotate(data: Path, as_json: bool, name: str, public_key: str | None, owner: str, timeout: float) -> None:
    """Give NAME a new key that may what the old one may. Both count until the old one is revoked."""
    check_agent(name)
    check_text("owner", owner)
    deployment = open_running(data, "Kafka", "ClickHouse", so="No key was made.")
    place = deployment.agent_key(name)
    coming = place.with_name(f"{place.name}.next")
    old = _rotated(known_roles(deployment), name, public_of(public_key) if public_key else _public_in(coming))
    public = public_of(public_key) if public_key else make_key(coming)
    enrol_agents(deployment, {name: Mandate(to_base64(public), sorted(old.roles), "active", old.scope)}, owner, timeout)
    if not public_key:
        _put_in_place(place, coming)
    if as_json:
        emit_json({"agent": name, "key": key_id(public), "old_key": old.key, "key_file": None if public_key else str(place)})
        return
    out().print(f"Key {key_id(public)} of {name} counts from now on, beside {old.key}.")
    out().print(
        f"Start the process of {name} again, so that it signs with the new key; then `tallystick agent revoke {name} --key {old.key} …`."
    )


def _public_in(path: Path) -> bytes | None:
    """The public key of a rotation that was interrupted, if one was."""
    return make_key(path) if path.exists() else None


def _rotated(known: Keyring, name: str, new: bytes | None) -> Holder:
    """The one key whose place the new one takes."""
    active = [holder for holder in known.agent(name) if holder.active and holder.public != new]
    if len(active) == 1:
        return active[0]
    if active:
        keys = ", ".join(holder.key for holder in active)
        raise NoSuchKey(f"{name} has {len(active)} keys with a role already: {keys}; revoke those that are over first", "No key was made")
    raise NoSuchKey(
        f"no key of {name} has a role; `tallystick agent enrol {name}` gives one, with a new key where the old one was revoked",
        "No key was made",
    )


def _put_in_place(place: Path, coming: Path) -> None:
    """The new key under the agent's name, the old one beside it until somebody deletes it."""
    if place.exists():
        kept = kept_beside(place)
        # If we crash here, the next `rotate` finds both again: the new key under its own name, and this one kept already.
        if not kept.exists():
            os.link(place, kept)
    coming.replace(place)

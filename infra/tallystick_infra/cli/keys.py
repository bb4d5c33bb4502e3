"""Keys of operators and sealers: `tallystick keys list / next / retire`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click
import clickhouse_connect

from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Holder
from tallystick_schemas.words import counted, noun

from ..deployment import Deployment
from ..deployment.keyfiles import make_key, read_key
from ..enrolling import Roles, known_roles
from ..operator import check_agent_key, check_text
from ..retiring import check_retirable, last_root, pinned_keys, retire_key, said_again
from ..terminal import confirm, joined, styled
from .agent_options import scope_text
from .common import data_option, emit_json, json_option, open_deployment, open_running, out
from .groups import Group
from .tables import Listing, indented


@click.group(cls=Group)
def keys() -> None:
    """Keys of operators and sealers that everybody pins: which there are, the next one, and the end of one."""


@keys.command(name="list")
@data_option
@json_option
def list_keys(data: Path, as_json: bool) -> None:
    """The keys that are pinned here, operators in their order, and which were retired."""
    deployment = open_running(data, "Kafka", "ClickHouse")
    found = pinned_keys(deployment.log(), known_roles(deployment))
    here = {whose: _signs_here(deployment, whose) for whose in ("operator", "sealer")}
    if as_json:
        emit_json({"keys": [{**asdict(one), "signs_here": here[one.whose] == one.key} for one in found]})
        return
    table = Listing("whose", "key", "state", whole=("key",))
    for one in found:
        state = (
            styled("retired", "dim") if one.retired else joined(styled("active", "green"), *_mark(here[one.whose] == one.key, one.whose))
        )
        table.add_row(one.whose, one.key, state)
    out().print(table)


def _signs_here(deployment: Deployment, whose: str) -> str:
    """Id of the key in keys/, as far as there is one on this machine."""
    path = deployment.keys / f"{whose}.key"
    return key_id(read_key(path).public_key().public_bytes_raw()) if path.exists() else ""


def _mark(signs: bool, whose: str) -> list[str]:
    return [f", signs here (keys/{whose}.key)"] if signs else []


@keys.command(name="next")
@data_option
@json_option
@click.argument("whose", type=click.Choice(["operator", "sealer"]))
def next_key(data: Path, whose: str, as_json: bool) -> None:
    """Make the key that follows, if there is none yet, and say what everybody must pin. Nothing signs with it before it takes the other's place."""
    path = open_deployment(data).keys / f"{whose}.next.key"
    public = make_key(path)
    if as_json:
        emit_json({"whose": whose, "key": key_id(public), "public_key": public.hex(), "key_file": str(path)})
        return
    out().print(f"The next {whose}'s key {key_id(public)} is {path}; nobody believes it yet.")
    out().print(f"Put this at the end of [log] {whose}_keys, here and wherever else keys are pinned:")
    out().print(indented(public.hex()))


@keys.command()
@data_option
@json_option
@click.argument("key")
@click.option("--reason", required=True, help="Why; it stands in the history.")
@click.option("--leave", multiple=True, help="An agent about whose keys nothing is said again. May be given again.")
@click.option("--timeout", default=30.0, show_default=True)
@click.option("--yes", is_flag=True, help="Ask nothing.")
def retire(data: Path, key: str, reason: str, leave: tuple[str, ...], timeout: float, yes: bool, as_json: bool) -> None:
    """End KEY, an operator's or a sealer's, for good. What an operator's key said of agents is said again by the key in keys/operator.key."""
    check_agent_key(key)
    check_text("reason", reason)
    deployment = open_running(data, "Kafka", "ClickHouse", so="Nothing was retired.")
    roles = Roles.of(deployment, timeout)
    check_retirable(deployment.log(), roles.operator, roles.known, key)
    if not yes:
        _show_again(said_again(roles.operator, roles.known, key, leave, 0.0), key)
        if not confirm(f"A retired key is never believed again. Retire {key}?", default=False):
            raise click.Abort
    done = retire_key(deployment, roles, key, reason, leave)
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        last = last_root(client, deployment.log(), key)
    if as_json:
        places = [{"shard": one.shard, "index": one.index} for one in done.receipts]
        again = [{"agent": one.agent, "key": one.key} for one in done.again]
        emit_json({"key": key, "places": places, "said_again": again, "last_root": last})
        return
    places_said = "; ".join(f"shard {one.shard}, index {one.index}" for one in done.receipts)
    out().print(
        f"Key {key} is retired: {places_said}. {counted(len(done.again), 'role')} of it {noun(len(done.again), 'was', 'were')} said again."
    )
    if last is not None:
        out().print("If it was stolen, its end may be pinned in [log]; here its last root checkpoint is:")
        out().print(indented(f'sealer_ends = ["{key} {last}"]'))


def _show_again(again: Sequence[Holder], key: str) -> None:
    """What stands by the word of a key that is about to end."""
    if not again:
        return
    table = Listing("agent", "key", "state", "roles", "may say", whole=("agent", "key"))
    for one in again:
        table.add_row(one.agent, one.key, "active" if one.active else "revoked", ", ".join(sorted(one.roles)), scope_text(one.scope))
    out().print(
        f"Said by {key}, and about to be said again by the key in keys/operator.key; leave out what a thief put there (--leave AGENT):"
    )
    out().print(table)

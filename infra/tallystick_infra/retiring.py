"""Ending a key of an operator or a sealer: what stands is said again by the operator who goes on, the end reaches every door and every shard."""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from clickhouse_connect.driver.client import Client

from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.directives import AGENT, RETIRE, may_retire, open_directive
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.roles import Holder, Keyring, Mandate, Retirement, holder_of, subject_of, value_of
from tallystick_schemas.settings import LogSettings

from .control import publish
from .deployment import Deployment
from .enrolling import Roles
from .errors import BadOrder
from .operator import Operator, record_sender

_ROOTS: Final = "SELECT note FROM checkpoints WHERE origin = {origin:String} ORDER BY size DESC LIMIT 10000"
_MOST: Final = 2**63 - 1


@dataclass(frozen=True)
class PinnedKey:
    """A key that this deployment pins: whose it is, its id, and whether it was retired."""

    whose: str
    key: str
    retired: bool


def pinned_keys(log: LogSettings, known: Keyring) -> list[PinnedKey]:
    """Operators in their order, then sealers."""
    keys = [("operator", key_id(public)) for public in log.operator_keys] + [("sealer", key_id(public)) for public in log.sealer_keys]
    return [PinnedKey(whose, key, known.retired(key)) for whose, key in keys]


def check_retirable(log: LogSettings, operator: Operator, known: Keyring, key: str) -> None:
    """BadOrder unless `operator` may end `key`, somebody is left who goes on, and it is not ended already."""
    pinned, what = pinned_keys(log, known), f"the end of key {key}"
    [whose] = [one.whose for one in pinned if one.key == key] or [""]
    if not whose:
        raise BadOrder(what, "it is not pinned here; `tallystick keys list` shows which are")
    if known.retired(key):
        raise BadOrder(what, "it is retired already")
    if key == operator.key:
        raise BadOrder(what, "it is the key in keys/operator.key; the next operator ends it: `tallystick keys next operator` makes one")
    if operator.key not in [one.key for one in pinned if one.whose == "operator"] or known.retired(operator.key):
        raise BadOrder(
            what, f"keys/operator.key is {operator.key}, which is not pinned or was retired; pin it at the end of [log] operator_keys first"
        )
    if not may_retire({key_id(public): public for public in log.operator_keys}, operator.key, key):
        raise BadOrder(what, f"it is pinned after {operator.key}, and the key that follows is not ended by the one before")
    if whose == "sealer" and not [one for one in pinned if one.whose == "sealer" and one.key != key and not one.retired]:
        raise BadOrder(what, "no other sealer's key is pinned; `tallystick keys next sealer` makes one, which everybody must pin first")


def said_again(operator: Operator, known: Keyring, key: str, leave: Collection[str], now: float) -> list[Holder]:
    """What `key` said of agents' keys, signed by `operator`; not of the agents in `leave`."""
    found = []
    for holder in sorted(known, key=lambda one: (one.agent, one.key)):
        if holder.signer == key and holder.agent not in leave:
            mandate = Mandate(to_base64(holder.public), sorted(holder.roles), "active" if holder.active else "revoked", holder.scope)
            number = min(holder.n + 1, _MOST)
            raw = operator.directive(AGENT, subject_of(holder.agent, holder.key), value_of(mandate), number, now)
            found.append(holder_of(open_directive(raw, {operator.key: operator.public}), raw))
    return found


def last_root(client: Client, log: LogSettings, key: str) -> int | None:
    """Leaves of the newest root checkpoint in the store that a sealer's `key` signed; None where none of the newest ones is its."""
    origin = log.root_origin
    verifiers = [one for one in verifiers_of(log, origin) if key_id(one.public) == key]
    signed = []
    for (note,) in client.query(_ROOTS, parameters={"origin": origin}).result_rows:
        with suppress(ParseError, VerificationError):  # another key's
            signed.append(open_checkpoint(note.encode(), verifiers, origin).size)
    return max(signed, default=None)


@dataclass(frozen=True)
class Retired:
    """What came of it: the receipts of the end, one a shard, and what was said again."""

    receipts: list[Receipt]
    again: list[Holder]


def retire_key(deployment: Deployment, roles: Roles, key: str, reason: str, leave: Collection[str]) -> Retired:
    """End `key` for good. At the doors at once, since whoever ends a key may be in a hurry."""
    now, log = time.time(), deployment.log()
    again = said_again(roles.operator, roles.known, key, leave, now)
    record = roles.operator.directive(RETIRE, key, {"reason": reason}, 0, now)
    publish(deployment.kafka_admin(), again, [Retirement(key, 0, record)])
    # If we crash here, the supervisor's next start takes all of it from topic `locks` into the history.
    with record_sender(deployment.kafka(), log) as sender:
        for shard in range(log.shards):
            sender.send_to(shard, record)
        receipts = sender.wait_everywhere(record, log.shards, roles.timeout_s)
        # After the end: until then a thief's higher number would stand in their way.
        for holder in again:
            sender.send(holder.agent, holder.raw)
        sender.wait([holder.raw for holder in again], roles.timeout_s)
    return Retired(receipts, again)

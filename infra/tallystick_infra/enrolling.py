"""Letting agents speak, and saying what they may: each record into the history first, then roles on topic `locks`, where they act."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import clickhouse_connect

from tallystick_schemas.encoding import from_base64
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.roles import Holder, Keyring, Mandate
from tallystick_schemas.verdicts import Verdict

from .control import merged, publish, read_roles
from .deployment import Deployment
from .deployment.keyfiles import read_key
from .enrolment import read_directives
from .errors import BadOrder, OrderRefused
from .operator import Operator, RecordSender, record_sender


def operator_of(deployment: Deployment) -> Operator:
    """The operator whose key lies in the deployment."""
    return Operator(read_key(deployment.keys / "operator.key"))


def known_roles(deployment: Deployment) -> Keyring:
    """What operators said of keys: on topic `locks`, and in the ledger."""
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        ledger = read_directives(client, deployment.log())
    return merged(deployment.log(), read_roles(deployment.kafka(), deployment.log()), ledger.keyring)


@dataclass(frozen=True)
class Roles:
    """One operator's changes of roles. `known` is what was said before; numbers go on from there."""

    deployment: Deployment
    operator: Operator
    known: Keyring
    timeout_s: float

    @classmethod
    def of(cls, deployment: Deployment, timeout_s: float) -> "Roles":
        return cls(deployment, operator_of(deployment), known_roles(deployment), timeout_s)

    def sign(self, mandates: Mapping[str, Mandate], now: float) -> list[Holder]:
        """What is to be said, signed: what each agent's key may; one that may so already is left out. BadOrder for what cannot be said."""
        return [holder for agent, mandate in mandates.items() if (holder := self._holder(agent, mandate, now))]

    def _holder(self, agent: str, mandate: Mandate, now: float) -> Holder | None:
        key = key_id(from_base64(mandate.public_key, 32, "public_key"))
        before = self.known.holder(agent, key)
        if before is not None and not before.active:
            raise BadOrder(
                f"a role for key {key} of {agent}", f"the key was revoked for good; `tallystick agent enrol {agent}` makes another"
            )
        if before is not None and _same(before, mandate):
            return None
        return self.take(self.operator.give_role(agent, mandate, 0 if before is None else before.n + 1, now))

    def take(self, record: bytes) -> Holder:
        """What one new record says."""
        holder = self.known.take(record)
        assert holder is not None  # its number is above all that are known
        return holder

    def say(self, sender: RecordSender, holders: Sequence[Holder]) -> list[Receipt]:
        """Into the history, and from there to `locks`. The receipts, none for none."""
        if not holders:
            return []
        for holder in holders:
            sender.send(holder.agent, holder.raw)
        receipts = sender.wait([holder.raw for holder in holders], self.timeout_s)
        if any(receipt.verdict == Verdict.SEEN for receipt in receipts):
            # Somebody gave a role at the same time, under the same number: the first in the history counts.
            raise OrderRefused(Verdict.SEEN.label)
        publish(self.deployment.kafka_admin(), holders)
        return receipts


def _same(holder: Holder, mandate: Mandate) -> bool:
    return (holder.roles, holder.scope) == (frozenset(mandate.roles), mandate.scope)


def enrol_agents(deployment: Deployment, mandates: Mapping[str, Mandate], owner: str, timeout_s: float) -> list[Receipt]:
    """Enrol agents (name -> what its key may) and wait until the history has them and their roles. The receipts of the enrolments."""
    roles, now = Roles.of(deployment, timeout_s), time.time()
    said = roles.sign(mandates, now)
    records = [roles.operator.enrol(agent, from_base64(one.public_key, 32, "public_key"), owner, now) for agent, one in mandates.items()]
    with record_sender(deployment.kafka(), deployment.log()) as sender:
        for agent, record in zip(mandates, records, strict=True):
            sender.send(agent, record)
        # The role of a key whose enrolment is refused must not be given: it would count on `locks` all the same.
        receipts = sender.wait(records, timeout_s)
        roles.say(sender, said)
    return receipts


def revoke_keys(deployment: Deployment, keys: Sequence[tuple[str, str]], reason: str, timeout_s: float) -> list[Receipt]:
    """End keys (agent, key id) for good, and what they may. The receipts of the revocations."""
    roles, now = Roles.of(deployment, timeout_s), time.time()
    known = [holder for agent, key in keys if (holder := roles.known.holder(agent, key)) and holder.active]
    ended = [roles.operator.revoke_role(holder, now) for holder in known]
    records = [(agent, roles.operator.revoke(agent, key, reason, now)) for agent, key in keys]
    records += [(holder.agent, record) for holder, record in zip(known, ended, strict=True)]
    # On `locks` at once, since whoever revokes is in a hurry. If we crash here, the supervisor's next start takes it from there into the history.
    publish(deployment.kafka_admin(), [roles.take(record) for record in ended])
    with record_sender(deployment.kafka(), deployment.log()) as sender:
        for agent, record in records:
            sender.send(agent, record)
        return sender.wait([record for _, record in records], timeout_s)[: len(keys)]

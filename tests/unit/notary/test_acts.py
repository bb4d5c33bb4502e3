"""Which words of people the notary copies to `acts`, and whose."""

from typing import Literal

import pytest
from tests.support.history import HistoryBuilder, make_event, private_key, public_bytes
from tests.support.signing import SNAPSHOTS

from tallystick_schemas.directives import AGENT, RULES
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.events import Actor, Resource, parse_event
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import parse_batch
from tallystick_schemas.roles import Mandate, Role, value_of
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_stream_jobs.notary.core import ShardNotary

ORDERS = ("credential.suspend", "credential.resume", "credential.revoke", "incident.close", "incident.update", "access.grant")
NEWS = ("incident.open", "incident.decide", "incident.note", "access.request", "policy.update", "artifact.read")


def directed(made: HistoryBuilder, about: str, subject: str, value: dict[str, object], n: int = 1) -> None:
    """The operator's record, in the shard."""
    by = key_id(public_bytes(made.operator))
    made.record(0, sign_record(Directive(1, by, wire_time(made.tick()), about, subject, n, value), made.operator))


def mandate(name: str, *roles: Role, state: Literal["active", "revoked"] = "active") -> tuple[str, str, dict[str, object]]:
    public = public_bytes(private_key(name))
    agent = name.partition("+")[0]
    return AGENT, f"{agent} {key_id(public)}", value_of(Mandate(to_base64(public), list(roles), state))


def acted(agent: str, actions: tuple[str, ...], *directives: tuple[str, str, dict[str, object]], key: str = "") -> list[str]:
    """The actions on `acts` after an agent recorded these in a shard with these directives; `key` names its key when it is not its own."""
    made = HistoryBuilder(1)
    signer = made.enrol(agent, 0, private_key(key or agent))
    for n, one in enumerate(directives, 1):
        directed(made, *one, n)
    events = [
        make_event(n, action=action, actor=Actor("ann", "human"), resource=Resource("finding", "F")) for n, action in enumerate(actions)
    ]
    made.record(0, signer.sign(events, made.tick()).record)
    log = made.history.log
    notary = ShardNotary(Fold(Parameters.of(0, log.origin(0), log.operator_keys, log.sealer_keys)), lambda *_: None, SNAPSHOTS.sign)
    batch = notary.process((offset, append_ms, raw) for offset, (raw, append_ms) in enumerate(made.history.records[0]))
    (one,) = [parse_batch(raw) for _, raw in batch.outbound.messages(0)]
    assert (one.v, one.segments[0].key) == (2, key_id(public_bytes(private_key(key or agent))))
    raw = made.history.records[0][one.segments[0].offset][0]
    assert raw == made.history.records[0][-1][0], "the offset is of the record itself"
    return [parse_event(raw).action for segment in batch.outbound.acts for _, raw in segment.events]


LEVEL = (RULES, "", {"level": 2})


def test_orders_verdicts_and_grants_are_copied_and_news_are_not() -> None:
    assert acted("cli", ORDERS + NEWS, LEVEL, mandate("cli", "commander")) == list(ORDERS)


@pytest.mark.parametrize("agent", ["gateway", "detectors", "CLI"])
def test_only_commanders_order(agent: str) -> None:
    assert acted(agent, ORDERS, LEVEL, mandate("cli", "commander"), mandate(agent, "point", "recorder")) == []


def test_nobody_orders_before_the_operator_said_who_may() -> None:
    assert acted("cli", ORDERS) == []


def test_another_key_of_a_commander_orders_nothing() -> None:
    assert acted("cli", ORDERS, LEVEL, mandate("cli", "commander"), key="cli+2") == []


def test_a_revoked_commander_orders_nothing() -> None:
    assert acted("cli", ORDERS, LEVEL, mandate("cli", "commander"), mandate("cli", "commander", state="revoked")) == []


def test_a_mandate_that_names_another_key_gives_no_role() -> None:
    about, subject, value = mandate("cli", "commander")
    assert acted("cli", ORDERS, LEVEL, (about, subject, value | {"public_key": to_base64(public_bytes(private_key("mallory")))})) == []


def test_a_mandate_that_no_keyring_takes_gives_no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """At level 2 the fold has a directive of the 31st of February; whoever acts on directives does not, so the notary does not either."""
    monkeypatch.setattr(f"{__name__}.wire_time", lambda _: "2026-02-31T04:00:00.000000Z")
    assert acted("cli", ORDERS, LEVEL, mandate("cli", "commander")) == []

"""Which words of people the notary copies to `acts`, and whose."""

import pytest
from tests.support.history import HistoryBuilder, make_event

from tallystick_schemas.events import Actor, Resource, parse_event
from tallystick_schemas.fold import Fold, Parameters
from tallystick_stream_jobs.notary.core import ShardNotary

ORDERS = ("credential.suspend", "credential.resume", "credential.revoke", "incident.close", "incident.update", "access.grant")
NEWS = ("incident.open", "incident.decide", "incident.note", "access.request", "policy.update", "artifact.read")


def acted(agent: str, actions: tuple[str, ...]) -> list[str]:
    """The actions on `acts` after an agent recorded these, where `cli` speaks for people."""
    made = HistoryBuilder(1)
    signer = made.enrol(agent, 0)
    events = [
        make_event(n, action=action, actor=Actor("ann", "human"), resource=Resource("finding", "F")) for n, action in enumerate(actions)
    ]
    made.record(0, signer.sign(events, made.tick()).record)
    log = made.history.log
    notary = ShardNotary(Fold(Parameters.of(0, log.origin(0), log.operator_keys, log.sealer_keys)), frozenset({"cli"}), lambda *_: None)
    batch = notary.process((offset, append_ms, raw) for offset, (raw, append_ms) in enumerate(made.history.records[0]))
    return [parse_event(raw).action for segment in batch.outbound.acts for _, raw in segment.events]


def test_orders_verdicts_and_grants_are_copied_and_news_are_not() -> None:
    assert acted("cli", ORDERS + NEWS) == list(ORDERS)


@pytest.mark.parametrize("agent", ["gateway", "detectors", "CLI"])
def test_only_agents_that_speak_for_people_order(agent: str) -> None:
    assert acted(agent, ORDERS) == []

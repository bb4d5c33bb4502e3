"""What `doctor` says of roles: every fault by its name, and who records without a scope."""

import pytest
from tests.support.signing import OPERATORS, directive, public_of

from tallystick_infra.built_in import BUILT_IN
from tallystick_infra.enrolment import Directives, EnrolledAgent, RulesSaid
from tallystick_infra.role_state import faults, summary, unscoped_agents
from tallystick_schemas.directives import LEVEL
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring

PUBLICS = {name: public_of(name) for name in BUILT_IN}


def ring(*records: bytes) -> Keyring:
    made = Keyring.of(OPERATORS)
    for record in records:
        made.take(record)
    return made


def all_roles() -> list[bytes]:
    return [directive(name) for name in BUILT_IN]


def enrolled(agent: str, revoked: bool = False) -> EnrolledAgent:
    return EnrolledAgent(agent, key_id(public_of(agent)), 0, revoked, 0, None)


def judged(
    *more: bytes, levels: int = 2, level: int | None = LEVEL, unbelieved: int = 0, agents: tuple[EnrolledAgent, ...] = ()
) -> list[str]:
    topic = ring(*all_roles(), *more)
    return faults(PUBLICS, topic, Directives(ring(*all_roles()), dict.fromkeys(range(levels), RulesSaid(0, level)), unbelieved), agents, 2)


def test_all_is_well() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([directive("outbox", revoked=True, n=2)], "the role of outbox was revoked"),
        ([directive("outbox", ("recorder",), n=2)], "outbox is no outbox"),
        ([directive("outbox", scope=None, n=2)], "outbox has no scope"),
    ],
)
def test_a_part_that_may_not_what_it_must(more: list[bytes], said: str) -> None:
    assert judged(*more) == [said]


def test_a_part_without_a_role_or_a_key() -> None:
    publics = {"gateway": None, "outbox": public_of("outbox")}
    assert faults(publics, ring(), Directives(ring(), {0: RulesSaid(0, LEVEL)}), (), 1) == ["gateway has no key", "outbox has no role"]


def test_what_the_history_and_the_topic_differ_in() -> None:
    assert judged(levels=1) == ["shard 1 has no directives yet"]
    assert judged(level=2) == ["shards 0, 1 follow rules older than level 3"]
    assert judged(level=None) == [], "whoever put later rules in force has a later version"
    assert judged(unbelieved=2) == ["2 directives of the ledger are signed by no pinned operator key"]
    ledger = Directives(ring(*all_roles(), directive("one", ("recorder",))), {0: RulesSaid(0, LEVEL)})
    assert faults(PUBLICS, ring(*all_roles()), ledger, (), 1) == ["1 role of the ledger is not on topic locks"]


def test_a_revoked_key_whose_role_is_not() -> None:
    said = judged(directive("one", ("point",)), agents=(enrolled("one", revoked=True),))
    assert said == [f"key {key_id(public_of('one'))} of one is revoked, and its role is not"]


def test_agents_without_a_scope_are_named() -> None:
    topic = ring(
        directive("scoped", ("recorder",)), directive("bare", ("recorder",), scope=None), directive("gone", ("recorder",), revoked=True)
    )
    agents = [enrolled("scoped"), enrolled("bare"), enrolled("never"), enrolled("gone", revoked=True), enrolled("console")]
    assert unscoped_agents(topic, agents) == ["bare", "never"]
    assert summary(topic, []) == "2 keys have a role"
    assert summary(topic, list("abcdefg")).endswith(
        "recommendations alone: a, b, c, d, e and 2 more (`tallystick agent scope a --may-action …` gives one)"
    )

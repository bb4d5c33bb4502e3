"""The operator's directives: what is signed, what a start sends, and that nothing is said twice under one number."""

import pytest
from tests.support.signing import OPERATOR, OPERATORS, directive, public_of

from tallystick_infra.built_in import ANYTHING, BUILT_IN, agent_of, mandate_of
from tallystick_infra.control import Control, merged, newer, role_key
from tallystick_infra.enrolment import Directives, RulesSaid
from tallystick_infra.errors import BadOrder
from tallystick_infra.operator import Operator
from tallystick_schemas.directives import LEVEL, RULES, open_directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import ROLE_KEY
from tallystick_schemas.roles import Keyring, Scope
from tallystick_schemas.settings import LogSettings

LOG = LogSettings("test", 4, OPERATORS)
BOSS = Operator(OPERATOR)
PINNED = {BOSS.key: OPERATORS[0]}
NEWEST = RulesSaid(0, LEVEL)
PUBLICS = {name: public_of(name) for name in BUILT_IN}


def control(now: float = 1_795_406_400.0) -> Control:
    return Control(LOG, BOSS, lambda: now)


def nothing() -> Directives:
    return Directives(Keyring.of(OPERATORS))


def ring(*records: bytes) -> Keyring:
    made = Keyring.of(OPERATORS)
    for record in records:
        made.take(record)
    return made


def test_a_first_start_sends_rules_everywhere_and_every_role_to_both_places() -> None:
    plan = control().plan(ring(), nothing(), PUBLICS)
    assert plan.rules == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert [holder.agent for holder in plan.topic] == [holder.agent for holder in plan.ledger] == list(BUILT_IN)
    assert {holder.agent: (tuple(holder.roles), holder.scope, holder.n) for holder in plan.topic} == {
        name: (roles, scope, 0) for name, (roles, scope) in BUILT_IN.items()
    }
    assert [holder.raw for holder in plan.topic] == [holder.raw for holder in plan.ledger]


def test_a_start_where_all_is_said_sends_nothing() -> None:
    first = control().plan(ring(), nothing(), PUBLICS)
    said = [holder.raw for holder in first.topic]
    again = control(2_000_000_000.0).plan(ring(*said), Directives(ring(*said), dict.fromkeys(range(4), NEWEST)), PUBLICS)
    assert (again.rules, again.topic, again.ledger, again.adopts, again.records) == ([], [], [], [], 0)


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_start_after_a_crash_sends_the_same_bytes_under_the_same_numbers(cut: int) -> None:
    """Whichever place got less before it: the other's record is taken, none is signed anew."""
    said = [holder.raw for holder in control().plan(ring(), nothing(), PUBLICS).topic]
    for topic, ledger in ((said, said[:cut]), (said[:cut], said)):
        plan = control(2_000_000_000.0).plan(ring(*topic), Directives(ring(*ledger), {0: NEWEST, 2: NEWEST}), PUBLICS)
        assert plan.rules == [(1, 0), (3, 0)]
        assert {holder.raw for holder in (*plan.topic, *plan.ledger)} == set(said[cut:])


def test_what_an_operator_said_of_a_part_is_not_said_anew() -> None:
    """Less scope for the gateway, and a responder's key that was revoked: a start leaves both, and tells the topic."""
    narrow = directive("gateway", scope=Scope(actions=["artifact.read"]), n=4)
    ended = directive("responder", revoked=True, n=7)
    plan = control().plan(ring(), Directives(ring(narrow, ended), dict.fromkeys(range(4), NEWEST)), PUBLICS)
    told = {holder.agent: holder for holder in plan.topic}
    assert (told["gateway"].raw, told["responder"].raw) == (narrow, ended)
    assert {holder.agent for holder in plan.ledger} == set(BUILT_IN) - {"gateway", "responder"}


def test_a_part_is_let_read_on_under_the_next_number_of_either_place() -> None:
    asked = Control(LOG, BOSS, lambda: 0.0, adopt=("detectors",))
    numbers = []
    for topic, ledger in ((None, None), (3, None), (None, 4), (5, 4)):
        rings = [ring(*([] if n is None else [BOSS.directive("adopt", "detectors", {}, n, 0.0)])) for n in (topic, ledger)]
        plan = asked.plan(rings[0], Directives(rings[1], dict.fromkeys(range(4), NEWEST)), {})
        [(part, record)] = plan.adopts
        found = open_directive(record, PINNED)
        assert (part, found.about, found.subject, plan.records) == ("detectors", "adopt", "detectors", 1)
        numbers.append(found.n)
    assert numbers == [0, 4, 5, 6]


def test_the_newer_of_two_places_wins_and_the_older_is_told() -> None:
    old, new = directive("outbox", n=1), directive("outbox", revoked=True, n=2)
    for topic, ledger in ((old, new), (new, old)):
        known = merged(LOG, ring(topic), ring(ledger))
        assert [holder.n for holder in known] == [2]
        assert [holder.raw for holder in newer(known, ring(old))] == [new]
        assert newer(known, ring(new)) == []


def test_of_one_number_the_first_place_counts() -> None:
    one, other = directive("outbox", n=1), directive("outbox", revoked=True, n=1)
    assert [holder.raw for holder in merged(LOG, ring(one), ring(other))] == [one]


def test_the_key_on_the_topic_names_agent_and_key() -> None:
    [holder] = ring(directive("outbox"))
    assert role_key(holder) == ROLE_KEY + f"outbox/{key_id(public_of('outbox'))}".encode()


def test_a_shard_of_older_rules_gets_the_newest_under_its_next_number() -> None:
    """None again where they are in force, and none where a later version put later ones there."""
    said = {0: RulesSaid(0, 2), 1: RulesSaid(4, 2), 2: RulesSaid(7, LEVEL), 3: RulesSaid(1, None)}
    assert control().plan(ring(), Directives(ring(), said), {}).rules == [(0, 1), (1, 5)]
    found = open_directive(BOSS.follow_rules(5, 0.0), PINNED)
    assert (found.about, found.subject, found.n, found.value) == (RULES, "", 5, {"level": 3})


def test_a_revoked_role_has_the_next_number_and_keeps_what_it_was() -> None:
    [before] = ring(directive("detectors", n=5))
    [after] = ring(directive("detectors", n=5), BOSS.revoke_role(before, 0.0))
    assert (after.n, after.active, after.roles, after.scope) == (6, False, before.roles, before.scope)


@pytest.mark.parametrize(
    ("agent", "scope"),
    [
        ("bad name", ANYTHING),
        ("good", Scope(actions=["a\nb"])),
        ("good", Scope(actions=["x"] * 65)),
        ("good", Scope(actions=["é" * 256] * 60)),
    ],
)
def test_what_no_directive_can_say_is_refused_before_it_is_sent(agent: str, scope: Scope) -> None:
    with pytest.raises(BadOrder, match="nothing was sent"):
        BOSS.give_role(agent, mandate_of(public_of("good"), scope=scope), 0, 0.0)


def test_every_part_has_a_scope_and_none_may_speak_of_agents_lives() -> None:
    for name, (roles, scope) in BUILT_IN.items():
        assert roles, name
        assert scope.actions is not None, name
        assert not scope.covers("agent.heartbeat", "anybody", "agent/anybody"), name
    assert BUILT_IN["gateway"].scope.covers("access.check", "anybody@example.org", "model/models/m")
    assert not BUILT_IN["gateway"].scope.covers("credential.suspend", "anybody@example.org", "principal/x")
    assert not BUILT_IN["notary"].scope.covers("access.check", "anybody@example.org", "model/models/m")


def test_a_role_of_our_own_brings_its_scope_and_a_recorder_has_none() -> None:
    assert mandate_of(public_of("x"), ("responder",)).scope == BUILT_IN["responder"].scope
    assert mandate_of(public_of("x")).scope is None
    assert mandate_of(public_of("x"), ("point",)).scope is None
    assert mandate_of(public_of("x"), ("responder",), ANYTHING).scope == ANYTHING


@pytest.mark.parametrize(("instance", "agent"), [("", "responder"), ("embedded", "responder"), ("b", "responder.b")])
def test_a_further_instance_is_an_agent_of_its_own(instance: str, agent: str) -> None:
    assert agent_of("responder", instance) == agent

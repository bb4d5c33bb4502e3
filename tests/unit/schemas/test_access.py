"""The table of access: what the issue promises of it, row by row."""

import pytest

from tallystick_schemas.access import AGENT, CLI, PARTS, POINT, Rule, access_of, access_table, agent_user
from tallystick_schemas.topics import (
    ACTS,
    CHECKPOINTS,
    DECISIONS,
    DETECTOR_STATE,
    ENFORCEMENT,
    EVENTS,
    FINDINGS,
    LOCKS,
    OUTBOX,
    PROOFS,
    RECEIPTS,
    VERIFIED,
    topic_table,
)

WRITERS = {
    VERIFIED: {"notary"},
    ACTS: {"notary"},
    RECEIPTS: {"notary"},
    FINDINGS: {"detectors", "outbox", "responder"},
    DETECTOR_STATE: {"detectors"},
    LOCKS: {"responder"},
    DECISIONS: {"responder"},
    CHECKPOINTS: {"sealer"},
    OUTBOX: {"outbox"},
    PROOFS: {"outbox"},
    ENFORCEMENT: {"gateway", "outbox", POINT},
    EVENTS: {row.role for row in access_table()} - {"notary"},
}


@pytest.mark.parametrize("topic", [spec.name for spec in topic_table(4)])
def test_who_writes_a_topic(topic: str) -> None:
    assert {row.role for row in access_table() if topic in row.writes} == WRITERS[topic]


def test_who_reads_what_agents_send() -> None:
    """Who folds it or acts on it, and `doctor`, which holds the record at a shard's end to its entry."""
    assert {row.role for row in access_table() if EVENTS in row.reads} == {"notary", "detectors", "responder", "outbox", CLI}


def test_agents_have_what_they_need_and_points_one_topic_more() -> None:
    agent, point = access_of(AGENT), access_of(POINT)
    assert (set(agent.reads), set(agent.writes)) == ({RECEIPTS, LOCKS, CHECKPOINTS}, {EVENTS})
    assert point.rules() - agent.rules() == {Rule("topic", ENFORCEMENT, "Read"), Rule("topic", ENFORCEMENT, "Write")}


def test_a_row_names_each_topic_once() -> None:
    known = {spec.name for spec in topic_table(4)}
    for row in access_table():
        for names in (row.reads, row.writes, row.describes, row.watches):
            assert len(set(names)) == len(names)
        assert {*row.reads, *row.writes, *row.describes} <= known
        assert not set(row.describes) & {*row.reads, *row.writes}, "reading and writing imply it"


def test_names_are_told_apart() -> None:
    roles = {row.role for row in access_table()}
    assert len(roles) == len(access_table())
    assert not any("/" in role for role in roles)
    assert agent_user("notary") not in roles
    groups = [row.group for row in PARTS if row.group]
    assert len(set(groups)) == len(groups)

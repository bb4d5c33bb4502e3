"""The one table of who may do what on Kafka: a row a role, beside the table of topics. The embedded broker's rules come from it. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from .topics import (
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
)

Operation = Literal["Read", "Write", "Describe"]
"""As Kafka's `kafka-acls` names them. Read and Write imply Describe: partitions, offsets, the topic's id."""

CLI: Final = "cli"
AGENT: Final = "agent"
POINT: Final = "point"
_AGENT_PREFIX: Final = "agent/"


@dataclass(frozen=True, order=True)
class Rule:
    """One thing that a user may do. Whatever no rule allows is refused."""

    kind: Literal["topic", "group"]
    name: str
    operation: Operation


@dataclass(frozen=True)
class Access:
    """A role's row. `describes`: topics whose partitions and ends it may ask for, not what they hold."""

    role: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    group: str | None = None
    """The consumer group that it joins or commits for."""
    watches: tuple[str, ...] = ()
    """Groups whose place it may ask for."""

    def rules(self) -> frozenset[Rule]:
        """The row as rules."""
        return frozenset(
            [
                *(Rule("topic", name, "Read") for name in self.reads),
                *(Rule("topic", name, "Write") for name in self.writes),
                *(Rule("topic", name, "Describe") for name in self.describes),
                *(Rule("group", name, "Read") for name in [self.group] if name),
                *(Rule("group", name, "Describe") for name in self.watches),
            ]
        )


def group_of(job: str) -> str:
    """The consumer group of a job."""
    return f"tallystick-{job}"


_RECORDER: Final = (RECEIPTS, CHECKPOINTS, LOCKS)
"""Read by whoever records: the answers to what it sent, what it vouches to have seen, and who has which role. It writes `events`."""

PARTS: Final = (
    Access("notary", reads=(EVENTS, LOCKS), writes=(VERIFIED, ACTS, RECEIPTS), group=group_of("notary")),
    Access(
        "detectors",
        reads=(VERIFIED, ACTS, DETECTOR_STATE, EVENTS, *_RECORDER),
        writes=(FINDINGS, DETECTOR_STATE, EVENTS),
        group=group_of("detectors"),
    ),
    Access(
        "responder",
        reads=(FINDINGS, ACTS, DECISIONS, EVENTS, *_RECORDER),
        writes=(LOCKS, DECISIONS, FINDINGS, EVENTS),
        group=group_of("responder"),
    ),
    Access(
        "outbox",
        reads=(DECISIONS, ACTS, FINDINGS, ENFORCEMENT, OUTBOX, PROOFS, EVENTS, *_RECORDER),
        writes=(OUTBOX, PROOFS, FINDINGS, ENFORCEMENT, EVENTS),
        group=group_of("outbox"),
    ),
    Access("sealer", reads=(RECEIPTS, LOCKS, CHECKPOINTS), writes=(EVENTS, CHECKPOINTS)),
    Access("signals", reads=(DECISIONS, *_RECORDER), writes=(EVENTS,)),
    Access("gateway", reads=(ENFORCEMENT, *_RECORDER), writes=(ENFORCEMENT, EVENTS)),
    Access(
        "console",
        reads=(VERIFIED, FINDINGS, DECISIONS, ENFORCEMENT, *_RECORDER),
        writes=(EVENTS,),
        watches=(group_of("detectors"),),
    ),
    Access(
        CLI,
        reads=(VERIFIED, FINDINGS, DECISIONS, ENFORCEMENT, OUTBOX, PROOFS, EVENTS, *_RECORDER),
        writes=(EVENTS,),
        describes=(ACTS, DETECTOR_STATE),
        watches=(group_of("detectors"),),
    ),
)
"""Processes of a deployment; `cli` is the operator's commands."""

AGENTS: Final = (
    Access(AGENT, reads=_RECORDER, writes=(EVENTS,)),
    Access(POINT, reads=(ENFORCEMENT, *_RECORDER), writes=(ENFORCEMENT, EVENTS)),
)
"""An agent, and one that is an enforcement point: a gateway elsewhere, or an application that asks `is_locked`."""


def access_table() -> tuple[Access, ...]:
    """Every row."""
    return PARTS + AGENTS


def access_of(role: str) -> Access:
    """A role's row; KeyError for one that is not in the table."""
    return {row.role: row for row in access_table()}[role]


def agent_user(agent: str) -> str:
    """The broker's user of an agent. No role's name has a slash, so no agent is taken for one of our parts."""
    return _AGENT_PREFIX + agent

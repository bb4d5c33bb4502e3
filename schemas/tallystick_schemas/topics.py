"""The one table of Kafka topics: names, keys, partitions, settings. Creation and the check against a live cluster come from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from .names import canonical

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_MAX_MESSAGE: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class TopicSpec:
    """One topic. `key` says in words what a message's key is; `config` are Kafka's topic settings."""

    name: str
    key: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


EVENTS: Final = "events"
VERIFIED: Final = "verified"
FINDINGS: Final = "findings"
ACTS: Final = "acts"
DECISIONS: Final = "decisions"
RECEIPTS: Final = "receipts"
LOCKS: Final = "locks"
DETECTOR_STATE: Final = "detector-state"
CHECKPOINTS: Final = "checkpoints"
ENFORCEMENT: Final = "enforcement"
OUTBOX: Final = "outbox"
PROOFS: Final = "proofs"

VERIFIED_PARTITIONS: Final = 4
RECEIPT_PARTITIONS: Final = 4


def _kept(milliseconds: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds)}


def _compacted() -> dict[str, str]:
    return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": str(_HOUR_MS)}


def topic_table(shards: int) -> tuple[TopicSpec, ...]:
    """Every topic of a deployment whose `events` has `shards` partitions."""
    return (
        TopicSpec(EVENTS, "agent id", shards, {**_kept(7 * _DAY_MS), "message.timestamp.type": "LogAppendTime"}),
        TopicSpec(
            VERIFIED,
            "none: the partition is the principal's hash",
            VERIFIED_PARTITIONS,
            {**_kept(_DAY_MS), "max.message.bytes": str(_MAX_MESSAGE)},
        ),
        TopicSpec(FINDINGS, "principal", 1, _kept(30 * _DAY_MS)),
        TopicSpec(ACTS, "none", 1, _kept(7 * _DAY_MS)),
        TopicSpec(DECISIONS, "subject", 1, _kept(30 * _DAY_MS)),
        TopicSpec(RECEIPTS, "the signer: agent id, or sealer", RECEIPT_PARTITIONS, _kept(6 * _HOUR_MS)),
        TopicSpec(LOCKS, "subject of the lock", 1, _compacted()),
        TopicSpec(
            DETECTOR_STATE,
            "bucket of principals, and the fence",
            VERIFIED_PARTITIONS,
            {**_compacted(), "max.message.bytes": str(_MAX_MESSAGE)},
        ),
        TopicSpec(CHECKPOINTS, "origin of the log", 1, _compacted()),
        TopicSpec(
            ENFORCEMENT,
            "the enforcement point; with a subject, its acknowledgement",
            1,
            {**_compacted(), "message.timestamp.type": "LogAppendTime"},
        ),
        TopicSpec(OUTBOX, "delivery", 1, _compacted()),
        TopicSpec(PROOFS, "command and enforcement point", 1, _compacted()),
    )


def verified_partition(principal: str) -> int:
    """The partition of `verified` with a principal's events, the same in every notary and language (BLAKE2b, RFC 7693, 8 bytes).

    The hash is that of the canonical name (ADR 0026): what is counted for one principal must meet in one place.
    """
    return int.from_bytes(blake2b(canonical(principal).encode("utf-8", "replace"), digest_size=8).digest(), "big") % VERIFIED_PARTITIONS

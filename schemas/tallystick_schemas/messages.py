"""What the parts say to each other on Kafka, beside records and receipts. Shapes only; who sends what stands in `topics`.

Batches travel as msgpack arrays (small and quick), things that people read as JSON.
"""

from typing import Final, Literal

import msgspec

from .errors import ParseError

Place = tuple[int, int, int]
"""(shard, index, pos): where an event is recorded."""


class VerifiedSegment(msgspec.Struct, frozen=True, array_like=True):
    """The events of one accepted segment that belong to one partition of `verified`."""

    index: int
    agent: str
    run: str
    first: int
    append_ms: int
    events: list[tuple[int, bytes]]
    """(pos, raw) in rising pos."""


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """What the notary noticed about an agent: an entry whose verdict is not plain acceptance."""

    index: int
    verdict: int
    agent: str
    key: str
    run: str
    n: int
    append_ms: int
    reason: str


class VerifiedBatch(msgspec.Struct, frozen=True, array_like=True):
    """One message on `verified` or `acts`; indexes rise within a (partition, shard)."""

    v: int
    shard: int
    segments: list[VerifiedSegment]
    signals: list[Signal]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a detector found: value against threshold, and the places of its evidence."""

    id: str
    detector: str
    version: int
    title: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    principal: str
    credential: str | None = None
    time: str
    value: float
    threshold: float
    window_s: int
    resource: str | None = None
    collection: str | None = None
    evidence: list[Place]
    act: Literal["signal", "alert", "step-up", "suspend"]
    deterministic: bool
    baseline: float | None = None
    peers: float | None = None
    techniques: list[str]
    text: str
    emitted_ms: int


class Lock(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """State of one subject on the compacted topic `locks`; the newest value per subject is in force."""

    subject: str
    state: Literal["locked", "unlocked"]
    command: str
    reason: str
    by: str
    at: str
    until: str | None = None
    finding: str | None = None
    evidence: list[Place] = []


class LockHeartbeat(msgspec.Struct, frozen=True):
    """Key `_heartbeat` on `locks`: the responder is alive and has written everything it decided before `at`."""

    at: str


HEARTBEAT_KEY: Final = b"_heartbeat"

encode_batch: Final = msgspec.msgpack.Encoder().encode
encode_json: Final = msgspec.json.Encoder().encode
_batch: Final = msgspec.msgpack.Decoder(VerifiedBatch)
_finding: Final = msgspec.json.Decoder(Finding)
_lock: Final = msgspec.json.Decoder(Lock)
_heartbeat: Final = msgspec.json.Decoder(LockHeartbeat)


def parse_batch(raw: bytes) -> VerifiedBatch:
    """A batch of `verified` or `acts`, or ParseError."""
    try:
        return _batch.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a verified batch: {error}") from error


def parse_finding(raw: bytes) -> Finding:
    """A finding, or ParseError."""
    try:
        return _finding.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a finding: {error}") from error


def parse_lock(key: bytes | None, raw: bytes) -> Lock | LockHeartbeat:
    """A value of topic `locks` under its key, or ParseError. A lock's key is its subject: a value under another key is refused."""
    try:
        if key == HEARTBEAT_KEY:
            return _heartbeat.decode(raw)
        lock = _lock.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a lock: {error}") from error
    if key != lock.subject.encode():
        raise ParseError("a lock stands under another subject's key")
    return lock

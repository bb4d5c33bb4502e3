"""What the parts say to each other on Kafka, beside records and receipts. Shapes only; who sends what stands in `topics`.

Batches travel as msgpack arrays (small and quick), things that people read as JSON.
"""

from typing import Final, Literal, TypeVar

import msgspec

from .errors import ParseError
from .times import seconds_of

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
    offset: int = -1
    """Of the segment's record on `events`, in the partition of the shard: whoever acts reads it there."""
    key: str = ""
    """Id of the key that signed it."""


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
    offset: int = -1
    """Of its record in the shard's partition of `events`; -1 where it is not known."""


BATCH: Final = 2
"""Version of a batch as it is made now."""


class VerifiedBatch(msgspec.Struct, frozen=True, array_like=True):
    """One message on `verified` or `acts`; indexes rise within a (partition, shard). Version 2 has offsets, keys and the partition."""

    v: int
    shard: int
    segments: list[VerifiedSegment]
    signals: list[Signal]
    partition: int = -1
    """The one that it was made for: elsewhere its events would be counted a second time. -1 in version 1."""


Mode = Literal["observe", "recommend", "auto"]
Level = Literal["step-up", "suspend", "revoke"]
Choice = Literal["note", "recommend", "step-up", "suspend", "revoke", "reinstate"]


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
    subject: Literal["principal", "agent"] = "principal"
    """Whom `principal` names: somebody whose accesses are recorded, or an agent that records them."""
    features: dict[str, float] = {}
    """Every number that was weighed, by name: what an explanation is made of."""
    missing: list[str] = []
    """Inputs that were not there. A value without them is a floor, and a floor never acts."""
    mode: Mode = "auto"
    """How far the policy file lets this detector go."""
    count: int = 1
    """How often it was found: a finding that comes again within the hour updates the open one, under its id."""
    updated: str | None = None
    suppressed: str | None = None
    """Why nobody is bothered with it: the suppression or the grant that covers it."""
    drill: str | None = None
    """The exercise that this belongs to."""
    proof: Place | None = None
    """(shard, offset on `events`, pos) of the newest evidence: whoever acts on the finding looks there first."""
    unvouched: list[str] = []
    """Agents whose words it rests on and who may not vouch for them."""


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
    level: Level = "suspend"
    """step-up: a fresh proof of who it is opens the door again; suspend: nobody but a person or the end does; revoke: for good."""
    drill: str | None = None


class Alternative(msgspec.Struct, frozen=True):
    """What was not done, and why not."""

    choice: Choice
    reason: str


class Decision(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One value of topic `decisions`: what was decided about a subject, on what evidence, by whom. `id` is the command it carries out."""

    id: str
    at: str
    by: str
    choice: Choice
    subject: str
    """`principal:…` or `credential:…`."""
    principal: str | None = None
    """Whose credential it is, where that is known."""
    reason: str
    detectors: list[str] = []
    evidence: list[Place] = []
    findings: list[str] = []
    policy: dict[str, str] = {}
    """Guard or setting -> what it said."""
    alternatives: list[Alternative] = []
    lock: Lock | None = None
    """The lock that was written for it; `outbox` carries it to the outside."""
    proposed: Lock | None = None
    """The lock that the same order by a second person would write, until `expires`."""
    expires: str | None = None
    drill: str | None = None


class Point(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Topic `enforcement`, key = the point's name: a place that denies who is locked, and says each few seconds that it is there."""

    name: str
    kind: Literal["gateway", "sdk", "connector"]
    version: str
    at: str
    """Its own clock."""
    probe: str | None = None
    """Where a canary credential can be tried, as an http(s) address."""
    known_until: str | None = None
    """The heartbeat of the responder that it has heard last."""
    started: str | None = None
    """When its process began to announce itself, by its own clock: what it acknowledged of older locks, it applied then."""
    left: bool = False
    """It was stopped, and signs off: who says this is not silent."""


class LockAck(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Topic `enforcement`, key = point NUL subject: the point has applied this lock. Our clock is the broker's append time."""

    point: str
    subject: str
    command: str
    state: Literal["locked", "unlocked"]
    applied_at: str
    """The point's own clock."""


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Topic `outbox`, key = id: one thing to do elsewhere for one decision, and how far it is."""

    id: str
    """`<decision>/<connector>`: the same in every replay, so that the outside can drop repeats by it."""
    decision: Decision
    connector: str
    state: Literal["waiting", "done", "given-up", "cancelled"]
    created_at: str
    attempts: int = 0
    next_at: str | None = None
    done_at: str | None = None
    error: str | None = None
    detail: str | None = None
    """What the other side said when it was done."""


class Denial(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Topic `proofs`, key = command NUL point: whether a locked credential is refused at one point, as tried and not as told."""

    command: str
    subject: str
    point: str
    state: Literal["probing", "refused", "still-works", "unreachable"]
    locked_at: str
    tried_at: str
    refused_at: str | None = None
    acked_at: str | None = None
    attempts: int = 0
    how: str = ""
    """canary credential, introspection, …"""
    hops_ms: dict[str, float] = {}
    """Hop -> milliseconds: decision, ack, denial."""
    drill: str | None = None


class LockHeartbeat(msgspec.Struct, frozen=True):
    """Key `_heartbeat` on `locks`: the responder is alive and has written everything it decided before `at`.

    Whoever read the topic so far must have the same: `count` and `digest` are of the locks that hold, `roles` of the keys with a role (SPEC section 12).
    """

    at: str
    count: int
    digest: str
    roles: str


HEARTBEAT_KEY: Final = b"_heartbeat"
ROLE_KEY: Final = b"_role/"
"""How the Kafka key of an operator's directive about an agent's key begins on `locks`; agent and key id follow, with a slash between them."""
RETIRE_KEY: Final = ROLE_KEY + b"retire/"
"""With the key's id behind it: the directive that retires an operator's or a sealer's key."""
ADOPT_KEY: Final = ROLE_KEY + b"adopt/"
"""How it begins for a directive that lets a part read on state of an earlier version; the part's name follows."""

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
    """The body of a value of topic `locks` under its key, or ParseError: a lock's key is its subject, and its times are on the calendar."""
    try:
        if key == HEARTBEAT_KEY:
            beat = _heartbeat.decode(raw)
            seconds_of(beat.at)
            return beat
        lock = _lock.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a lock: {error}") from error
    if key != lock.subject.encode():
        raise ParseError("a lock stands under another subject's key")
    seconds_of(lock.at)
    if lock.until is not None:
        seconds_of(lock.until)
    return lock


M = TypeVar("M", Decision, Point, LockAck, Delivery, Denial)


def parse_message(kind: type[M], raw: bytes) -> M:
    """A value of one of the JSON topics, or ParseError."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a {kind.__name__.lower()}: {error}") from error

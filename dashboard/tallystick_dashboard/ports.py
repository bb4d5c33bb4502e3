"""What the console needs from outside, and the shapes in which it gets it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tallystick_schemas.blast_radius import Plan
from tallystick_schemas.events import Actor, Event, Resource, Why
from tallystick_schemas.messages import Place
from tallystick_schemas.standing import Standing


@dataclass(frozen=True)
class EvidenceEvent:
    """One event of a finding's evidence as the store holds it, and the entry that carries it."""

    place: Place
    raw: bytes
    event: Event | None
    """None when the stored bytes are no event (erased, removed, or tampered with)."""
    leaf: str
    """Hex of SHA-256(0x00 || raw), computed here."""
    entry: "EntryRow | None"
    sealed_by: int | None
    """Size of the smallest stored checkpoint of the shard that covers the entry."""
    standing: Standing
    """Whether it is what its agent signed: computed here."""


@dataclass(frozen=True)
class EntryRow:
    """One ledger entry. Hashes are hex; `append_ms` is the broker's time."""

    shard: int
    index: int
    kind: int
    verdict: int
    agent: str
    n: int
    count: int
    append_ms: int
    leaf: str
    chain: str
    sound: bool
    """The stored leaf is the hash of the stored entry: recomputed here."""


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint. `problem` is None when a pinned key signed it and it says what the columns say."""

    origin: str
    size: int
    root: str
    time: float
    problem: str | None


@dataclass(frozen=True)
class ShardRow:
    """What one shard holds: entries, the newest one's time (ms), newest offset, verdicts of the newest entries."""

    shard: int
    entries: int
    newest_ms: int
    offset: int
    verdicts: Mapping[int, int] = field(default_factory=dict)
    forked: int = 0
    """Indexes, among the newest, at which two different entries stand. More than 0 is tampering or two notaries."""
    missing: int = 0
    """Indexes, among the newest, at which no entry stands. The notary leaves none out."""


@dataclass(frozen=True)
class HistoryView:
    """What the History page shows."""

    shards: tuple[ShardRow, ...] = ()
    entries: tuple[EntryRow, ...] = ()
    checkpoints: tuple[CheckpointRow, ...] = ()


@dataclass(frozen=True)
class Closing:
    """What a person said last about a finding. `at` is a wire time."""

    disposition: str
    who: str
    reason: str
    at: str


class Sources(Protocol):
    """Reads from the store. Blocking; SourceUnavailable when it does not answer."""

    def evidence(self, places: Sequence[Place]) -> list[EvidenceEvent]:
        """What is stored at `places`, in their order; a place with nothing stored is absent."""
        ...

    def plan(self, subject: str, now: float) -> Plan:
        """What locking `subject` (`principal:…` or `credential:…`) would hit, by its last day."""
        ...

    def closings(self) -> Mapping[str, Closing]:
        """The newest closings, by the finding's id."""
        ...

    def history(self) -> HistoryView:
        """Newest entries and checkpoints of every shard."""
        ...


class ActRecorder(Protocol):
    """The part of the SDK's Recorder that the console uses."""

    async def record_async(
        self,
        action: str,
        *,
        actor: Actor,
        resource: Resource,
        why: Why | None = None,
        attrs: dict[str, str] | None = None,
        **more: Any,
    ) -> str:
        """Record durably; the event's name `agent/run/seq`."""
        ...

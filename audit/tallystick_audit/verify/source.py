"""The verifier's port to a stored history. Nothing that comes through it is believed: every hash and column is computed again.

Contract (tests/contracts/test_history_source.py): `end` is not included; rows come in the order of (index, position), equal places beside
each other, those that agree and those that differ; nothing is left out because it looks wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class StoredEntry:
    """One row of `ledger_entries`."""

    index: int
    entry: bytes
    leaf: bytes
    chain: bytes
    columns: bytes = field(default=b"", compare=False)
    """The stored derived columns as one text (`step7_entries`), where they were asked for."""


@dataclass(frozen=True, slots=True)
class EventRows:
    """A block of rows of `events`, column by column. `leaves` are the stored leaf hashes, 32 bytes each, one after the other;
    `columns` the derived columns of each row as one text (`step7_columns`)."""

    indexes: Sequence[int]
    positions: Sequence[int]
    raws: list[bytes]
    leaves: bytes
    columns: list[bytes]


@dataclass(frozen=True, slots=True, order=True)
class StoredCheckpoint:
    """One row of `checkpoints`; `size` and `root` are what the columns say, `note` what was signed."""

    origin: str
    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True, order=True)
class StoredLeaf:
    """One row of `root_leaves`."""

    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Stranger:
    """A row of a shard that the deployment does not have: the lowest index of each such shard."""

    table: str
    shard: int
    index: int


@dataclass(frozen=True, slots=True)
class Beyond:
    """What stands above a shard's newest seal and cannot become history as it is: each by its indexes, the highest 1,000 of them."""

    orphans: tuple[int, ...]
    """Event rows without an entry. An insert writes events first, so some may have one a moment later."""
    behind_gap: int | None
    """The highest entry, when entries between the seal and it are missing."""
    rejected: tuple[int, ...] = ()
    """Rejected records without an entry. An insert writes them first, as it does events."""


class HistorySource(Protocol):
    """Where a history is read from."""

    def checkpoints(self) -> list[StoredCheckpoint]: ...
    def root_leaves(self) -> list[StoredLeaf]: ...
    def entries(self, shard: int, first: int, end: int, *, columns: bool = False) -> Iterator[list[StoredEntry]]: ...
    def events(self, shard: int, first: int, end: int) -> Iterator[EventRows]: ...
    def rejected(self, shard: int, first: int, end: int) -> Iterator[tuple[int, bytes]]: ...
    def strangers(self, shards: int) -> list[Stranger]: ...
    def beyond(self, shard: int, first: int) -> Beyond: ...

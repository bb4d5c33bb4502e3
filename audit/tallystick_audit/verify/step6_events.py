"""Step 6: the events of every accepted segment fold to the root that its agent signed, and there are no others. Pure.

Also section 2's checks on every event: an accepted segment with an event that breaks them should have been refused.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from typing import Final

import msgspec

from tallystick_schemas.bulk import CHUNK, parse_each
from tallystick_schemas.entries import entry_leaf, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import MAX_SEGMENT_EVENTS, Kind
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.words import counted

from .report import Findings
from .source import EventRows, StoredEntry
from .step7_columns import EventColumns

STEP = 6
_ALL_POSITIONS: Final = array("H", range(MAX_SEGMENT_EVENTS))
HASH: Final = 32


@dataclass(frozen=True, slots=True)
class Expected:
    """What an accepted segment's header promises; `root` in hex."""

    index: int
    count: int
    root: str


class _Promise(msgspec.Struct, frozen=True, gc=False):
    count: int
    root: str


_promise: Final = msgspec.json.Decoder(_Promise)


@dataclass(slots=True)
class Group:
    """The stored rows of one segment."""

    index: int
    positions: Sequence[int]
    raws: list[bytes]
    leaves: bytes
    columns: list[bytes]


@dataclass
class PieceResult:
    """What one piece of a shard's events gave. `entries_digest` ties it to the entries that steps 3 to 5 judged."""

    shard: int
    first: int
    entries_digest: bytes
    findings: Findings
    events: int = 0
    erased: list[tuple[int, int]] = field(default_factory=list)
    """(index, position) of each row whose bytes are gone."""
    unbounded: tuple[int, str] | None = None
    """The last accepted segment with an event that level 3 does not allow, and why: whether that level held is told by the shard's fold."""


class LeafDigest:
    """H over the leaves of the entries of a piece; rows that repeat the one before count once."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, leaf: bytes) -> None:
        self._hash.update(leaf)

    def take(self) -> bytes:
        """The digest so far; a new one begins."""
        digest = self._hash.digest()
        self._hash = sha256()
        return digest


def expectations(rows: Iterable[StoredEntry], digest: LeafDigest) -> list[Expected]:
    """Promises of the accepted segments among `rows`. What is no entry promises nothing; steps 3 and 5 say so."""
    found: list[Expected] = []
    last = -1
    for row in rows:
        if row.index == last:
            continue
        last = row.index
        digest.add(entry_leaf(row.entry))
        try:
            entry = parse_entry(row.entry)
            if entry.kind == Kind.SEGMENT and entry.verdict.accepted:
                promise = _promise.decode(entry.header)
                found.append(Expected(row.index, promise.count, promise.root))
        except (ParseError, msgspec.MsgspecError, UnicodeError):
            continue
    return found


def groups(blocks: Iterable[EventRows]) -> Iterator[Group]:
    """Blocks cut into segments; a segment may begin in one block and end in another."""
    held: Group | None = None
    for block in blocks:
        indexes, total, at = block.indexes, len(block.indexes), 0
        while at < total:
            index = indexes[at]
            end = bisect_right(indexes, index, at, min(at + MAX_SEGMENT_EVENTS, total))
            while end < total and indexes[end] == index:
                end += 1
            group = Group(index, block.positions[at:end], block.raws[at:end], block.leaves[HASH * at : HASH * end], block.columns[at:end])
            if held is not None and held.index == index:
                group = _together(held, group)
            elif held is not None:
                yield held
            held, at = group, end
    if held is not None:
        yield held


def _together(first: Group, second: Group) -> Group:
    positions = first.positions + second.positions  # type: ignore[operator]  # both are arrays, or both lists
    return Group(first.index, positions, first.raws + second.raws, first.leaves + second.leaves, first.columns + second.columns)


class EventCheck:
    """Takes the groups of one piece in order, against what the entries promise."""

    def __init__(self, shard: int, expected: Sequence[Expected], findings: Findings) -> None:
        self._shard, self._findings = shard, findings
        self._expected, self._at = expected, 0
        self._waiting: list[Group] = []
        """Rows with bytes, which wait for the checks of section 2 and of step 7."""
        self._events_waiting = 0
        self._columns = EventColumns(shard, findings)
        self.events = 0
        self.erased: list[tuple[int, int]] = []
        self.unbounded: tuple[int, str] | None = None

    def take(self, group: Group) -> None:
        """The rows of one segment."""
        self._missing_before(group.index)
        if self._at == len(self._expected) or self._expected[self._at].index != group.index:
            self._fail(group.index, f"{len(group.raws)} event rows, and no accepted segment stands at this index")
            return
        promise = self._expected[self._at]
        self._at += 1
        raws = group.raws
        leaves = leaf_hashes(raws)
        # The usual case in few steps: every position once, every stored leaf its event's, and the root the signed one.
        if (
            len(raws) == promise.count
            and group.positions == _ALL_POSITIONS[: promise.count]
            and b"".join(leaves) == group.leaves
            and root_of(leaves).hex() == promise.root
        ):
            self.events += len(raws)
        else:
            self._closer(promise, group)
            group = self._with_bytes(group)
        self._queue(group)

    def close(self) -> None:
        """No more rows."""
        self._missing_before(None)
        self._check_form()

    def _missing_before(self, index: int | None) -> None:
        while self._at < len(self._expected) and (index is None or self._expected[self._at].index < index):
            promise = self._expected[self._at]
            self._fail(promise.index, f"none of the segment's {counted(promise.count, 'event')} is there")
            self._at += 1

    def _closer(self, promise: Expected, group: Group) -> None:
        """What is wrong with a segment's rows, event by event."""
        rows: dict[int, tuple[bytes, bytes]] = {}
        for number, (position, raw) in enumerate(zip(group.positions, group.raws, strict=True)):
            row = (raw, group.leaves[HASH * number : HASH * (number + 1)])
            if rows.setdefault(position, row) != row:
                self._fail(promise.index, f"two rows that differ stand at position {position}")
        if extra := [position for position in rows if position >= promise.count]:
            self._fail(promise.index, f"the segment has {counted(promise.count, 'event')}, and there is a row at position {extra[0]}")
        if missing := [position for position in range(promise.count) if position not in rows]:
            self._fail(
                promise.index,
                f"{len(missing)} of {counted(promise.count, 'event')} missing, the first at position {missing[0]}",
            )
        self._check_leaves(promise, rows, whole=not missing)
        self.events += len(rows)

    def _with_bytes(self, group: Group) -> Group:
        """The rows that are not erased, those that repeat another as well: each row's columns may be other ones."""
        kept = []
        for at, raw in enumerate(group.raws):
            if raw:
                kept.append(at)
            else:
                self._columns.erased(group.index, group.positions[at], group.columns[at])
        # Leaves are checked by now.
        return Group(
            group.index, [group.positions[at] for at in kept], [group.raws[at] for at in kept], b"", [group.columns[at] for at in kept]
        )

    def _check_leaves(self, promise: Expected, rows: dict[int, tuple[bytes, bytes]], *, whole: bool) -> None:
        leaves: list[bytes] = []
        for position in sorted(rows):
            raw, stored = rows[position]
            if not raw:
                self.erased.append((promise.index, position))
                leaves.append(stored)
                continue
            [leaf] = leaf_hashes([raw])
            if leaf != stored:
                self._fail(promise.index, f"the stored leaf at position {position} is not the hash of the event's bytes")
            leaves.append(leaf)
        if whole and root_of(leaves[: promise.count]).hex() != promise.root:
            self._fail(promise.index, "the events do not fold to the root that the agent signed")

    def _queue(self, group: Group) -> None:
        """Section 2 is checked for many segments together."""
        self._waiting.append(group)
        self._events_waiting += len(group.raws)
        if self._events_waiting >= CHUNK:
            self._check_form()

    def _check_form(self) -> None:
        waiting, self._waiting, self._events_waiting = self._waiting, [], 0
        events, wrong = parse_each([raw for group in waiting for raw in group.raws])
        ends = list(accumulate(len(group.raws) for group in waiting))
        told = set()
        for number, reason, bounds_only in wrong:
            group = waiting[at := bisect_right(ends, number)]
            said = f"the segment was accepted, and its event {group.positions[number - ends[at]]} breaks the format: {reason}"
            if bounds_only:
                # The newest is kept: level 3 never ends once it holds.
                self.unbounded = group.index, said
            elif group.index not in told:
                told.add(group.index)
                self._fail(group.index, said)
        self._columns.take(waiting, events)

    def _fail(self, index: int, reason: str) -> None:
        self._findings.fail(STEP, self._shard, index, reason)

"""Step 4: seals. Epochs are contiguous, and what a seal says of the entries since the one before is so; offsets have no holes. Pure."""

from collections.abc import Iterable

from tallystick_schemas.entries import Entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.facts import parse_facts
from tallystick_schemas.headers import Generation, Kind, Seal, parse_header
from tallystick_schemas.state import Position

from .report import Findings

STEP = 4


class SealBook:
    """Takes a shard's entries in order, and counts what lies between its seals."""

    def __init__(self, shard: int, sealed_sizes: Iterable[int], findings: Findings) -> None:
        self._shard, self._findings = shard, findings
        self._sealed = frozenset(sealed_sizes)
        self._epoch, self._entries = -1, 0
        self._next, self._gap = 0, False
        """The next entry's index, and whether one is missing, or is none, since the newest seal: what was in it is not known."""
        self._first: Position | None = None
        self._last: Position | None = None
        self._generation, self._offset = 0, -1
        self.newest_time: str | None = None
        """The signed time of the newest seal."""
        self.newest_append_ms = 0

    def take(self, index: int, entry: Entry) -> None:
        """One entry."""
        behind_gap, self._next = index != self._next, index + 1
        self._gap = self._gap or behind_gap
        is_seal = entry.kind == Kind.SEAL and entry.verdict.accepted
        if index + 1 in self._sealed and not is_seal:
            self._fail(index, "a checkpoint was signed here, and the entry is not an accepted seal")
        self._check_offset(index, entry, behind_gap=behind_gap)
        if is_seal:
            self._seal(index, entry)
        else:
            self._entries += 1
            self._last = (entry.generation, entry.offset)
            self._first = self._first or self._last

    def _seal(self, index: int, entry: Entry) -> None:
        try:
            header, facts = parse_header(Kind.SEAL, entry.header), parse_facts(entry.facts)
        except ParseError as error:
            self._fail(index, str(error))
            return
        assert isinstance(header, Seal)
        if header.epoch > self._epoch + 1 and not self._gap:
            self._findings.incomplete(STEP, self._shard, index, f"the seals of epochs {self._epoch + 1} to {header.epoch - 1} are missing")
        elif header.epoch <= self._epoch:
            self._fail(index, f"the seal of epoch {header.epoch} follows the one of epoch {self._epoch}")
        counted = (header.epoch, self._entries, self._first, self._last)
        if not self._gap and (facts.epoch, facts.entries, facts.first, facts.last) != counted:
            self._fail(index, f"the seal counts {facts.entries} entries from {facts.first} to {facts.last}; there are {counted[1:]}")
        self._epoch = header.epoch
        self._entries, self._first, self._last, self._gap = 0, None, None, False
        self.newest_time, self.newest_append_ms = header.time, entry.append_ms

    def _check_offset(self, index: int, entry: Entry, *, behind_gap: bool) -> None:
        """An offset that was jumped over is a record of which the history says nothing."""
        expected = self._offset + 1
        if entry.kind == Kind.GENERATION and entry.verdict.accepted:
            self._check_generation(index, entry)
            # What came before the record of generation 0 is of generation 0 as well: only another topic begins anew.
            expected = 0 if entry.generation else expected
        if entry.offset > expected and not behind_gap:
            reason = f"offsets {expected} to {entry.offset - 1} of generation {entry.generation} have no entry"
            self._findings.incomplete(STEP, self._shard, index, reason)
        self._generation, self._offset = entry.generation, entry.offset

    def _check_generation(self, index: int, entry: Entry) -> None:
        try:
            header = parse_header(Kind.GENERATION, entry.header)
        except ParseError as error:
            self._fail(index, str(error))
            return
        assert isinstance(header, Generation)
        if header.last_index >= index:
            reason = f"when the topic was made anew the shard ended at {header.last_index}; the history has only {index} entries before it"
            self._findings.incomplete(STEP, self._shard, index, reason)

    def _fail(self, index: int, reason: str) -> None:
        self._findings.fail(STEP, self._shard, index, reason)

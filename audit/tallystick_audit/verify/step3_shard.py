"""Step 3: a shard's indexes are contiguous from 0, and leaf, chain and root are recomputed for every entry. Pure."""

from collections.abc import Sequence

from tallystick_schemas.checkpoints import Checkpoint
from tallystick_schemas.entries import Entry, entry_leaf, genesis_chain, next_chain, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.merkle import Frontier

from .kept import Kept, KeptChecks
from .report import Findings
from .source import StoredEntry

STEP = 3


class ShardLog:
    """Takes a shard's rows in order. After a failure it goes on with what is stored, so that one change is one failure."""

    def __init__(self, shard: int, origin: str, checkpoints: Sequence[Checkpoint], findings: Findings, kept: Sequence[Kept] = ()) -> None:
        self._shard, self._findings = shard, findings
        self._roots = {checkpoint.size: checkpoint.root for checkpoint in checkpoints}
        self._newest = checkpoints[-1] if checkpoints else None
        self._size = self._newest.size if self._newest else 0
        self._kept = KeptChecks(origin, kept, (STEP, shard), findings)
        self._tree = Frontier()
        self._kept.at(self._tree)
        self._chains = [genesis_chain(origin)]
        """Chain values that the next one may follow: the computed one, and after a mismatch the stored one as well."""
        self._last: StoredEntry | None = None
        self._next = 0
        self.whole = True
        """Whether every entry up to here is there."""

    def take(self, row: StoredEntry) -> Entry | None:
        """The entry of the next row, its leaf and chain checked; None for a row that repeats the one before or is no entry."""
        if self._last is not None and row.index == self._last.index:
            if row != self._last:
                self._fail(row.index, "two rows that differ stand at this index")
            return None
        if row.index != self._next:
            self._fail(self._next, f"entries {self._next} to {row.index - 1} are missing")
            self.whole = False
        leaf = entry_leaf(row.entry)
        if leaf != row.leaf:
            self._fail(row.index, "the stored leaf is not the hash of the entry")
        self._check_chain(row, leaf)
        self._check_root(row.index, leaf)
        self._last, self._next = row, row.index + 1
        return self._parse(row)

    def close(self) -> None:
        """No more rows: up to what was signed, none may be missing."""
        if self._next < self._size:
            self._fail(self._next, f"entries {self._next} to {self._size - 1} were signed and are missing: the shard was cut off")
            self.whole = False
        self._kept.close(self._newest, self._tree.size)

    def _check_chain(self, row: StoredEntry, leaf: bytes) -> None:
        following = [next_chain(chain, row.index, leaf) for chain in self._chains]
        if row.chain in following:
            self._chains = [row.chain]
            return
        if row.index == self._next:
            self._fail(row.index, "the chain value does not follow from the one before and the leaf")
        self._chains = [*following[:1], row.chain]

    def _check_root(self, index: int, leaf: bytes) -> None:
        """Against every signed checkpoint, until one fails: those after it fail for the same cause."""
        if not self.whole:
            return
        self._tree.append(leaf)
        self._kept.at(self._tree)
        signed = self._roots.get(self._tree.size)
        if signed is not None and signed != self._tree.root:
            self._fail(index, f"the first {self._tree.size} entries do not have the root that was signed for them")
            self._roots = {}

    def _parse(self, row: StoredEntry) -> Entry | None:
        try:
            entry = parse_entry(row.entry)
        except ParseError as error:
            self._fail(row.index, str(error))
            return None
        if entry.shard != self._shard:
            self._fail(row.index, f"the entry says that it belongs to shard {entry.shard}")
        return entry

    def _fail(self, index: int, reason: str) -> None:
        self._findings.fail(STEP, self._shard, index, reason)

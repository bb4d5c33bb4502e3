"""Step 2: the root log's tree, its topology, and each shard's checkpoint in it. Pure.

What it finds is what the rest is judged against: how far each shard is sealed, and every root that was signed for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tallystick_schemas.checkpoints import TOPOLOGY_PREFIX, Checkpoint, Topology, encode_topology, parse_checkpoint, parse_topology
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.notes import parse_note
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.words import counted

from .kept import Kept, KeptChecks, check_kept_roots
from .pinned import stranger_sealer
from .report import Aspect, Failure, Findings, Outcome
from .source import StoredCheckpoint, StoredLeaf
from .step1_root_note import note_of, open_stored, root_checkpoints

STEP = 2


@dataclass(frozen=True)
class SealedHistory:
    """What the newest root checkpoint vouches for: by shard, its checkpoints with sizes rising.

    `root` is the newest root checkpoint, `note` what was signed; None when no root checkpoint holds.
    """

    root: Checkpoint | None
    note: bytes | None
    shards: dict[int, list[Checkpoint]]
    checkpoints: int
    stranger: str = ""
    """Why nothing of it can be judged: no checkpoint is signed by a pinned key (`pinned.stranger_sealer`)."""
    hashes: Sequence[bytes] = ()
    """Leaf hashes of the root log, from 0 on, up to the first leaf that is missing."""

    @property
    def size(self) -> int | None:
        return self.root.size if self.root else None

    def sealed(self, shard: int) -> int:
        """Entries of the shard that can be judged."""
        known = self.shards.get(shard)
        return known[-1].size if known else 0


@dataclass
class _RootLog:
    log: LogSettings
    findings: Findings
    notes: dict[int, list[Checkpoint]] = field(default_factory=dict)

    def take(self, index: int, data: bytes) -> None:
        """One leaf within the newest root checkpoint."""
        try:
            if data.startswith(TOPOLOGY_PREFIX):
                self._topology(index, data)
            else:
                self._note(index, data)
        except (ParseError, VerificationError) as error:
            reason = error.reason if isinstance(error, VerificationError) else str(error)
            self.findings.fail(STEP, self.shard_of(data), index, f"leaf {index} of the root log: {reason}")

    def _topology(self, index: int, data: bytes) -> None:
        named = parse_topology(data).shards
        wanted = [self.log.origin(shard) for shard in range(self.log.shards)]
        if named != wanted:
            raise VerificationError(f"the topology names {len(named)} shards {named[:8]}, this deployment has {len(wanted)}: {wanted[:8]}")
        if index != 0:
            raise VerificationError("a topology record stands here, and not in the first leaf alone")
        if data != encode_topology(Topology(1, 0, wanted)):
            raise VerificationError("the topology record is of another generation than 0")

    def _note(self, index: int, data: bytes) -> None:
        if index == 0:
            raise VerificationError("a checkpoint stands before the topology record")
        shard = self.shard_of(data)
        if shard is None:
            raise VerificationError("it is a checkpoint of no shard of this deployment")
        claimed = parse_checkpoint(parse_note(data).text)
        checkpoint = open_stored(self.log, StoredCheckpoint(self.log.origin(shard), claimed.size, claimed.root, data), index + 1)
        known = self.notes.setdefault(shard, [])
        if known and checkpoint.size <= known[-1].size:
            raise VerificationError(f"the shard's checkpoint of {checkpoint.size} entries follows one of {known[-1].size}")
        known.append(checkpoint)

    def shard_of(self, data: bytes) -> int | None:
        origin = data.split(b"\n", 1)[0].decode("utf-8", "replace")
        origins = {self.log.origin(shard): shard for shard in range(self.log.shards)}
        return origins.get(origin)


def judge_root_log(
    log: LogSettings, rows: Sequence[StoredCheckpoint], leaves: Sequence[StoredLeaf], findings: Findings, kept: Sequence[Kept] = ()
) -> SealedHistory:
    """Steps 1 and 2. Leaves past the newest root checkpoint are a failure: whoever reads waits for a sealer that is between two inserts."""
    if stranger := stranger_sealer(log, rows, leaves):
        findings.fail(1, None, max((row.size for row in rows if row.origin == log.root_origin), default=None), stranger)
        for origin in sorted({one.checkpoint.origin for one in kept}):
            KeptChecks(origin, kept, (STEP, None), findings).close(None, 0)
        return SealedHistory(None, None, {}, 0, stranger)
    roots = root_checkpoints(log, [row for row in rows if row.origin == log.root_origin], findings)
    if not roots:
        _no_root(rows, leaves, findings)
    newest = roots[-1] if roots else None
    size = newest.size if newest else None
    whole = _contiguous(leaves, findings)
    hashes = [leaf_hash(leaf.data) for leaf in whole]
    _check_roots(roots, hashes, len(leaves), findings)
    checks = KeptChecks(log.root_origin, kept, (STEP, None), findings)
    check_kept_roots(checks, hashes, newest)
    judged = _RootLog(log, findings)
    for leaf in whole[: size or 0]:
        judged.take(leaf.index, leaf.data)
    if size is not None and len(whole) > size:
        findings.fail(
            STEP,
            judged.shard_of(whole[size].data),
            size,
            f"leaves {size} to {len(whole) - 1} of the root log are under no root checkpoint",
        )
    _check_rows(log, rows, whole, findings)
    for shard in range(log.shards):
        if roots and shard not in judged.notes:
            findings.incomplete(STEP, shard, None, "the root log holds no checkpoint of this shard yet", Outcome.UNKNOWN)
    note = note_of(newest, rows, log) if newest else None
    return SealedHistory(newest, note, judged.notes, len(roots) + sum(map(len, judged.notes.values())), hashes=hashes)


def leaf_hashes_of(leaves: Sequence[StoredLeaf]) -> list[bytes]:
    """Hashes of leaves 0, 1, 2, … up to the first that is missing, of leaves that steps 1 and 2 did not judge."""
    return [leaf_hash(leaf.data) for leaf in _contiguous(leaves, Findings())]


def _no_root(rows: Sequence[StoredCheckpoint], leaves: Sequence[StoredLeaf], findings: Findings) -> None:
    """Nothing vouches for anything. Where there is something that a root checkpoint was signed over, it was deleted."""
    findings.incomplete(1, None, None, "no root checkpoint holds: nothing vouches for this history", Outcome.UNKNOWN)
    notes = [leaf for leaf in leaves if not leaf.data.startswith(TOPOLOGY_PREFIX)]
    if notes or rows:
        there = f"the root log has {counted(len(notes), 'checkpoint')}, the table of checkpoints {counted(len(rows), 'row')}"
        findings.fail(1, None, None, f"{there}, and no root checkpoint holds: those that were signed are gone")
        return
    reason = "no checkpoint is there: nothing was sealed yet, or all that was signed was deleted"
    findings.add(Failure(1, None, None, reason, Aspect.INTEGRITY, Outcome.UNKNOWN))


def _contiguous(leaves: Sequence[StoredLeaf], findings: Findings) -> list[StoredLeaf]:
    """Leaves 0, 1, 2, … up to the first that is missing. Rows that agree are one."""
    whole: list[StoredLeaf] = []
    for leaf in leaves:
        if whole and leaf.index == whole[-1].index:
            if leaf != whole[-1]:
                findings.fail(STEP, None, leaf.index, f"two different leaves stand at {leaf.index} of the root log")
        elif leaf.index == len(whole):
            whole.append(leaf)
        else:
            findings.fail(STEP, None, len(whole), f"leaves {len(whole)} to {leaf.index - 1} of the root log are missing")
            break
    return whole


def _check_roots(roots: Sequence[Checkpoint], hashes: Sequence[bytes], stored: int, findings: Findings) -> None:
    """The tree over the leaves has every root that was signed for it."""
    tree = Frontier()
    for checkpoint in roots:
        if checkpoint.size > len(hashes):
            if len(hashes) == stored:
                reason = f"leaves {len(hashes)} to {checkpoint.size - 1} of the root log are missing: it was cut off"
                findings.fail(STEP, None, len(hashes), reason)
            return
        tree.extend(hashes[tree.size : checkpoint.size])
        if tree.root != checkpoint.root:
            reason = f"the first {checkpoint.size} leaves of the root log do not have the root that was signed"
            findings.fail(STEP, None, checkpoint.size - 1, reason)
            return


def _check_rows(log: LogSettings, rows: Sequence[StoredCheckpoint], leaves: Sequence[StoredLeaf], findings: Findings) -> None:
    """Table `checkpoints` holds the shards' notes a second time: each is a leaf, and each leaf is there."""
    in_log = {leaf.data for leaf in leaves if not leaf.data.startswith(TOPOLOGY_PREFIX)}
    origins = {log.origin(shard): shard for shard in range(log.shards)} | {log.root_origin: None}
    for row in rows:
        shard = origins.get(row.origin)
        if row.origin == log.root_origin:
            continue
        if row.origin not in origins:
            findings.fail(STEP, None, row.size, f"a checkpoint of {row.origin!r}, which is no log of this deployment")
            continue
        try:
            open_stored(log, row)
        except VerificationError as error:
            findings.fail(STEP, shard, row.size, f"the checkpoint of {row.size} entries: {error.reason}")
            continue
        if row.note not in in_log:
            findings.fail(STEP, shard, row.size, f"the checkpoint of {row.size} entries is not a leaf of the root log")
    in_table = {row.note for row in rows}
    for leaf in leaves:
        if leaf.data in in_log and leaf.data not in in_table:
            shard = origins.get(leaf.data.split(b"\n", 1)[0].decode("utf-8", "replace"))
            reason = f"the checkpoint in leaf {leaf.index} of the root log is missing from the table of checkpoints"
            findings.fail(STEP, shard, leaf.index, reason)

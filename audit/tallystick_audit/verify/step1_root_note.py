"""Step 1: the root checkpoint is signed by a pinned sealer key. (Witnesses' quorum is not judged here.) Pure."""

from collections.abc import Sequence
from itertools import groupby

from tallystick_schemas.checkpoints import Checkpoint, open_checkpoint, verifiers_of
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.settings import LogSettings

from .report import Findings
from .source import StoredCheckpoint

STEP = 1


def open_stored(log: LogSettings, row: StoredCheckpoint, leaves: int = 0) -> Checkpoint:
    """The checkpoint that was signed; VerificationError when its note does not hold or the columns beside it say something else.

    `leaves`: of the root log, when a shard's checkpoint was signed; a key that ended before is not believed. A root checkpoint's size says it itself.
    """
    try:
        verifiers = verifiers_of(log, row.origin, row.size if row.origin == log.root_origin else leaves)
        checkpoint = open_checkpoint(row.note, verifiers, row.origin)
    except ParseError as error:
        raise VerificationError(str(error)) from error
    if (checkpoint.size, checkpoint.root) != (row.size, row.root):
        raise VerificationError(f"the row says size {row.size}, the signed note {checkpoint.size}, or their roots differ")
    return checkpoint


def root_checkpoints(log: LogSettings, rows: Sequence[StoredCheckpoint], findings: Findings) -> list[Checkpoint]:
    """Every root checkpoint that holds, sizes rising. Two of one size that differ are a failure: the sealer told two stories."""
    good: list[Checkpoint] = []
    for row in rows:
        try:
            good.append(open_stored(log, row))
        except VerificationError as error:
            findings.fail(STEP, None, row.size, f"the root checkpoint of size {row.size}: {error.reason}")
    return distinct(good, None, findings)


def note_of(checkpoint: Checkpoint, rows: Sequence[StoredCheckpoint], log: LogSettings) -> bytes | None:
    """The signed note of a checkpoint that holds; a row that says the same and is not signed is none."""
    for row in rows:
        if (row.origin, row.size, row.root) == checkpoint:
            try:
                open_stored(log, row)
            except VerificationError:
                continue  # told by whoever judged the row
            return row.note
    return None


def distinct(checkpoints: Sequence[Checkpoint], shard: int | None, findings: Findings) -> list[Checkpoint]:
    """One checkpoint a size, rising; a failure where two of one size are signed and differ."""
    kept: list[Checkpoint] = []
    for size, group in groupby(sorted(checkpoints, key=lambda c: c.size), key=lambda c: c.size):
        roots = list(dict.fromkeys(group))
        if len(roots) > 1:
            findings.fail(STEP if shard is None else 2, shard, size, f"{len(roots)} different checkpoints of size {size} are signed")
        kept.append(roots[0])
    return kept

"""How much of its disk a spool leaves free: SQLite needs room to forget as well as to keep, and one that has none never gets any.

What is written goes to the log (WAL) first and into the file at the next checkpoint. A log that grew to the disk's end could do neither any more.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = 16_384
_LOG: Final = 16 << 20
_SHARE: Final = 16
_LEAST_LOG: Final = 8 * PAGE
_AROUND_A_RECORD: Final = 2
_AROUND_A_COMMIT: Final = 4
_TO_FORGET: Final = 8
"""Pages that taking confirmed segments out may need in the log."""


@dataclass(frozen=True)
class Room:
    """Bytes. `total` 0: the file system does not say, and nothing is held back; `log`: the log's file, which is written anew; `spare`: unused in the file."""

    total: int
    free: int
    log: int
    spare: int

    def missing(self, sizes: Sequence[int]) -> int:
        """What the disk lacks to take records of these sizes, and to forget them later; 0 when there is enough."""
        if not self.total:
            return 0
        taken = PAGE * (sum(-(-size // PAGE) + _AROUND_A_RECORD for size in sizes) + _AROUND_A_COMMIT)
        limit = log_limit(self.total)
        log_grows = max(0, limit + taken + _TO_FORGET * PAGE - self.log)
        # All of the log may be new to the file: a reader, of another process perhaps, holds up the checkpoint.
        file_grows = max(0, max(limit, self.log) + taken - self.spare)
        return max(0, log_grows + file_grows - self.free)


def log_limit(total: int) -> int:
    """Bytes of the log after which it goes into the file: a log of 16 MiB is one checkpoint for several commits, and a small disk has no room for that."""
    return min(_LOG, max(_LEAST_LOG, total // _SHARE)) if total else _LOG


def disk_total(directory: Path) -> int:
    """Bytes of the disk that the directory is on."""
    facts = os.statvfs(directory)
    return facts.f_blocks * facts.f_frsize


def room_of(database: Path, spare: int) -> Room:
    """As it is now. What only root may use counts for root."""
    facts = os.statvfs(database.parent)
    log = database.with_name(f"{database.name}-wal")
    left = facts.f_bfree if os.geteuid() == 0 else facts.f_bavail
    return Room(facts.f_blocks * facts.f_frsize, left * facts.f_frsize, log.stat().st_size if log.exists() else 0, spare)

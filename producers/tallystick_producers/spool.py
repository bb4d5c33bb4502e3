"""The spool: signed segments on disk until the history confirms them. SQLite in WAL mode, synchronous=FULL, one transaction a group.

One directory an agent, shared by its processes. Each run holds a lock file while its process lives; whoever can take the lock of
another run's file knows that its process is dead, and sends what it left.
"""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tallystick_schemas.segments import SignedSegment, new_run

from .errors import SpoolFailed

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (source TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    run TEXT NOT NULL, n INTEGER NOT NULL, count INTEGER NOT NULL, size INTEGER NOT NULL,
    aside INTEGER, record BLOB NOT NULL, PRIMARY KEY (run, n)) WITHOUT ROWID;
"""


class Waiting(NamedTuple):
    """A segment that the history has not confirmed. `size` in bytes."""

    run: str
    n: int
    size: int


class Spool:
    """One connection to an agent's spool. Not shared between threads: each thread opens its own."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory
        self.path = directory / "spool.sqlite"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.executescript(_SCHEMA)
            self.path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(str(directory), str(error)) from error

    def close(self) -> None:
        self._db.close()

    def begin_run(self, clock_ms: int, random8: bytes) -> str:
        """A run id that sorts after every earlier one, also when the clock went back."""
        self._db.execute("BEGIN IMMEDIATE")
        last = self._db.execute("SELECT value FROM meta WHERE name = 'start'").fetchone()
        start = max(clock_ms, last[0] + 1 if last else 0)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('start', ?)", (start,))
        self._db.execute("COMMIT")
        return new_run(start, random8)

    def put(self, run: str, segments: Sequence[SignedSegment], places: dict[str, str]) -> None:
        """All or nothing, and on disk on return. SpoolFailed when the disk does not take it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            rows = [(run, s.n, s.count, len(s.record), s.record) for s in segments]
            self._db.executemany("INSERT INTO segments (run, n, count, size, record) VALUES (?, ?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO places VALUES (?, ?)", list(places.items()))
            # If we crash here, nothing was promised: the events are lost with the linger, and a collector reads its lines again.
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise SpoolFailed(str(self.path), str(error)) from error

    def has(self, run: str, n: int) -> bool:
        """Whether a segment is there: after a failure, did it get in all the same?"""
        return self._db.execute("SELECT 1 FROM segments WHERE run = ? AND n = ?", (run, n)).fetchone() is not None

    def record(self, run: str, n: int) -> bytes | None:
        """The bytes to send; None when it is confirmed by now."""
        row = self._db.execute("SELECT record FROM segments WHERE run = ? AND n = ?", (run, n)).fetchone()
        return row[0] if row else None

    def waiting(self, run: str) -> list[Waiting]:
        """Unconfirmed segments of a run, in order; what was set aside is not among them."""
        rows = self._db.execute("SELECT run, n, size FROM segments WHERE run = ? AND aside IS NULL ORDER BY n", (run,))
        return [Waiting(*row) for row in rows]

    def runs(self) -> list[str]:
        """Runs that still have segments to send, the oldest first."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT run FROM segments WHERE aside IS NULL ORDER BY run")]

    def finish(self, freed: Sequence[tuple[str, int]], aside: Sequence[tuple[str, int, int]]) -> None:
        """Confirmed segments go; (run, n, verdict) refused for good are kept aside. A crash before it only sends them once more."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM segments WHERE run = ? AND n = ?", freed)
        self._db.executemany("UPDATE segments SET aside = ? WHERE run = ? AND n = ?", [(verdict, run, n) for run, n, verdict in aside])
        self._db.execute("COMMIT")

    def place(self, source: str) -> str | None:
        """Where a collector stands in a source."""
        row = self._db.execute("SELECT place FROM places WHERE source = ?", (source,)).fetchone()
        return row[0] if row else None

    def usage(self) -> tuple[int, int]:
        """(bytes that wait, segments set aside)."""
        row = self._db.execute("SELECT coalesce(sum(CASE WHEN aside IS NULL THEN size END), 0), count(aside) FROM segments").fetchone()
        return row[0], row[1]


class RunLock:
    """Held as long as the process that owns a run lives."""

    def __init__(self, directory: Path, run: str) -> None:
        self._path = directory / f"{run}.run"
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> bool:
        """Whether nobody else holds it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self, *, remove: bool = False) -> None:
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)

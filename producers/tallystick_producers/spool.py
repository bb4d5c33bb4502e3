"""The spool: signed segments on disk until the history confirms them. SQLite in WAL mode, synchronous=FULL, one transaction a group.

One directory an agent, shared by its processes. `id` is the order of the spool; `aside` the verdict of a segment that was refused for good.
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tallystick_schemas.segments import SignedSegment, new_run

from .database import Database
from .disk_room import PAGE, room_of
from .errors import SpoolFailed
from .runlock import RunLock

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, key TEXT NOT NULL, pid INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (source TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, n INTEGER NOT NULL, count INTEGER NOT NULL, size INTEGER NOT NULL,
    aside INTEGER, record BLOB NOT NULL, UNIQUE (run, n));
INSERT OR IGNORE INTO meta VALUES ('held', 0);
"""


class Waiting(NamedTuple):
    """A segment that the history has not confirmed. `size` in bytes."""

    run: str
    n: int
    size: int


class Spool:
    """An agent's spool as one process sees it: one connection that writes, one that reads. Every error is SpoolFailed."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory
        self.path = directory / "spool.sqlite"
        self._write = Database(self.path, _SCHEMA, durable=durable)
        self._read = Database(self.path, _SCHEMA, durable=durable)
        self.held = 0
        """Bytes in the spool, of all processes, refused segments included: as of our last change or `look`."""
        self.look()

    def close(self) -> None:
        self._read.close()
        self._write.close()

    def look(self) -> int:
        """Bytes in the spool now, also those of other processes."""
        with self._read.use() as db:
            self.held = _held(db)
        return self.held

    def begin_run(self, clock_ms: int, random8: bytes, key: str) -> tuple[str, RunLock]:
        """A run id that sorts after every earlier one, also when the clock went back, and its lock. `key`: the id of the key that signs it."""
        with self._write.transaction() as db:
            last = db.execute("SELECT value FROM meta WHERE name = 'start'").fetchone()
            start = max(clock_ms, last[0] + 1 if last else 0)
            run = new_run(start, random8)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('start', ?)", (start,))
            db.execute("INSERT INTO runs VALUES (?, ?, ?)", (run, key, os.getpid()))
            # Locked before anybody can see it: a run without a lock is a dead one.
            lock = RunLock(self.directory, run)
            lock.take()
        return run, lock

    def end_run(self, run: str) -> bool:
        """Forget a run whose process is gone and that has nothing left to send; whether that was so."""
        with self._write.transaction(durable=False) as db:
            left = db.execute("SELECT 1 FROM segments WHERE run = ? AND aside IS NULL LIMIT 1", (run,)).fetchone()
            if left is None:
                db.execute("DELETE FROM runs WHERE run = ?", (run,))
        return left is None

    def put(self, run: str, segments: Sequence[SignedSegment], places: Mapping[str, str]) -> None:
        """All or nothing, and on disk on return. SpoolFailed also while what is confirmed later could not be taken out again."""
        rows = [(run, s.n, s.count, len(s.record), s.record) for s in segments]
        if (trouble := self.no_room([row[3] for row in rows])) is not None:
            raise trouble
        with self._write.transaction() as db:
            db.executemany("INSERT INTO segments (run, n, count, size, record) VALUES (?, ?, ?, ?, ?)", rows)
            if places:
                db.executemany("INSERT OR REPLACE INTO places VALUES (?, ?)", list(places.items()))
            held = _add_held(db, sum(row[3] for row in rows))
            # If we crash here, nothing was promised: the events are lost with the linger, and a collector reads its lines again.
        # If we crash here, the segments are sent by the next start, under this run.
        self.held = held

    def no_room(self, sizes: Sequence[int] = ()) -> SpoolFailed | None:
        """Why the disk takes no records of these sizes now; None when it does."""
        with self._write.use() as db:
            room = room_of(self.path, db.execute("PRAGMA freelist_count").fetchone()[0] * PAGE)
        missing = room.missing(sizes)
        said = f"its disk is full: {room.free:,} bytes are left, {missing:,} too few to take it and to take it out once it is confirmed"
        return SpoolFailed(str(self.path), said) if missing else None

    def finish(self, freed: Sequence[tuple[str, int]], aside: Sequence[tuple[str, int, int]]) -> None:
        """Confirmed segments go; (run, n, verdict) refused for good are kept aside. A crash before it only sends them once more."""
        with self._write.transaction(durable=False) as db:
            gone = 0
            for place in freed:
                row = db.execute("SELECT size FROM segments WHERE run = ? AND n = ?", place).fetchone()
                gone += row[0] if row else 0
            db.executemany("DELETE FROM segments WHERE run = ? AND n = ?", freed)
            db.executemany("UPDATE segments SET aside = ? WHERE run = ? AND n = ?", [(verdict, run, n) for run, n, verdict in aside])
            held = _add_held(db, -gone)
        self.held = held

    def has(self, run: str, n: int) -> bool:
        """Whether a segment is there: after a failure, did it get in all the same?"""
        with self._write.use() as db:
            return db.execute("SELECT 1 FROM segments WHERE run = ? AND n = ?", (run, n)).fetchone() is not None

    def record(self, run: str, n: int) -> bytes | None:
        """The bytes to send; None when it is confirmed by now."""
        with self._read.use() as db:
            row = db.execute("SELECT record FROM segments WHERE run = ? AND n = ?", (run, n)).fetchone()
        return row[0] if row else None

    def unconfirmed(self) -> list[bytes]:
        """Every segment that the history has not confirmed, of all runs, in the order in which they were written; refused ones are not among them."""
        with self._read.use() as db:
            return [row[0] for row in db.execute("SELECT record FROM segments WHERE aside IS NULL ORDER BY id")]

    def waiting(self, run: str, after: int = -1, limit: int = -1) -> list[Waiting]:
        """Unconfirmed segments of a run with numbers above `after`, in order; what was set aside is not among them. -1: no limit."""
        query = "SELECT run, n, size FROM segments WHERE run = ? AND n > ? AND aside IS NULL ORDER BY n LIMIT ?"
        with self._read.use() as db:
            return [Waiting(*row) for row in db.execute(query, (run, after, limit))]

    def runs(self) -> list[tuple[str, str]]:
        """(run, id of its key) of the runs that are not ended, the oldest first."""
        with self._read.use() as db:
            return [(run, key) for run, key in db.execute("SELECT run, key FROM runs ORDER BY run")]

    def left(self, run: str) -> tuple[int, int]:
        """(segments, bytes) of a run that wait."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM segments WHERE run = ? AND aside IS NULL"
        with self._read.use() as db:
            row = db.execute(query, (run,)).fetchone()
        return row[0], row[1]

    def place(self, source: str) -> str | None:
        """Where a collector stands in a source."""
        with self._read.use() as db:
            row = db.execute("SELECT place FROM places WHERE source = ?", (source,)).fetchone()
        return row[0] if row else None

    def usage(self) -> tuple[int, int]:
        """(bytes that wait, segments set aside)."""
        with self._read.use() as db:
            row = db.execute("SELECT coalesce(sum(CASE WHEN aside IS NULL THEN size END), 0), count(aside) FROM segments").fetchone()
        return row[0], row[1]


def _held(db: sqlite3.Connection) -> int:
    held: int = db.execute("SELECT value FROM meta WHERE name = 'held'").fetchone()[0]
    return held


def _add_held(db: sqlite3.Connection, size: int) -> int:
    db.execute("UPDATE meta SET value = value + ? WHERE name = 'held'", (size,))
    return _held(db)

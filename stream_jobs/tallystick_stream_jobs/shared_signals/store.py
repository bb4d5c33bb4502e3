"""What must outlive the process, in one SQLite file: streams, subjects, tokens that wait, how far `decisions` was read, which jti were heard.

Thread-safe; every method is one transaction. Claims wait unsigned, and are signed when they go: what waited over a rotation has a key that is shown.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from .errors import StateBroken
from .sets import Claims
from .streams import Stream

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS streams (id TEXT PRIMARY KEY, receiver TEXT NOT NULL, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS subjects (stream TEXT NOT NULL, subject TEXT NOT NULL, wanted INTEGER NOT NULL, PRIMARY KEY (stream, subject)) STRICT;
CREATE TABLE IF NOT EXISTS pending (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, jti TEXT NOT NULL, claims BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', UNIQUE (stream, jti)) STRICT;
CREATE INDEX IF NOT EXISTS pending_order ON pending (stream, seq);
CREATE TABLE IF NOT EXISTS told (stream TEXT NOT NULL, jti TEXT NOT NULL, at REAL NOT NULL, error TEXT NOT NULL, PRIMARY KEY (stream, jti)) STRICT;
CREATE INDEX IF NOT EXISTS told_at ON told (at);
CREATE TABLE IF NOT EXISTS heard (iss TEXT NOT NULL, jti TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (iss, jti)) STRICT;
CREATE INDEX IF NOT EXISTS heard_at ON heard (at);
CREATE TABLE IF NOT EXISTS position (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT;
"""


class Waiting(NamedTuple):
    """One token that was not taken yet."""

    jti: str
    claims: Claims
    attempts: int
    next_at: float
    error: str


def _put(db: sqlite3.Connection, stream: Stream) -> None:
    db.execute(
        "INSERT INTO streams (id, receiver, value) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value",
        (stream.id, stream.receiver, msgspec.json.encode(stream)),
    )


class Store:
    """The file is made (mode 0600) when there is none."""

    def __init__(self, path: Path) -> None:
        self._path, self._guard = path, threading.RLock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise StateBroken(path, str(error)) from error

    def close(self) -> None:
        with self._guard:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise StateBroken(self._path, str(error)) from error

    def _rows(self, query: str, *parameters: Any) -> list[Any]:
        with self._guard:
            try:
                return self._db.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                raise StateBroken(self._path, str(error)) from error

    # Streams

    def streams(self, receiver: str | None = None) -> list[Stream]:
        """All of them, or a receiver's; oldest first."""
        rows = self._rows("SELECT value FROM streams WHERE ? IS NULL OR receiver = ? ORDER BY rowid", receiver, receiver)
        return [msgspec.json.decode(value, type=Stream) for (value,) in rows]

    def stream(self, stream_id: str) -> Stream | None:
        rows = self._rows("SELECT value FROM streams WHERE id = ?", stream_id)
        return msgspec.json.decode(rows[0][0], type=Stream) if rows else None

    def put_stream(self, stream: Stream) -> None:
        """A new one, or in place of what was."""
        with self._transaction() as db:
            _put(db, stream)

    def change_stream(self, stream_id: str, change: Callable[[Stream], Stream], *, clear: bool = False) -> Stream | None:
        """What `change` makes of it, in one step; None when it is gone. `clear`: nothing waits for it any more."""
        with self._transaction() as db:
            row = db.execute("SELECT value FROM streams WHERE id = ?", (stream_id,)).fetchone()
            if row is None:
                return None
            changed = change(msgspec.json.decode(row[0], type=Stream))
            _put(db, changed)
            if clear:
                db.execute("DELETE FROM pending WHERE stream = ?", (stream_id,))
            return changed

    def drop_stream(self, stream_id: str) -> None:
        """With all that belongs to it."""
        with self._transaction() as db:
            for table, column in (("streams", "id"), ("subjects", "stream"), ("pending", "stream"), ("told", "stream")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (stream_id,))  # noqa: S608 - names from the line above

    # Subjects

    def want(self, stream_id: str, subject: str, *, wanted: bool, limit: int) -> bool:
        """Add or remove a subject; False when the stream has `limit` of them."""
        with self._transaction() as db:
            (count,) = db.execute("SELECT count(*) FROM subjects WHERE stream = ? AND subject != ?", (stream_id, subject)).fetchone()
            if count >= limit:
                return False
            db.execute(
                "INSERT INTO subjects VALUES (?, ?, ?) ON CONFLICT (stream, subject) DO UPDATE SET wanted = excluded.wanted",
                (stream_id, subject, int(wanted)),
            )
            return True

    def wants(self, stream_id: str, subject: str, *, default: bool) -> bool:
        """Whether the stream is told about a subject."""
        rows = self._rows("SELECT wanted FROM subjects WHERE stream = ? AND subject = ?", stream_id, subject)
        return bool(rows[0][0]) if rows else default

    # Tokens that wait

    def enqueue(self, items: Iterable[tuple[str, Claims]], position: tuple[str, int] | None = None) -> list[str]:
        """Claims for streams, each jti once for ever, and in the same transaction how far a topic was read. The jti that were new."""
        added = []
        with self._transaction() as db:
            for stream, claims in items:
                known = db.execute("SELECT 1 FROM told WHERE stream = ? AND jti = ?", (stream, claims["jti"])).fetchone()
                if known is None:
                    done = db.execute(
                        "INSERT OR IGNORE INTO pending (stream, jti, claims) VALUES (?, ?, ?)",
                        (stream, claims["jti"], msgspec.json.encode(claims)),
                    )
                    added += [claims["jti"]] if done.rowcount else []
            if position is not None:
                db.execute("INSERT INTO position VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET next = excluded.next", position)
        return added

    def waiting(self, stream_id: str, limit: int) -> list[Waiting]:
        """The oldest first."""
        rows = self._rows(
            "SELECT jti, claims, attempts, next_at, error FROM pending WHERE stream = ? ORDER BY seq LIMIT ?", stream_id, limit
        )
        return [Waiting(jti, msgspec.json.decode(claims), attempts, at, error) for jti, claims, attempts, at, error in rows]

    def count_waiting(self, stream_id: str) -> int:
        return int(self._rows("SELECT count(*) FROM pending WHERE stream = ?", stream_id)[0][0])

    def put_off(self, stream_id: str, jti: str, attempts: int, next_at: float, error: str) -> None:
        """It did not work; the next try is due at `next_at`."""
        with self._transaction() as db:
            db.execute(
                "UPDATE pending SET attempts = ?, next_at = ?, error = ? WHERE stream = ? AND jti = ?",
                (attempts, next_at, error, stream_id, jti),
            )

    def finish(self, stream_id: str, jtis: Iterable[str], now: float, error: str = "") -> list[Claims]:
        """Taken, or refused for good with `error`; what was known and waited. An unknown jti changes nothing."""
        done = []
        with self._transaction() as db:
            for jti in jtis:
                row = db.execute("DELETE FROM pending WHERE stream = ? AND jti = ? RETURNING claims", (stream_id, jti)).fetchone()
                if row is not None:
                    db.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?)", (stream_id, jti, now, error))
                    done.append(msgspec.json.decode(row[0]))
        return done

    def outcome(self, stream_id: str, jti: str) -> str | None:
        """What became of a token: "" taken, a sentence for refused, None while it waits or is unknown."""
        rows = self._rows("SELECT error FROM told WHERE stream = ? AND jti = ?", stream_id, jti)
        return str(rows[0][0]) if rows else None

    def tally(self, stream_id: str) -> dict[str, int]:
        """How many were taken and refused, of those that are remembered."""
        rows = self._rows("SELECT error = '', count(*) FROM told WHERE stream = ? GROUP BY 1", stream_id)
        counts = {bool(taken): int(count) for taken, count in rows}
        return {"taken": counts.get(True, 0), "refused": counts.get(False, 0)}

    # What was read and heard

    def position(self, topic: str) -> int | None:
        rows = self._rows("SELECT next FROM position WHERE topic = ?", topic)
        return int(rows[0][0]) if rows else None

    def heard(self, iss: str, jti: str) -> bool:
        return bool(self._rows("SELECT 1 FROM heard WHERE iss = ? AND jti = ?", iss, jti))

    def count_heard(self, iss: str) -> int:
        return int(self._rows("SELECT count(*) FROM heard WHERE iss = ?", iss)[0][0])

    def hear(self, iss: str, jti: str, now: float) -> None:
        """From now on this token is a repeat."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO heard VALUES (?, ?, ?)", (iss, jti, now))

    def forget(self, before: float) -> None:
        """What was told and heard before `before` is remembered no longer."""
        with self._transaction() as db:
            db.execute("DELETE FROM told WHERE at < ?", (before,))
            db.execute("DELETE FROM heard WHERE at < ?", (before,))

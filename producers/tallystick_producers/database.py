"""A connection to one SQLite file that opens when it is used, rests during forks, and turns every trouble into SpoolFailed."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .disk_room import PAGE, disk_total, log_limit
from .errors import SpoolFailed
from .forking import rest_for_forks

_BUSY_S: Final = 10


class Database:
    """Thread-safe: one user at a time. After an error it is closed, so that the next user starts from what the disk holds."""

    def __init__(self, path: Path, schema: str, *, durable: bool) -> None:
        self.path = path
        self._schema, self._durable = schema, durable
        self._gate = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._file = (0, 0)
        rest_for_forks(self)

    def close(self) -> None:
        with self._gate, contextlib.suppress(sqlite3.Error):
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def rest(self) -> None:
        """Before a fork: no transaction runs, and nothing is open."""
        self._gate.acquire()
        self.close()

    def go_on(self) -> None:
        self._gate.release()

    @contextlib.contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection, to read."""
        with self._gate:
            try:
                if self._db is None:
                    self._db = self._open()
                elif _identity(self.path) != self._file:
                    # SQLite would go on writing to a file that no longer has a name.
                    raise SpoolFailed(str(self.path), "the file was removed or exchanged while it was in use")
                yield self._db
            except BaseException as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    self._make_room()
                self.close()
                if isinstance(error, OSError | sqlite3.Error):
                    raise SpoolFailed(str(self.path), str(error)) from error
                raise

    def _make_room(self) -> None:
        """Bring the log into the file: on a full disk no commit gets as far as doing so, and the next one writes the log from its beginning."""
        with contextlib.suppress(sqlite3.Error):  # the disk may be too full for that as well; what failed is told already
            if self._db is not None:
                self._db.rollback()
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk at the end; not `durable`: on disk with the next one that is."""
        with self.use() as db:
            if not durable:
                db.execute("PRAGMA synchronous=NORMAL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
            if not durable and self._durable:
                db.execute("PRAGMA synchronous=FULL")

    def _open(self) -> sqlite3.Connection:
        _make_directory(self.path.parent)
        db = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self.path.chmod(0o600)
            limit = log_limit(disk_total(self.path.parent))
            # Segments have up to 256 KiB: large pages take half the time.
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA wal_autocheckpoint={limit // PAGE}")
            db.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            db.execute(f"PRAGMA journal_size_limit={limit}")
            db.executescript(f"BEGIN IMMEDIATE; {self._schema} COMMIT;")
            self._file = _identity(self.path)
        except BaseException:
            db.close()
            raise
        return db


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - at every use, and cheaper than Path.stat
    return found.st_dev, found.st_ino


def _make_directory(directory: Path) -> None:
    """The directory, and its name on disk: a power cut must not take away the way to what was committed."""
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(directory.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

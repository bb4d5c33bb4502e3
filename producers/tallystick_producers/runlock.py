"""Who owns a run: each holds the lock of a file while its process lives, so whoever can take the lock knows that the process is dead."""

import contextlib
import fcntl
import os
from pathlib import Path

from .errors import SpoolFailed


class RunLock:
    """flock(2) on `<run>.run` in the spool's directory. It belongs to this open file, so two recorders of one process exclude each other too."""

    def __init__(self, directory: Path, run: str) -> None:
        self._path = directory / f"{run}.run"
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether nobody else holds it."""
        while True:
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise SpoolFailed(str(self._path), str(error)) from error
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                return False
            with contextlib.suppress(OSError):
                if os.fstat(handle).st_ino == self._path.stat().st_ino:
                    self._handle = handle
                    return True
            os.close(handle)  # the last owner removed the file between our open and our lock: that lock would exclude nobody

    def close(self, *, remove: bool = False) -> None:
        """Give it back; `remove` when the run is ended."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(handle)

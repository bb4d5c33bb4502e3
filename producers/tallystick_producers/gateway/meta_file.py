"""`tallystick.json` on disk: read with every look at its repository; a mistake in it is logged once a state of the file."""

import logging
import os
import stat
import threading
from pathlib import Path
from typing import Final

from .errors import RepoMetaError
from .repo_meta import MAX_META_BYTES, RepoMeta, parse_meta

logger: Final = logging.getLogger("tallystick.gateway")
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # non-blocking: a FIFO must not hang the thread that opens it
_Mark = tuple[int, ...]


def read_meta(path: Path) -> RepoMeta:
    """The owner's words, none where there is no file; RepoMetaError, which names the file, when it is there and cannot be used."""
    try:
        return parse_meta(_bytes(path))
    except FileNotFoundError as error:
        if not os.path.lexists(path):
            return RepoMeta()
        raise RepoMetaError(f"{path} cannot be read: it is a link to nowhere") from error
    except OSError as error:
        raise RepoMetaError(f"{path} cannot be read: {error.strerror}") from error
    except RepoMetaError as error:
        told = RepoMetaError(f"{path} cannot be used: {error}")
        told.hides = error.hides
        raise told from error


def _bytes(path: Path) -> bytes:
    """The content, and one byte more than is allowed where there is more."""
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RepoMetaError("it is not a regular file")
        return file.read(MAX_META_BYTES + 1)


class MetaFaults:
    """What was logged about which file. Looks come from several threads, and one state of a file is told once."""

    def __init__(self) -> None:
        self._told: dict[Path, tuple[_Mark, str]] = {}
        self._lock = threading.Lock()

    def tell(self, path: Path, fault: str) -> None:
        """Log the fault unless it was; log too that it is gone. `fault` is empty where there is none."""
        with self._lock:
            before = self._told.get(path)
            if not fault:
                if self._told.pop(path, None) is not None:
                    logger.warning("%s has no mistake any more: its repository is open to whom it names", path)
                return
            self._told[path] = now = (_mark(path), fault)
        if now != before:
            logger.warning("%s; its repository is closed for everybody until it is mended", fault)


def _mark(path: Path) -> _Mark:
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns

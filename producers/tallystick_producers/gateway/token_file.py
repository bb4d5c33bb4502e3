"""The token file on disk: read when it changes, refused while others could read or write it."""

import logging
import os
import stat
from pathlib import Path
from typing import Final

from .errors import TokenFileError
from .tokens import TokenBook, parse_tokens

logger: Final = logging.getLogger("tallystick.gateway")
_LOOK_EVERY_S: Final = 0.5
_Mark = tuple[int, int, int, int]


def read_tokens(path: Path) -> TokenBook:
    """The book in `path`, or TokenFileError with what to do."""
    return _read(path)[0]


def _read(path: Path) -> tuple[TokenBook, _Mark]:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            _check_private(path, facts)
            return parse_tokens(file.read(), path.name), _mark(facts)
    except OSError as error:
        raise TokenFileError(f"token file {path} cannot be read: {error.strerror}") from error


def _check_private(path: Path, facts: os.stat_result) -> None:
    if stat.S_IMODE(facts.st_mode) & 0o077:
        raise TokenFileError(f"token file {path} is open to other users (mode {stat.S_IMODE(facts.st_mode):04o}); run: chmod 600 {path}")
    if facts.st_uid not in (os.geteuid(), 0):
        raise TokenFileError(f"token file {path} belongs to another user (uid {facts.st_uid})")


def _mark(facts: os.stat_result) -> _Mark:
    # ctime too: a chmod that opens the file to others changes nothing else.
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


class TokenFile:
    """The newest good book. A file that turns bad keeps the last good book and a problem to show; a file that is gone lets nobody in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book: TokenBook
        self._seen: _Mark | None
        self._book, self._seen = _read(path)
        self._next_look = 0.0
        self.problem: str | None = None

    def book(self, mono: float) -> TokenBook:
        """The book in force; looks at the file at most twice a second."""
        if mono >= self._next_look:
            self._next_look = mono + _LOOK_EVERY_S
            self._look()
        return self._book

    def _look(self) -> None:
        try:
            mark: _Mark | None = _mark(self._path.stat())
        except OSError:
            mark = None
        if mark != self._seen:
            self._reload(mark)

    def _reload(self, mark: _Mark | None) -> None:
        try:
            # A deleted file is an operator's way to say "nobody"; a half-written or wrong one is a mistake that must not end everybody's work.
            self._book, self._seen = (TokenBook({}), None) if mark is None else _read(self._path)
            self.problem = None if mark else f"token file {self._path} is gone: nobody is let in"
        except TokenFileError as error:
            self._seen, self.problem = mark, f"{error}; the tokens of before stay in force"
        logger.warning("tokens read again: %d valid lines%s", len(self._book), f"; {self.problem}" if self.problem else "")

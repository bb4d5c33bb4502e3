"""The token file on disk: read when it changes, refused while others could read or write it."""

import logging
import os
from pathlib import Path
from typing import Final

from ..private_file import open_to_others
from .errors import TokenFileError
from .tokens import TokenBook, parse_tokens

logger: Final = logging.getLogger("tallystick.gateway")
_LOOK_EVERY_S: Final = 0.5
_FAULTS_SHOWN: Final = 5
_Mark = tuple[int, int, int, int]


def read_tokens(path: Path) -> TokenBook:
    """The book in `path`, or TokenFileError with what to do where the file as a whole cannot be used."""
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
    if (trouble := open_to_others(path, facts)) is not None:
        raise TokenFileError(f"token file {path} {trouble}")
    if facts.st_uid not in (os.geteuid(), 0):
        raise TokenFileError(f"token file {path} belongs to another user (uid {facts.st_uid})")


def _mark(facts: os.stat_result) -> _Mark:
    # ctime too: a chmod that opens the file to others changes nothing else.
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _problem(book: TokenBook) -> str | None:
    """The first faults; a file full of them must not fill the log."""
    more = len(book.faults) - _FAULTS_SHOWN
    return ("; ".join(book.faults[:_FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")) or None


class TokenFile:
    """The newest book. A bad line lets nobody in and is a problem to show; the other lines count.

    A file that cannot be read at all keeps the book of before, with a problem; a file that is gone lets nobody in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._book: TokenBook
        self._seen: _Mark | None
        self._book, self._seen = _read(path)
        self._next_look = 0.0
        self.problem = _problem(self._book)
        if self.problem:
            logger.warning("tokens read: %d valid lines; %s", len(self._book), self.problem)

    def book(self, mono: float) -> TokenBook:
        """The book in force; looks at the file at most twice a second."""
        if mono >= self._next_look:
            self._next_look = mono + _LOOK_EVERY_S
            self._look()
        return self._book

    def newest(self) -> TokenBook:
        """The book of now, for whom half a second is many bytes."""
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
            # A deleted file is an operator's way to say "nobody"; one with the wrong mode is a mistake that must not end everybody's work.
            self._book, self._seen = (TokenBook({}), None) if mark is None else _read(self._path)
            self.problem = _problem(self._book) if mark else f"token file {self._path} is gone: nobody is let in"
        except TokenFileError as error:
            self._seen, self.problem = mark, f"{error}; the tokens of before stay in force"
        logger.warning("tokens read again: %d valid lines%s", len(self._book), f"; {self.problem}" if self.problem else "")

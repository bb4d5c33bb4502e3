"""The sealer's kept notes: every leaf and root note that it signed, one line a round, only ever appended to. On disk before anybody else has them."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tallystick_schemas.checkpoints import TOPOLOGY_PREFIX, Checkpoint
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.merkle import Frontier

from ..errors import SealerStateBroken
from .core import LogState
from .rounds import Base, Notes, Round, follow

log = logging.getLogger(__name__)
MAX_LINE: Final = 64 << 20
"""Bytes of one line: a note of the greatest size for each of a thousand shards."""
_decoder = msgspec.json.Decoder(Base | Round)


class KeptNotes:
    """The file, its whole tree computed again as it is opened. Whoever opens it to write holds the sealer's lock (`StateFile`); others do not `mend`."""

    def __init__(self, path: Path, notes: Notes, *, mend: bool = True) -> None:
        self.path, self._notes = path, notes
        self.frontier = Frontier()
        self.end: Checkpoint | None = None
        """The newest root checkpoint; None before the first round."""
        self.shards: dict[str, bytes] = {}
        """The newest note of each shard, by origin."""
        if mend:
            self._cut_torn_line()
        last: Round | None = None
        for line in self.lines():
            self._take(line)
            last = line if isinstance(line, Round) else last
        if last is not None:
            # Over everything before it: the others' signatures need no look of their own.
            self.end = notes.open_root(last.note.encode())
            if self.end is None:
                raise SealerStateBroken(path, "its newest note is not signed by this deployment's sealer")

    @property
    def size(self) -> int:
        return self.frontier.size

    def lines(self) -> Iterator[Base | Round]:
        """Every line in order, one in memory at a time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            yield from _lines(self.path, file)

    def begin_at(self, known: LogState) -> None:
        """What was signed before `known` is lost here: keep what comes after it."""
        self._append([Base(known.size, known.hashes)])

    def append(self, rounds: Sequence[Round]) -> None:
        """Rounds that go on from the end; those that are kept already are passed over. Durable on return; SealerStateBroken where they part."""
        known = [one for one in rounds if one.end <= self.size]
        if known and (known[-1].end < self.size or self._notes.open_root(known[-1].note.encode()) != self.end):
            raise SealerStateBroken(
                self.path, f"it holds a root log of {self.size} leaves, and round {known[-1].first} does not lead there"
            )
        if fresh := [one for one in rounds if one.end > self.size]:
            self._append(fresh)
            self.end = self._notes.open_root(fresh[-1].note.encode())

    def _append(self, lines: Sequence[Base | Round]) -> None:
        for line in lines:
            self._take(line)
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "ab", closefd=False) as file:
                file.write(data)
            # If we crash before this, the state still has the rounds as pending, and a line that is cut off goes at the next start.
            os.fsync(handle)
        finally:
            os.close(handle)

    def _take(self, line: Base | Round) -> None:
        try:
            if isinstance(line, Base):
                self.frontier, self.shards = Frontier(line.size, line.hashes), {}
                return
            follow(self.frontier, line)
        except (ParseError, VerificationError) as error:
            raise SealerStateBroken(self.path, str(error)) from error
        for leaf in line.leaves:
            if not leaf.startswith(TOPOLOGY_PREFIX.decode()):
                self.shards[leaf.split("\n", 1)[0]] = leaf.encode()

    def _cut_torn_line(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            keep = _whole_lines(file, size)
            if keep < size:
                log.warning("%s: its last line was cut off by a crash and is written again", self.path)
                file.truncate(keep)
                os.fsync(file.fileno())


def _whole_lines(file: BinaryIO, size: int) -> int:
    """Bytes up to the last newline, read from the end."""
    end = size
    while end:
        begin = max(0, end - 65_536)
        file.seek(begin)
        at = file.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def _lines(path: Path, file: BinaryIO) -> Iterator[Base | Round]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) <= MAX_LINE and not line.endswith(b"\n"):
            return  # being written, or cut off
        try:
            if len(line) > MAX_LINE:
                raise ParseError(f"it has more than {MAX_LINE} bytes")
            yield _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ParseError) as error:
            raise SealerStateBroken(path, f"line {number}: {error}") from error

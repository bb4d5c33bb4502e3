"""Logs into the spool, each line exactly once: events and the place that follows them are one transaction of the spool."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from tallystick_schemas.encoding import digest

from ..errors import InvalidEvent, LineRefused, SourceUnreadable
from . import cloudtrail
from .fields import Encode, LogEvent, encode
from .formats import LogFormat, Parse
from .places import Place, Recording, Trail, follow, next_line, read_place, write_place
from .rejected import Refusal, RejectedFile
from .rotation import earlier_names, rotated
from .sources import BROKEN, Opened, expand, is_archive, open_members, open_source

log: Final = logging.getLogger(__name__)
BATCH: Final = 2000
MAX_LINE: Final = 1 << 20
MAX_DOCUMENT: Final = 1 << 28
MAX_NAMED: Final = 1000
"""Refused lines that a report names; all are counted, and kept in the file beside the spool."""

Progress = Callable[[str, int], None]
"""Called with a source's file and how many of its bytes on disk are read."""


@dataclass
class Report:
    """What was done. `read` counts lines (records of a document), `unreadable` the sources that could not be read to their end."""

    read: int = 0
    recorded: int = 0
    refused: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def count(self, events: int, refusals: Sequence[Refusal]) -> None:
        self.read += events + len(refusals)
        self.recorded += events
        self.refused += len(refusals)
        room = max(0, MAX_NAMED - len(self.skipped))
        self.skipped += [{"place": one.place, "reason": one.reason} for one in refusals[:room]]

    def broken(self, place: str, reason: str) -> None:
        self.unreadable.append({"place": place, "reason": reason})


class Collector:
    """Reads sources of one format through one recorder. `collect` is a pass over them; call it again to see what was added."""

    def __init__(
        self, log_format: LogFormat, recorder: Recording, encoder: Encode, rejected: RejectedFile, progress: Progress | None = None
    ) -> None:
        self._format = log_format
        self._recorder = recorder
        self._encode = encoder
        self._rejected = rejected
        self._progress = progress
        self._seen: dict[Path, tuple[int, int, int]] = {}
        self.report = Report()

    def collect(self, patterns: Sequence[str]) -> Report:
        """One pass; what could not be read is in the report, and stops nothing else. Errors of the recorder are raised."""
        for path in expand(patterns, self._format.suffixes):
            try:
                if self._changed(path):
                    self._path(path)
            except SourceUnreadable as error:
                self._seen.pop(path, None)
                self.report.broken(error.source, error.reason)
        return self.report

    def _changed(self, path: Path) -> bool:
        """Whether it may have grown since the last pass: a pass over what did not is nothing but work."""
        try:
            status = path.stat()
        except OSError as error:
            raise SourceUnreadable(str(path), error.strerror or str(error)) from error
        now = (status.st_ino, status.st_size, status.st_mtime_ns)
        before, self._seen[path] = self._seen.get(path), now
        return before != now

    def _path(self, path: Path) -> None:
        if is_archive(path):
            for member in open_members(path, self._format.suffixes):
                try:
                    self._source(member, [member.name])
                except SourceUnreadable as error:
                    self._seen.pop(path, None)  # also the next pass has to say so
                    self.report.broken(error.source, error.reason)
            return
        if not self._format.document:
            self._predecessors(path)
        with open_source(path) as opened:
            self._source(opened, [str(name) for name in earlier_names(path)])

    def _predecessors(self, path: Path) -> None:
        """What `path` was when we left it is finished first, wherever it was moved, and what came between is read too.

        It also gets a place under its new name, before the place of `path` is forgotten.
        """
        left = read_place(self._recorder.place(str(path)))
        if left is None or self._is(path, left):
            return
        older = rotated(path)
        first = next((at for at, one in enumerate(older) if self._is(one, left)), len(older))
        if first == len(older):
            log.warning(
                "%s is not the file that was read up to byte %d, and no rotated file is: read from its beginning", path, left.offset
            )
        for one in older[first:]:
            try:
                self._path(one)
            except SourceUnreadable as error:
                self.report.broken(error.source, error.reason)

    @staticmethod
    def _is(path: Path, left: Place) -> bool:
        try:
            with open_source(path) as opened:
                return follow(opened.stream, left) is not None
        except (*BROKEN, SourceUnreadable):
            return False

    def _source(self, opened: Opened, names: Iterable[str]) -> None:
        try:
            if self._format.document:
                self._document(opened)
            else:
                self._lines(opened, names)
        except BROKEN as error:
            raise SourceUnreadable(opened.name, str(error) or type(error).__name__) from error

    def _resume(self, opened: Opened, names: Iterable[str]) -> Trail:
        """The furthest of the places that are this file's; the stream stands there. It is kept under the file's name if it had another."""
        places = [(place, name) for name in names if (place := read_place(self._recorder.place(name))) is not None]
        for place, name in sorted(places, key=lambda one: (one[0].offset, one[1] == opened.name), reverse=True):
            opened.stream.seek(0)
            if (trail := follow(opened.stream, place)) is not None:
                if name != opened.name:
                    self._commit(opened, place, [], [])
                return trail
        opened.stream.seek(0)
        return Trail()

    def _lines(self, opened: Opened, names: Iterable[str]) -> None:
        trail = self._resume(opened, names)
        parse = self._parser(opened, trail)
        if parse is None:
            return
        more = True
        while more:
            events: list[bytes] = []
            refusals: list[Refusal] = []
            start = trail.offset
            try:
                while more and len(events) + len(refusals) < BATCH:
                    line = next_line(opened.stream, MAX_LINE)
                    more = line.ended or (opened.whole and line.size > 0)
                    if more:
                        trail.add(line)
                        self._one(parse, line.raw, line.size, f"{opened.name}:{trail.line}", events, refusals)
            finally:  # where the file breaks, what came before it is good
                if trail.offset > start:
                    self._commit(opened, trail.place(opened.device, opened.inode), events, refusals)
                    self._tell(opened)

    def _parser(self, opened: Opened, trail: Trail) -> Parse | None:
        """The parser of this file's lines; None while its header is not yet whole. The stream stands where the trail ends."""
        if not self._format.header:
            return self._format.parser(b"")
        opened.stream.seek(0)
        header = next_line(opened.stream, MAX_LINE)
        if not header.ended:
            return None
        try:
            parse = self._format.parser(header.raw)
        except LineRefused as error:
            raise SourceUnreadable(opened.name, str(error)) from error
        if trail.offset:
            opened.stream.seek(trail.offset)
        else:
            trail.add(header)
        return parse

    def _one(
        self, parse: Callable[[Any], LogEvent], raw: bytes, size: int, place: str, events: list[bytes], refusals: list[Refusal]
    ) -> None:
        """A line's event, or why it has none."""
        if not raw.strip():
            return
        try:
            if size > len(raw):
                raise LineRefused(f"the line has {size} bytes, at most {MAX_LINE} are read")
            events.append(encode(parse(raw), self._encode))
        except (LineRefused, InvalidEvent) as error:
            refusals.append(Refusal(place, str(error), raw))

    def _document(self, opened: Opened) -> None:
        """A file that is one unit. While it cannot be read as a whole, nothing of it is recorded, and the next pass tries again."""
        content = opened.stream.read(MAX_DOCUMENT + 1)
        if len(content) > MAX_DOCUMENT:
            raise SourceUnreadable(opened.name, f"it has more than {MAX_DOCUMENT} bytes")
        try:
            items = cloudtrail.records(content)
        except LineRefused as error:
            raise SourceUnreadable(opened.name, str(error)) from error
        known = hashlib.sha256(content).hexdigest()
        left = read_place(self._recorder.place(opened.name))
        # A file with a record a line may have grown: what it began with is done.
        begun = left is not None and left.head == hashlib.sha256(content[: left.offset]).hexdigest()
        done = left.line if left is not None and begun else 0
        while done < len(items):
            events: list[bytes] = []
            refusals: list[Refusal] = []
            for item in items[done : done + BATCH]:
                done += 1
                raw = msgspec.json.encode(item)
                self._one(lambda _, one=item: cloudtrail.parse(one), raw, len(raw), f"{opened.name}#{done}", events, refusals)  # type: ignore[misc] # bound early
            self._commit(opened, Place(opened.device, opened.inode, len(content), done, known, digest(b"").hex()), events, refusals)
        self._tell(opened)

    def _commit(self, opened: Opened, place: Place, events: list[bytes], refusals: list[Refusal]) -> None:
        self._rejected.add(refusals)
        # If we crash here, the refused lines are kept twice: the good ones are read again, for none of them is in the spool.
        self._recorder.record_batch_at(opened.name, write_place(place), events)
        # If we crash here, all is done: the next pass begins behind this batch.
        self.report.count(len(events), refusals)

    def _tell(self, opened: Opened) -> None:
        if self._progress is not None:
            self._progress(opened.name.partition("!")[0], opened.raw.tell())

"""A log with the columns of EDGAR's, as events by principal. Rows become events by the collectors' own mapping, never by a twin of it."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from tallystick_producers.collectors import LogEvent, load_mapping
from tallystick_producers.collectors.csv_rows import CsvRows
from tallystick_producers.collectors.fields import Encode, encode, wire
from tallystick_producers.encoding import Encoder
from tallystick_producers.errors import InvalidEvent, LineRefused
from tallystick_schemas.events import Actor
from tallystick_stream_jobs.detectors.facts import Fact, make_fact
from tallystick_stream_jobs.detectors.reading import decode_event

from ..errors import EvaluationRefused

DAY_S: Final = 86_400
LOW: Final = 500
"""Requests a day: who makes more is a harvester, everybody else an ordinary user (the convention of the EDGAR set)."""
MAX_ROWS: Final = 5_000_000
"""About 300 bytes of memory each."""
MAX_REFUSED: Final = 0.1
_MAX_LINE: Final = 1 << 16
Progress = Callable[[int], None]
"""Called with how many bytes of the file on disk are read."""


class Row(NamedTuple):
    """One request: seconds since 1970, and its line."""

    time: float
    line: bytes


@dataclass
class Log:
    """Requests by principal, each principal's in the order of time. `refused`: rows that are no events, the first reason with its place."""

    path: Path
    parse: Callable[[bytes], LogEvent]
    people: dict[str, list[Row]] = field(default_factory=dict)
    rows: int = 0
    refused: int = 0
    reason: str = ""
    _encode: Encode = field(default_factory=lambda: cast(Encode, Encoder().encode))

    @property
    def start(self) -> float:
        """Midnight (UTC) before the first request."""
        return min(rows[0].time for rows in self.people.values()) // DAY_S * DAY_S

    @property
    def days(self) -> int:
        """Days from the first midnight to the last request, begun ones included."""
        last = max(rows[-1].time for rows in self.people.values())
        return int((last - self.start) // DAY_S) + 1

    def users(self) -> list[str]:
        """Who makes at most `LOW` requests a day, in a fixed order."""
        return sorted(name for name, rows in self.people.items() if len(rows) <= LOW * self.days)

    def harvesters(self) -> list[str]:
        """Everybody else, in a fixed order."""
        return sorted(name for name, rows in self.people.items() if len(rows) > LOW * self.days)

    def facts(self, principal: str, rows: Sequence[Row]) -> list[Fact]:
        """The rows as verified events of a principal, at the rows' times: what the detectors would be given."""
        return [self._fact(principal, row, at) for at, row in enumerate(rows)]

    def _fact(self, principal: str, row: Row, at: int) -> Fact:
        given = self.parse(row.line)
        actor = Actor(principal, given.actor.kind)
        raw = encode(replace(given, time=wire(datetime.fromtimestamp(row.time, UTC)), actor=actor), self._encode)
        return make_fact(decode_event(raw), int(row.time * 1000), (0, at, 0), raw=raw)


def part_of(principal: str) -> int:
    """0: thresholds are frozen on these principals; 1: results are reported on these. By BLAKE2b, so that it is the same for everybody."""
    return blake2b(principal.encode("utf-8", "replace"), digest_size=8).digest()[0] & 1


def read_log(path: Path, progress: Progress | None = None) -> Log:
    """The log; EvaluationRefused names the file and what is wrong: a column that is missing, or too many rows that are no events."""
    with _opened(path) as (stream, raw):
        log = Log(path, _parser(path, stream))
        for number, line in enumerate(_lines(stream, path), 2):
            _take(log, line, number)
            if progress is not None and not number % 5000:
                progress(raw.tell())
    if not log.people or log.refused > MAX_REFUSED * (log.rows + log.refused):
        raise EvaluationRefused(path, f"{log.refused} of {log.rows + log.refused} rows are no events; {log.reason or 'there are no rows'}")
    for rows in log.people.values():
        rows.sort(key=lambda row: row.time)
    return log


def _take(log: Log, line: bytes, number: int) -> None:
    if not line.strip():
        return
    try:
        event = log.parse(line)
        # The bounds of the record format hold here as they do for a collector.
        encode(event, log._encode)
    except (LineRefused, InvalidEvent) as error:
        log.refused += 1
        log.reason = log.reason or f"line {number}: {error}"
        return
    log.rows += 1
    if log.rows > MAX_ROWS:
        raise EvaluationRefused(log.path, f"it has more than {MAX_ROWS:,} rows; give it a sample of principals")
    log.people.setdefault(event.actor.principal, []).append(Row(datetime.fromisoformat(event.time).timestamp(), line))


def _parser(path: Path, stream: IO[bytes]) -> CsvRows:
    try:
        return CsvRows(load_mapping("edgar"), stream.readline(_MAX_LINE))
    except LineRefused as error:
        raise EvaluationRefused(path, str(error)) from error
    except _BROKEN as error:
        raise EvaluationRefused(path, f"it cannot be read: {error}") from error


def _lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        while line := stream.readline(_MAX_LINE):
            yield line
    except _BROKEN as error:
        raise EvaluationRefused(path, f"it cannot be read to its end: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """(the text's bytes, the file on disk)."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise EvaluationRefused(path, error.strerror or str(error)) from error
        yield (cast(IO[bytes], stack.enter_context(gzip.open(raw, "rb"))) if path.name.lower().endswith(".gz") else raw), raw


_BROKEN: Final = (OSError, EOFError, zlib.error)

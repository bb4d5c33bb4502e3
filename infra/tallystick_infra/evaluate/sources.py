"""Whole logs of any format as events, through the collectors' own parsers: attack sets and sets in which nothing happened."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from tallystick_producers.collectors import LogEvent, LogFormat, cloudtrail, load_mapping, log_format
from tallystick_producers.collectors.fields import Encode, encode
from tallystick_producers.collectors.sources import BROKEN, Opened, expand, is_archive, open_members, open_source
from tallystick_producers.encoding import Encoder
from tallystick_producers.errors import InvalidEvent, LineRefused, MappingUnusable, SourceUnreadable
from tallystick_stream_jobs.detectors.facts import Fact, make_fact
from tallystick_stream_jobs.detectors.reading import decode_event

from ..errors import EvaluationRefused

MAX_EVENTS: Final = 1_000_000
_MAX_DOCUMENT: Final = 1 << 28
_MAX_LINE: Final = 1 << 20


@dataclass(frozen=True)
class Sourced:
    """An event with the file that it stood in, and the user agent that the log told."""

    file: str
    fact: Fact
    user_agent: str


def read_source(path: Path, form: LogFormat) -> list[Sourced]:
    """Every event of a file, folder or archive, in the order of time. EvaluationRefused when there is none, or too many."""
    encoder = cast(Encode, Encoder().encode)
    found: list[tuple[str, LogEvent, bytes]] = []
    refused, reason = 0, "there are no events"
    for name, parse in _events(path, form):
        try:
            event = parse()
            found.append((name, event, encode(event, encoder)))
        except (LineRefused, InvalidEvent) as error:
            refused, reason = refused + 1, f"{Path(name).name}: {error}"
        if len(found) > MAX_EVENTS:
            raise EvaluationRefused(path, f"it has more than {MAX_EVENTS:,} events")
    if not found:
        raise EvaluationRefused(path, f"{refused} of {refused} events cannot be read; {reason}")
    found.sort(key=lambda one: one[1].time)
    return [_sourced(at, *one) for at, one in enumerate(found)]


def by_principal(sourced: list[Sourced]) -> dict[str, list[Fact]]:
    """Events by who did them."""
    people: defaultdict[str, list[Fact]] = defaultdict(list)
    for one in sourced:
        people[one.fact.event.actor.principal].append(one.fact)
    return dict(people)


def format_named(text: str) -> LogFormat:
    """`combined`, `csv:MAPPING`, … as the command line has it; ValueError says what is wrong."""
    name, _, mapping = text.partition(":")
    try:
        return log_format(name, load_mapping(mapping) if mapping else None)
    except MappingUnusable as error:
        raise ValueError(str(error)) from error


def _sourced(at: int, name: str, event: LogEvent, raw: bytes) -> Sourced:
    moment = datetime.fromisoformat(event.time).timestamp()
    agent = event.source.user_agent if event.source else None
    return Sourced(Path(name.rpartition("!")[2]).name, make_fact(decode_event(raw), int(moment * 1000), (0, at, 0), raw=raw), agent or "")


def _events(path: Path, form: LogFormat) -> Iterator[tuple[str, Callable[[], LogEvent]]]:
    try:
        for one in expand([str(path)], form.suffixes):
            for opened in _opened(one, form):
                yield from _document(opened) if form.document else _lines(opened, form)
    except (*BROKEN, SourceUnreadable, LineRefused) as error:
        raise EvaluationRefused(path, str(error)) from error


def _opened(path: Path, form: LogFormat) -> Iterator[Opened]:
    if is_archive(path):
        yield from open_members(path, form.suffixes)
        return
    with open_source(path) as opened:
        yield opened


def _document(opened: Opened) -> Iterator[tuple[str, Callable[[], LogEvent]]]:
    for record in cloudtrail.records(opened.stream.read(_MAX_DOCUMENT)):
        yield opened.name, lambda one=record: cloudtrail.parse(one)  # type: ignore[misc] # bound early


def _lines(opened: Opened, form: LogFormat) -> Iterator[tuple[str, Callable[[], LogEvent]]]:
    parse = form.parser(opened.stream.readline(_MAX_LINE) if form.header else b"")
    while line := opened.stream.readline(_MAX_LINE):
        if line.strip():
            yield opened.name, lambda one=line: parse(one)  # type: ignore[misc] # bound early

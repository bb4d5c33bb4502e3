"""The accepted segments among rows of a shard's ledger."""

from collections.abc import Iterable, Iterator

from tallystick_schemas.entries import parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header

from .source import StoredEntry


def accepted_segments(rows: Iterable[StoredEntry]) -> Iterator[tuple[int, SegmentHeader, bytes]]:
    """(index, header, header's bytes) of each; a row that is no entry is passed over, since steps 3 and 5 tell of it."""
    for row in rows:
        try:
            entry = parse_entry(row.entry)
            if entry.kind == Kind.SEGMENT and entry.verdict.accepted:
                header = parse_header(Kind.SEGMENT, entry.header)
                assert isinstance(header, SegmentHeader)
                yield row.index, header, entry.header
        except ParseError:
            continue

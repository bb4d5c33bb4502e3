"""The formats by the names that the command line uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..errors import MappingUnusable
from . import combined, s3_access
from .csv_rows import CsvRows
from .fields import LogEvent
from .json_lines import JsonLines
from .mapping import RowMapping

Parse = Callable[[bytes], LogEvent]
NAMES: Final = ("cloudtrail", "s3", "combined", "jsonl", "csv")
MAPPED: Final = ("jsonl", "csv")


@dataclass(frozen=True)
class LogFormat:
    """How to read a file: as one document, or line by line, perhaps below a header. `suffixes`: what counts in directories and archives."""

    name: str
    suffixes: tuple[str, ...]
    document: bool
    header: bool
    parser: Callable[[bytes], Parse]
    """From the header line (b"" without one) to the parser of lines; LineRefused when the header is not usable."""


def log_format(name: str, mapping: RowMapping | None = None) -> LogFormat:
    """A format by its name; MappingUnusable when it needs a mapping and has none."""
    if name in MAPPED and mapping is None:
        raise MappingUnusable("(none)", f"the format {name} needs one")
    match name, mapping:
        case "cloudtrail", _:
            return LogFormat(name, (".json",), True, False, _no_lines)
        case "s3", _:
            return LogFormat(name, (), False, False, lambda _: s3_access.parse)
        case "combined", _:
            return LogFormat(name, (), False, False, lambda _: combined.parse)
        case "jsonl", RowMapping() as rows:
            return LogFormat(name, (".jsonl", ".ndjson", ".json", ".log"), False, False, lambda _: JsonLines(rows))
        case "csv", RowMapping() as rows:
            return LogFormat(name, (".csv",), False, True, lambda header: CsvRows(rows, header))
    raise ValueError(f"{name!r} is not one of {', '.join(NAMES)}")


def _no_lines(header: bytes) -> Parse:
    raise ValueError("a document has no lines", header)

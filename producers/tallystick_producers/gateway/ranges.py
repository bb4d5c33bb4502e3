"""Byte ranges (RFC 9110, section 14): which bytes of a file a request asks for. Pure."""

import re
from typing import Final, NamedTuple

from .errors import GatewayError

MAX_RANGES: Final = 16
MAX_SPECS: Final = 64
"""Before those that overlap are joined, for which each is compared with all others."""
_SPEC: Final = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)


class Span(NamedTuple):
    """Bytes of a file: start included, end not."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start

    def header(self, size: int) -> str:
        """The Content-Range value of this span in a file of `size` bytes (section 14.4: the last byte is included there)."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class RangeRefused(GatewayError):
    """No byte of what was asked for exists, or it is asked for in too many pieces (section 14.2 lets a server refuse those)."""


def parse_range(header: str | None, size: int) -> list[Span] | None:
    """The spans that a Range header asks for, in its order, overlapping ones joined; None where the header is absent or to be ignored (14.2).

    Raises RangeRefused.
    """
    if header is None:
        return None
    unit, equals, specs = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    matches = [_SPEC.fullmatch(spec.strip()) for spec in specs.split(",") if spec.strip()]
    if not matches or not all(match and match[0] != "-" for match in matches):
        return None
    if len(matches) > MAX_SPECS:
        raise RangeRefused(f"more than {MAX_SPECS} ranges in one request; ask for fewer at a time")
    bounds = [(match[1], match[2]) for match in matches if match]
    if any(first and last and int(first) > int(last) for first, last in bounds):
        return None  # 14.1.1: such a specifier is invalid, and the header with it
    spans = [span for first, last in bounds if (span := _span(first, last, size)).length > 0]
    return _bounded(_joined(spans))


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(max(0, size - int(last)), size)
    return Span(int(first), min(size, int(last) + 1) if last else size)


def _joined(spans: list[Span]) -> list[Span]:
    """Spans that overlap or touch become one, so that nobody gets a file several times over in one answer (RFC 9110, 17.15)."""
    joined: list[Span] = []
    for span in spans:
        touching = [other for other in joined if span.start <= other.end and other.start <= span.end]
        joined = [other for other in joined if other not in touching]
        joined.append(Span(min(s.start for s in (*touching, span)), max(s.end for s in (*touching, span))))
    return joined


def _bounded(spans: list[Span]) -> list[Span]:
    if not spans:
        raise RangeRefused("none of the requested bytes exist")
    if len(spans) > MAX_RANGES:
        raise RangeRefused(f"more than {MAX_RANGES} ranges in one request; ask for fewer at a time")
    return spans

"""Counts and figures in sentences for people: one record, two records; and what several sentences say alike."""

from typing import Final

LET_IT_GO_ON: Final = "let its process go on if it was stopped, or start it again"
"""The mend for a part that takes connections and says nothing."""


def noun(count: int, one: str, many: str | None = None) -> str:
    """The noun alone, as `count` asks for it; `many` where an s is not enough."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 record`, `2,000 records`, `1 entry` (with `many`: entries)."""
    return f"{count:,} {noun(count, one, many)}"


def figure(value: float) -> str:
    """A measured value in full: 0.9, 40, 50,335,900. Never 5.03359e+07."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"

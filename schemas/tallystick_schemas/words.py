"""Counts in sentences for people: one record, two records."""


def noun(count: int, one: str, many: str | None = None) -> str:
    """The noun alone, as `count` asks for it; `many` where an s is not enough."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 record`, `2,000 records`, `1 entry` (with `many`: entries)."""
    return f"{count:,} {noun(count, one, many)}"

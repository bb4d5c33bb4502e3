"""Times of the wire as seconds, in one place. A time that no calendar has is no time (SPEC section 2 lets it into events, nothing that acts takes it)."""

from datetime import datetime

from .errors import ParseError
from .events import TIME_PATTERN


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a wire time; ParseError for another form, and for a day that does not exist."""
    if not TIME_PATTERN.fullmatch(text):
        raise ParseError(f"{text[:40]!r} is not YYYY-MM-DDThh:mm:ss.ffffffZ")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise ParseError(f"no such time: {text}") from error


def is_time(text: str) -> bool:
    """Whether `seconds_of` takes it."""
    try:
        seconds_of(text)
    except ParseError:
        return False
    return True

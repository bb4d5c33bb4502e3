"""Section 2's checks over many events at once: one call into the decoder for hundreds of events instead of one each. Pure.

What a notary and a verifier do with every event. Only a fast way to say yes: whatever it does not accept goes to `parse_event`, which
decides. Why its yes is sound: the events are joined by newlines, of which they hold none themselves; decoding the lines and encoding them
again gives the same bytes, so each line is its event's one form, and neither a duplicate key, a lone surrogate nor deep nesting can hide
in it (SPEC section 2).
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from .errors import ParseError
from .events import MAX_EVENT_BYTES, TIME_PATTERN, Event, is_day, parse_event
from .vocabulary import ACTIONS

CHUNK: Final = 512
"""Events that are checked together: their bytes should stay in the processor's cache."""
_decode: Final = msgspec.json.Decoder(Event).decode_lines
_encode: Final = msgspec.json.Encoder().encode_lines
_TIMES: Final = re.compile(f"(?:{TIME_PATTERN.pattern}\n)*", re.ASCII)
_SALTS: Final = re.compile("(?:[A-Za-z0-9_-]{21}[AQgw]\n)*", re.ASCII)
_TIME_LINE, _SALT_LINE = 28, 23


def first_malformed(raws: Sequence[bytes], *, bounded: bool = False) -> tuple[int, str] | None:
    """(position, reason) of the first event that breaks section 2, or None. `bounded` as for `parse_event`."""
    for start in range(0, len(raws), CHUNK):
        chunk = raws[start : start + CHUNK]
        if parse_together(chunk, bounded=bounded) is None:
            found = _search(chunk, bounded=bounded)
            if found is not None:
                return start + found[0], found[1]
    return None


class Malformed(NamedTuple):
    """An event that breaks section 2. `bounds_only`: only as level 3 has it, which does not hold everywhere."""

    position: int
    reason: str
    bounds_only: bool


def parse_each(raws: Sequence[bytes]) -> tuple[list[Event | None], list[Malformed]]:
    """Every event, None where one breaks section 2 at every level; and what is wrong with those and with the ones that break it at level 3."""
    events: list[Event | None] = []
    wrong: list[Malformed] = []
    for start in range(0, len(raws), CHUNK):
        chunk = raws[start : start + CHUNK]
        events += parse_together(chunk, bounded=True) or [_parse_at(start + at, raw, wrong) for at, raw in enumerate(chunk)]
    return events, wrong


def _parse_at(position: int, raw: bytes, wrong: list[Malformed]) -> Event | None:
    try:
        return parse_event(raw, bounded=True)
    except ParseError as error:
        reason = str(error)
    try:
        event = parse_event(raw)
    except ParseError:
        event = None
    wrong.append(Malformed(position, reason, bounds_only=event is not None))
    return event


def _search(raws: Sequence[bytes], *, bounded: bool) -> tuple[int, str] | None:
    for position, raw in enumerate(raws):
        try:
            parse_event(raw, bounded=bounded)
        except ParseError as error:
            return position, str(error)
    return None


def parse_together(raws: Sequence[bytes], *, bounded: bool = False) -> list[Event] | None:
    """The events when every one is certainly good. None says only that each has to be looked at."""
    lines = b"\n".join([*raws, b""])
    # One byte is looked for much faster than six, and most events have no escapes at all.
    if (b"\\" in lines and b"\\u0000" in lines) or max(map(len, raws), default=0) > MAX_EVENT_BYTES:
        return None
    try:
        events: list[Event] = _decode(lines)
        # What the encoder writes has one newline an event, behind it. So the bytes being equal and the numbers being equal
        # tell that no event holds a newline, and that each line is one event.
        if len(events) != len(raws) or _encode(events) != lines:
            return None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    # A known field's number is bounded by its type; an unknown field is not written again, so it is not here.
    return events if _values(events) and not (bounded and not all(map(is_day, {event.time[:10] for event in events}))) else None


def _values(events: Sequence[Event]) -> bool:
    """What the types do not say. A line's length tells that no value holds a newline of its own."""
    times = "\n".join([event.time for event in events]) + "\n"
    salts = "\n".join([event.salt for event in events]) + "\n"
    return (
        len(times) == _TIME_LINE * len(events)
        and len(salts) == _SALT_LINE * len(events)
        and {event.v for event in events} == {1}
        and {event.action for event in events} <= ACTIONS.keys()
        and _TIMES.fullmatch(times) is not None
        and _SALTS.fullmatch(salts) is not None
    )

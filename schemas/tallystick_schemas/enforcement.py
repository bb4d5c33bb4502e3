"""Topic `enforcement` (SPEC section 12): the one form of its keys, whose word counts about which point, and the fold of it. Pure, and given the broker's time.

A point is named as the agent that signs for it, or begins with that name and `@` (an application has a point a process). Connectors are the outbox's.
"""

from typing import Final, NamedTuple

from .envelope import NO_NUMBER, Number, Opener
from .errors import NoRole, OldMessage, ParseError
from .locks import Subject
from .messages import LockAck, Point, parse_message
from .roles import Holder
from .times import seconds_of
from .topics import ENFORCEMENT

CONNECTOR: Final = "connector/"
"""Names of points that are connectors begin so."""
LATE_S: Final = 30.0
"""A point's word that the broker has so long after it was said, by its own clock, was held back or is said again by somebody else."""
_SEPARATOR: Final = "\0"
_OWN: Final = "@"


class PointKey(NamedTuple):
    """A Kafka key of the topic: a point, or what the point acknowledged about a subject."""

    point: str
    subject: str | None = None

    @classmethod
    def parse(cls, raw: bytes | None) -> "PointKey":
        """`point` or `point NUL subject`; ParseError for anything else."""
        try:
            point, separator, subject = (raw or b"").decode("utf-8").partition(_SEPARATOR)
        except UnicodeError as error:
            raise ParseError("the key is not UTF-8") from error
        if not point:
            raise ParseError("the key names no point")
        if separator:
            Subject.parse(subject)
        return cls(point, subject if separator else None)

    def encode(self) -> bytes:
        """The bytes that `parse` reads."""
        return (self.point if self.subject is None else f"{self.point}{_SEPARATOR}{self.subject}").encode()


def word_of(key: PointKey, body: bytes) -> Point | LockAck:
    """What stands in a message's body under its key; ParseError when it speaks of another point or subject, or of times that no calendar has."""
    if key.subject is None:
        point = parse_message(Point, body)
        if point.name != key.point:
            raise ParseError(f"{point.name!r} stands under another point's key")
        seconds_of(point.at)
        if point.started is not None:
            seconds_of(point.started)
        return point
    ack = parse_message(LockAck, body)
    if (ack.point, ack.subject) != key:
        raise ParseError(f"an acknowledgement of {ack.point!r} stands under another key")
    seconds_of(ack.applied_at)
    return ack


def may_speak(holder: Holder, word: Point | LockAck) -> bool:
    """Whether who signed it may say it: a point for itself, the outbox for connectors."""
    name = word.name if isinstance(word, Point) else word.point
    if isinstance(word, Point) and (word.kind == "connector") != name.startswith(CONNECTOR):
        return False
    if name.startswith(CONNECTOR):
        return "outbox" in holder.roles
    return "point" in holder.roles and (name == holder.agent or name.startswith(holder.agent + _OWN))


class Enforcement:
    """Points and acknowledgements by name, and by (name, subject); each with the broker's time in seconds since 1970."""

    def __init__(self, opener: Opener) -> None:
        self.opener = opener
        self.points: dict[str, tuple[Point, float]] = {}
        self.acks: dict[tuple[str, str], tuple[LockAck, float]] = {}
        self._newest: dict[str, Number] = {}

    def take(self, raw_key: bytes | None, value: bytes | None, append_s: float) -> Point | LockAck:
        """One value of the topic in its order; ParseError says why it is nobody's word, and nothing changes then. A tombstone signs nobody off."""
        key = PointKey.parse(raw_key)
        if value is None:
            raise ParseError("a tombstone, which says nothing")
        opened = self.opener.open(ENFORCEMENT, raw_key, value)
        word = word_of(key, opened.body)
        if not may_speak(opened.holder, word):
            raise NoRole(f"{opened.holder.agent} may not speak for point {key.point!r}")
        if opened.number <= self._newest.get(key.point, NO_NUMBER):
            raise OldMessage(opened.number, self._newest[key.point])
        if isinstance(word, Point) and append_s - seconds_of(word.at) > LATE_S:
            raise ParseError(f"said {append_s - seconds_of(word.at):.0f} s before the log had it")
        self._newest[key.point] = opened.number
        self._put(key, word, append_s)
        return word

    def _put(self, key: PointKey, word: Point | LockAck, append_s: float) -> None:
        if isinstance(word, LockAck):
            self.acks[key.point, word.subject] = (word, append_s)
        elif word.left:
            self.points.pop(key.point, None)
        else:
            self.points[key.point] = (word, append_s)

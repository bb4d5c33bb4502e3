"""What topic `detector-state` says of one partition: a fold of signed values in the topic's order, and what is read back of it. Pure.

The partition is signed with each value's key (`place`), so that no partition takes up another's. An owner's values count until a newer owner has
written; older values under a newer one's, tombstones and unsigned values change nothing. The fence names the number of everything that was kept before
it: what is older than that, or missing, was rolled back or lost, and its part of `verified` is read again.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.topics import DETECTOR_STATE

FENCE: Final = b"fence"
TRIAGE: Final = b"triage"
OWNER: Final = b"owner"
"""Written by who takes the partition up, so that whoever had it before sees it."""


class Fence(msgspec.Struct, frozen=True):
    """Everything before `offset` of the partition is in the buckets. Written after them, so that it never promises too much."""

    offset: int
    heard: dict[str, tuple[int, int]] = {}
    """Notary's agent -> number of its newest message before the offset."""
    kept: dict[str, tuple[int, int]] = {}
    """Key -> number of its newest value when this was written."""


class Kept(NamedTuple):
    """One believed value."""

    number: Number
    body: bytes


def place(partition: int, key: bytes) -> bytes:
    """What a value is signed under."""
    return b"%d/%b" % (partition, key)


class StateFold:
    """One partition's values."""

    def __init__(self, opener: Opener, partition: int) -> None:
        self._opener, self._partition = opener, partition
        self.values: dict[bytes, Kept] = {}
        self.unsigned: dict[bytes, bytes] = {}
        """Newest value of each key that begins as no envelope does: an earlier version's, or anybody's."""
        self.fence = -1
        """Of the newest owner that wrote."""

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One value in the topic's order; ParseError says why it is nobody's word. Nothing changes then."""
        if key is None or not value:
            raise ParseError("a tombstone, which deletes nothing here")
        if not value.startswith(b"TSM1"):
            self.unsigned[key] = value
            raise ParseError("not signed")
        opened = self._opener.open(DETECTOR_STATE, place(self._partition, key), value)
        if opened.number.fence < self.fence:
            raise ParseError(f"written by owner {opened.number.fence} after owner {self.fence} had taken over")
        known = self.values.get(key)
        if known is not None and opened.number <= known.number:
            raise ParseError(f"an old value: its number {tuple(opened.number)} is not above {tuple(known.number)}")
        self.fence = opened.number.fence
        self.values[key] = Kept(opened.number, opened.body)


@dataclass(frozen=True)
class Restored:
    """What a partition goes on from."""

    fence: Fence
    triage: bytes | None
    buckets: dict[int, bytes]
    numbers: dict[bytes, Number]
    lost: list[str] = field(default_factory=list)
    """What the fence promised and the topic has not, in words."""
    adopted: bool = False
    """Something in it is of an earlier version."""


def restored(fold: StateFold, adopt: bool) -> Restored:
    """What to go on from; ParseError when the fence cannot be read. With `adopt`, what an earlier version kept stands where nothing is signed."""
    bodies = dict(fold.unsigned) if adopt else {}
    bodies |= {key: kept.body for key, kept in fold.values.items()}
    fence = _fence(bodies.get(FENCE))
    if FENCE not in fold.values:
        fence = Fence(fence.offset)  # an earlier version said no more
    lost = [said for key, number in sorted(fence.kept.items()) if (said := _missing(fold, key, Number(*number))) is not None]
    if lost:
        # Buckets know what they have seen: of all that is read again, only what they lack counts.
        fence = Fence(0)
    return Restored(
        fence,
        bodies.get(TRIAGE),
        {int(key): body for key, body in bodies.items() if key.isdigit()},
        {key: kept.number for key, kept in fold.values.items() if key != OWNER},
        lost,
        adopt and bool(fold.unsigned.keys() - fold.values.keys()),
    )


def _missing(fold: StateFold, key: str, wanted: Number) -> str | None:
    kept = fold.values.get(key.encode())
    if kept is None:
        return f"{key} is missing"
    return None if kept.number >= wanted else f"{key} is older than what was kept last"


def _fence(body: bytes | None) -> Fence:
    try:
        return Fence(0) if body is None else msgspec.json.decode(body, type=Fence)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ParseError(f"the fence cannot be read: {error}") from error

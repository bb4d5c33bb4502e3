"""Where a log was left, and whether a file is the one that was left there.

A file is known by its content: a digest of its first bytes and one of the bytes just before the place. So a log that was renamed, copied away
(copytruncate) or compressed is still itself, and one that was truncated or begun anew is not, whatever inode or name it got.
"""

import io
from typing import IO, Final, NamedTuple, Protocol

import msgspec

from tallystick_schemas.encoding import digest

HEAD: Final = 1024
TAIL: Final = 256
_CHUNK: Final = 1 << 20


class Place(msgspec.Struct, frozen=True, array_like=False):
    """Bytes and lines read. `head` and `tail` are hex digests of the first min(1024, offset) and the last min(256, offset) of those bytes.

    For a document that is one unit, `offset` is its size and `line` the number of its records that are recorded. `device` and `inode` are 0
    inside an archive. What is not ours to read is never looked at: neither digest reaches beyond `offset`.
    """

    device: int
    inode: int
    offset: int
    line: int
    head: str
    tail: str


class Recording(Protocol):
    """The part of the Recorder that reading needs."""

    def place(self, source: str) -> str | None: ...

    def record_batch_at(self, source: str, place: str, events: list[bytes]) -> None: ...


_decoder: Final = msgspec.json.Decoder(Place)
_encoder: Final = msgspec.json.Encoder()


def read_place(text: str | None) -> Place | None:
    """A remembered place; None when there is none that we understand."""
    if text is None:
        return None
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError:
        return None


def write_place(place: Place) -> str:
    return _encoder.encode(place).decode()


class Line(NamedTuple):
    """A line with its end: its first bytes (`raw`, all of them unless it is too long), its last ones, its size, whether its end was there."""

    raw: bytes
    last: bytes
    size: int
    ended: bool


def next_line(stream: IO[bytes], longest: int) -> Line:
    """The next line, of size 0 at the end; of more than `longest` bytes the middle is passed over. `longest` is at least 1024."""
    raw = more = stream.readline(longest)
    size, last = len(raw), raw[-TAIL:]
    while more and more[-1:] != b"\n" and size >= longest:
        more = stream.readline(longest)
        size, last = size + len(more), (last + more)[-TAIL:]
    return Line(raw, last, size, last[-1:] == b"\n")


class Trail:
    """What was read so far, kept as little as the next place needs."""

    def __init__(self) -> None:
        self.offset = 0
        self.line = 0
        self._head = b""
        self._tail = b""

    def add(self, line: Line) -> None:
        """A whole line, its end included."""
        if len(self._head) < HEAD:
            self._head = (self._head + line.raw)[:HEAD]
        self._tail = (self._tail + line.last)[-TAIL:]
        self.offset += line.size
        self.line += 1

    def place(self, device: int, inode: int) -> Place:
        return Place(device, inode, self.offset, self.line, digest(self._head).hex(), digest(self._tail).hex())


def follow(stream: IO[bytes], place: Place) -> Trail | None:
    """The trail up to `place`, with the stream standing there; None when this is not the file that was left at `place`."""
    head = _exactly(stream, min(HEAD, place.offset))
    if head is None or digest(head).hex() != place.head:
        return None
    begin = max(0, place.offset - TAIL)
    if begin <= len(head):
        more = _exactly(stream, place.offset - len(head))
        tail = None if more is None else (head + more)[begin:]
    else:
        tail = _exactly(stream, place.offset - begin) if _skip(stream, len(head), begin) else None
    if tail is None or digest(tail).hex() != place.tail:
        return None
    trail = Trail()
    trail.offset, trail.line = place.offset, place.line
    trail._head, trail._tail = head, tail
    return trail


def _exactly(stream: IO[bytes], count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        more = stream.read(count - len(found))
        if not more:
            return None
        found += more
    return found


def _skip(stream: IO[bytes], start: int, to: int) -> bool:
    """Go on from `start` to `to`; what is compressed can only be read up to there."""
    if isinstance(stream, io.BufferedReader):
        stream.seek(to)
        return True
    left = to - start
    while left:
        more = stream.read(min(_CHUNK, left))
        if not more:
            return False
        left -= len(more)
    return True

"""Headers of the seven kinds of record (SPEC sections 4 and 5), and their strict parser."""

import re
from enum import IntEnum
from typing import Any, Final, TypeVar

import msgspec

from .encoding import from_base64
from .errors import ParseError
from .events import TIME_PATTERN, is_day
from .keys import check_public_key
from .strict_json import check_json

MAX_HEADER_BYTES: Final = 4096
MAX_SEGMENT_EVENTS: Final = 512
_MAX_NUMBER: Final = 2**63 - 1
AGENT_PATTERN: Final = re.compile(r"[A-Za-z0-9._:@/-]{1,128}", re.ASCII)
KEY_ID_PATTERN: Final = re.compile(r"[0-9a-f]{16}")
_RUN: Final = re.compile(r"[0-9a-f]{32}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SIG: Final = re.compile(rb'"[A-Za-z0-9+/]{91}="')
"""68 bytes: a key hash of 4, a signature of 64."""
_ABOUT: Final = re.compile(r"[a-z][a-z-]{0,31}")
MAX_SUBJECT_CHARACTERS: Final = 256


class Kind(IntEnum):
    """Kinds of record; REJECTED stands in entries alone."""

    REJECTED = 0
    SEGMENT = 1
    ENROL = 2
    REVOKE = 3
    ERASE = 4
    SEAL = 5
    GENERATION = 6
    DIRECTIVE = 7


class UnsupportedVersion(ParseError):
    """A well-framed record of a version that this code does not know."""


class Seen(msgspec.Struct, frozen=True):
    """The last root checkpoint that an agent verified. `sig` is kept as it stands: whatever it holds, the fold passes over it (ADR 0032)."""

    size: int
    root: str
    sig: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def signature(self) -> str | None:
        """Base64 of a signature line, as the note had it; None where nothing of this form is there. Nothing is checked yet."""
        raw = b"" if self.sig is msgspec.UNSET else bytes(self.sig)
        return raw[1:-1].decode() if _SIG.fullmatch(raw) else None


class SegmentHeader(msgspec.Struct, frozen=True):
    """Kind 1. `first` is the sequence number of the first event in the run; `prev` the link of the segment before."""

    v: int
    agent: str
    key: str
    run: str
    n: int
    first: int
    count: int
    root: str
    prev: str
    time: str
    seen: Seen | None = None


class Enrol(msgspec.Struct, frozen=True):
    """Kind 2: from here on `public_key` (base64) speaks for `agent`."""

    v: int
    key: str
    time: str
    agent: str
    public_key: str
    owner: str


class Revoke(msgspec.Struct, frozen=True):
    """Kind 3: `agent_key` speaks for `agent` no longer, for good."""

    v: int
    key: str
    time: str
    agent: str
    agent_key: str
    reason: str


class Erase(msgspec.Struct, frozen=True):
    """Kind 4: the items of the body lose their raw bytes. `shard` is the one whose events it names."""

    v: int
    key: str
    time: str
    shard: int
    subject: str
    reason: str
    approvers: list[str]
    count: int
    root: str


class Seal(msgspec.Struct, frozen=True):
    """Kind 5: a tick of the sealer, in every shard."""

    v: int
    key: str
    time: str
    epoch: int


class Generation(msgspec.Struct, frozen=True):
    """Kind 6: the topic was made (anew); offsets of this shard start again."""

    v: int
    key: str
    time: str
    generation: int
    topic_id: str
    shard: int
    last_index: int


class Directive(msgspec.Struct, frozen=True):
    """Kind 7: what the operator says `about` something from here on. The highest `n` about one subject is in force."""

    v: int
    key: str
    time: str
    about: str
    subject: str
    n: int
    value: dict[str, Any]


Header = SegmentHeader | Enrol | Revoke | Erase | Seal | Generation | Directive
H = TypeVar("H", SegmentHeader, Enrol, Revoke, Erase, Seal, Generation, Directive)

_TYPES: Final[dict[Kind, type[Header]]] = {
    Kind.SEGMENT: SegmentHeader,
    Kind.ENROL: Enrol,
    Kind.REVOKE: Revoke,
    Kind.ERASE: Erase,
    Kind.SEAL: Seal,
    Kind.GENERATION: Generation,
    Kind.DIRECTIVE: Directive,
}
_decoders: Final = {kind: msgspec.json.Decoder(header) for kind, header in _TYPES.items()}
encode_header: Final = msgspec.json.Encoder().encode


def payload_type(kind: int) -> str:
    """The DSSE payload type that a signature over this kind of header covers."""
    return f"application/vnd.tallystick.{Kind(kind).name.lower()}.v1+json"


def parse_header(kind: Kind, raw: bytes, *, bounded: bool = False) -> Header:
    """The header in `raw`. UnsupportedVersion when `v` is an integer other than 1, ParseError for all else that is wrong.

    `bounded`: by the rules of level 3, under which every reader holds each number and time.
    """
    if len(raw) > MAX_HEADER_BYTES:
        raise ParseError(f"a header has {len(raw)} bytes, at most {MAX_HEADER_BYTES} are allowed")
    try:
        header: Header = _decoders[kind].decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _check_version(raw, bounded=bounded)
        raise ParseError(f"not a header of kind {kind.name.lower()}: {error}") from error
    # A directive's value may hold anything, nested to any depth, and a version any number, in its one form too.
    if kind == Kind.DIRECTIVE or encode_header(header) != raw or b"\\u0000" in raw or header.v != 1 or _holds_unread(header):
        check_json(raw, bounded=bounded)
    if header.v != 1:
        raise UnsupportedVersion(f"version {header.v} is not 1")
    _check_values(header)
    if bounded and not is_day(header.time[:10]):
        raise ParseError(f"no reader's calendar has the day {header.time[:10]}")
    return header


def _holds_unread(header: Header) -> bool:
    """Whether JSON stands in it that was copied and not read, so that the same bytes prove nothing about it."""
    seen = header.seen if isinstance(header, SegmentHeader) else None
    return seen is not None and seen.sig is not msgspec.UNSET and seen.signature is None


def _check_version(raw: bytes, *, bounded: bool) -> None:
    """Another version may have any other fields: what must be readable is the JSON object and its `v`."""
    version = check_json(raw, bounded=bounded).get("v")
    if isinstance(version, int) and not isinstance(version, bool) and version != 1:
        raise UnsupportedVersion(f"version {version} is not 1")


def _check_values(header: Header) -> None:
    _match(TIME_PATTERN, header.time, "time")
    _match(KEY_ID_PATTERN, header.key, "key")
    if isinstance(header, SegmentHeader):
        _check_segment(header)
    elif isinstance(header, Enrol):
        _match(AGENT_PATTERN, header.agent, "agent")
        check_public_key(from_base64(header.public_key, 32, "public_key"))
    elif isinstance(header, Revoke):
        _match(AGENT_PATTERN, header.agent, "agent")
        _match(KEY_ID_PATTERN, header.agent_key, "agent_key")
    elif isinstance(header, Erase):
        _match(_HASH, header.root, "root")
        _in_range(header.count, 1, MAX_SEGMENT_EVENTS, "count")
        _in_range(header.shard, 0, 2**32 - 1, "shard")
    elif isinstance(header, Seal):
        _in_range(header.epoch, 0, _MAX_NUMBER, "epoch")
    elif isinstance(header, Directive):
        _match(_ABOUT, header.about, "about")
        _in_range(len(header.subject), 0, MAX_SUBJECT_CHARACTERS, "subject, in characters,")
        _in_range(header.n, 0, _MAX_NUMBER, "n")
    else:
        _in_range(header.generation, 0, 2**32 - 1, "generation")
        _in_range(header.shard, 0, 2**32 - 1, "shard")
        _in_range(header.last_index, -1, _MAX_NUMBER, "last_index")


def _check_segment(header: SegmentHeader) -> None:
    _match(AGENT_PATTERN, header.agent, "agent")
    _match(_RUN, header.run, "run")
    _match(_HASH, header.root, "root")
    _match(_HASH, header.prev, "prev")
    _in_range(header.n, 0, _MAX_NUMBER, "n")
    _in_range(header.first, 0, _MAX_NUMBER, "first")
    _in_range(header.count, 1, MAX_SEGMENT_EVENTS, "count")
    if header.seen is not None:
        _match(_HASH, header.seen.root, "seen.root")
        _in_range(header.seen.size, 0, _MAX_NUMBER, "seen.size")


def _match(pattern: re.Pattern[str], value: str, name: str) -> None:
    if not pattern.fullmatch(value):
        raise ParseError(f"header field {name} is not as the format says")


def _in_range(value: int, low: int, high: int, name: str) -> None:
    if not low <= value <= high:
        raise ParseError(f"header field {name} is {value}, not {low} to {high}")

"""What triage remembers of one partition. Bounded, and kept beside the detectors' buckets."""

from typing import Any, Final

import msgspec

from tallystick_schemas.errors import ParseError


class Open(msgspec.Struct):
    """A finding that further ones of its kind are counted under. Times in seconds since 1970, by the events' clocks."""

    id: str
    time: str
    opened: float
    count: int
    severity: str
    act: str
    storm: str | None = None


class Storm(msgspec.Struct):
    """New findings of one detector: when the newest came, and the storm that is on, if one is."""

    times: list[float] = []
    id: str = ""
    opened: str = ""
    count: int = 0
    told: int = 0
    version: int = 0
    about: list[str] = []


class Watched(msgspec.Struct):
    """What a principal did beside a grant (newest times last), and how many objects it touched under it."""

    outside: list[float] = []
    objects: set[bytes] = set()


class Watch(msgspec.Struct):
    """A grant under watch: since when, and from which index of each shard on."""

    print: bytes
    since: float
    began: dict[int, int]
    principals: dict[str, Watched] = {}


class State(msgspec.Struct):
    """Everything. `offset`: findings of earlier messages of `verified` were told and recorded."""

    epoch: str
    offset: int = 0
    at: float = 0.0
    indexes: dict[int, int] = {}
    opens: dict[str, Open] = {}
    storms: dict[str, Storm] = {}
    watches: dict[str, Watch] = {}


encode_state: Final[Any] = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(State)


def decode_state(raw: bytes) -> State:
    """A state that was kept; ParseError when it is not one."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"the triage's state cannot be read: {error}") from error

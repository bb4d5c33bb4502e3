"""What the fold remembers of a shard (SPEC section 6, "State"), bounded per agent. Its digest, which accepted seals carry, is in `state_digest`."""

from typing import Final

import msgspec

from .errors import ParseError
from .gaps import Gap, Span, filled

MAX_RUNS: Final = 16
MAX_MISSING_RANGES: Final = 64
Position = tuple[int, int]
"""(generation, offset)."""


class Run(msgspec.Struct):
    """One run of an agent: the key it began with, its newest segment n, the next `first`, the newest link, and what is missing below n.

    `missing` rise and are disjoint.
    """

    key: str
    n: int
    next_first: int
    link: bytes
    missing: list[Gap]


class Key(msgspec.Struct):
    """An agent's key: 32 raw bytes (empty when it was revoked before it was ever enrolled)."""

    public: bytes
    active: bool


class Agent(msgspec.Struct):
    """Keys by key id, and the newest runs by run id."""

    keys: dict[str, Key]
    runs: dict[str, Run]


class Said(msgspec.Struct):
    """The directive in force about one subject: its number, and its header as it was signed."""

    n: int
    header: str


class State(msgspec.Struct):
    """A shard after entry `index` (-1: none yet). `generation` is -1 until the first generation record."""

    shard: int
    chain: bytes
    index: int = -1
    generation: int = -1
    offset: int = -1
    epoch: int = -1
    entries: int = 0
    first: Position | None = None
    last: Position | None = None
    agents: dict[str, Agent] = {}
    directives: dict[str, Said] = {}
    """By `about` and subject with a space between them."""


encode_state: Final = msgspec.json.Encoder(order="sorted").encode
_decoder: Final = msgspec.json.Decoder(State)


def parse_state(raw: bytes) -> State:
    """A state from its bytes, or ParseError. The digest that seals carry names keys by their ids alone: see who signed the bytes before believing them."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a snapshot: {error}") from error


def copy_state(state: State) -> State:
    """A state that shares nothing with the one given."""
    return parse_state(encode_state(state))


def open_gap(run: Run, gap: Gap) -> None:
    """Its segments were jumped over; the lowest range is given up when there are too many."""
    run.missing = [*run.missing, gap][-MAX_MISSING_RANGES:]


def fill_gap(run: Run, span: Span, *, remember: bool) -> None:
    """A missing segment came after all. `remember`: what it signs at both ends."""
    kept: list[Gap] = []
    for gap in run.missing:
        kept += filled(gap, span, remember=remember) if gap.first <= span.n <= gap.last else [gap]
    run.missing = kept[-MAX_MISSING_RANGES:]

"""What the fold remembers of a shard (SPEC section 6, "State"), bounded per agent, and its digest that accepted seals carry."""

from typing import Final

import msgspec

from .encoding import digest
from .errors import ParseError

MAX_RUNS: Final = 16
MAX_MISSING_RANGES: Final = 64
Position = tuple[int, int]
"""(generation, offset)."""


class Run(msgspec.Struct):
    """One run of an agent: the key it began with, its newest segment n, the next `first`, the newest link, and what is missing below n.

    `missing` are ranges [a, b], both ends included, rising and disjoint.
    """

    key: str
    n: int
    next_first: int
    link: bytes
    missing: list[tuple[int, int]]


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


def state_digest(state: State) -> bytes:
    """H over the sorted lines of keys, runs and directives, each ended by one newline."""
    lines: list[str] = []
    for name, agent in state.agents.items():
        lines += [f"key {name} {key_id} {'active' if key.active else 'revoked'}\n" for key_id, key in agent.keys.items()]
        lines += [_run_line(name, run_id, run) for run_id, run in agent.runs.items()]
    # Hashed: a subject may hold anything, also what looks like a line of its own.
    lines += [
        f"directive {digest(subject.encode()).hex()} {said.n} {digest(said.header.encode()).hex()}\n"
        for subject, said in state.directives.items()
    ]
    return digest("".join(sorted(lines)).encode())


def _run_line(agent: str, run_id: str, run: Run) -> str:
    missing = ",".join(f"{a}-{b}" for a, b in run.missing) or "-"
    return f"run {agent} {run_id} {run.key} {run.n} {run.next_first} {run.link.hex()} {missing}\n"


def is_missing(run: Run, n: int) -> bool:
    """Whether segment n is one of those that the run still owes."""
    return any(a <= n <= b for a, b in run.missing)


def open_gap(run: Run, first: int, last: int) -> None:
    """Segments first to last (both included) were jumped over; the lowest range is given up when there are too many."""
    run.missing = [*run.missing, (first, last)][-MAX_MISSING_RANGES:]


def fill_gap(run: Run, n: int) -> None:
    """Segment n came after all."""
    kept: list[tuple[int, int]] = []
    for a, b in run.missing:
        if a <= n <= b:
            kept += [part for part in ((a, n - 1), (n + 1, b)) if part[0] <= part[1]]
        else:
            kept.append((a, b))
    run.missing = kept[-MAX_MISSING_RANGES:]

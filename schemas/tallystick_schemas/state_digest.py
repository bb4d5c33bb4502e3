"""The state's digest that accepted seals carry (SPEC section 6, "Facts of a seal"): who has the seal knows the state, a stranger's key in it included."""

from typing import Final

import msgspec

from .directives import DIGEST_LEVEL, level_in_force
from .encoding import digest
from .state import Agent, Run, State


class _Bound(msgspec.Struct, frozen=True):
    """What the digest of level 3 is over. What is missing here stands in the seal's own entry: index, offset, chain; the counts begin anew behind it."""

    agents: dict[str, Agent]
    directives: dict[str, tuple[int, str]]
    epoch: int
    generation: int
    shard: int


_encode: Final = msgspec.json.Encoder(order="sorted").encode


def state_digest(state: State, epoch: int | None = None) -> bytes:
    """The digest by the rules in force. `epoch`: of the seal that carries it, which is not yet the state's."""
    if level_in_force(state) < DIGEST_LEVEL:
        return _of_lines(state)
    said = {hashed(place): (said.n, hashed(said.header)) for place, said in state.directives.items()}
    return digest(_encode(_Bound(state.agents, said, state.epoch if epoch is None else epoch, state.generation, state.shard)))


def hashed(text: str) -> str:
    """Hashed: a subject may hold anything, also what looks like a line of its own."""
    return digest(text.encode()).hex()


def _of_lines(state: State) -> bytes:
    """Levels 1 and 2: H over the sorted lines of keys, runs and directives, each ended by one newline."""
    lines: list[str] = []
    for name, agent in state.agents.items():
        lines += [f"key {name} {key_id} {'active' if key.active else 'revoked'}\n" for key_id, key in agent.keys.items()]
        lines += [_run_line(name, run_id, run) for run_id, run in agent.runs.items()]
    lines += [f"directive {hashed(subject)} {said.n} {hashed(said.header)}\n" for subject, said in state.directives.items()]
    return digest("".join(sorted(lines)).encode())


def _run_line(agent: str, run_id: str, run: Run) -> str:
    missing = ",".join(f"{gap.first}-{gap.last}" for gap in run.missing) or "-"
    return f"run {agent} {run_id} {run.key} {run.n} {run.next_first} {run.link.hex()} {missing}\n"

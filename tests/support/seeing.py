"""Histories whose agents say which root checkpoint they were shown, and what somebody with the sealer's key can make of them.

Shard 0 has agents `gw-0` and `gw-2`, shard 1 has `gw-1`. A round is a segment of each agent, with the newest root checkpoint as `seen`, and a seal.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

from tests.support.history import Agent, History, HistoryBuilder, private_key, rewrite_tail

from tallystick_schemas.checkpoints import Checkpoint, parse_checkpoint, sign_checkpoint
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.fold import Fold, Parameters, Step
from tallystick_schemas.headers import Kind, Seen
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.notes import parse_note
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vouching import vouch


@dataclass
class World:
    """A history in the making, and the agents that sign into it."""

    builder: HistoryBuilder
    agents: list[Agent]
    seen: Seen | None = None
    """What every agent was shown last."""
    says: bool = True
    """Whether agents say so."""

    def segment(self, agent: Agent, seen: Seen | None = None) -> Step:
        seen = seen or (self.seen if self.says else None)
        record = agent.signer.sign(self.builder.events(1), wire_time(self.builder.tick()), seen).record
        return self.builder.record(agent.shard, record)

    def round(self) -> None:
        """A segment of each agent, a seal of each shard; then the agents are shown the new root checkpoint."""
        for agent in self.agents:
            self.segment(agent)
        self.builder.seal()
        log = self.builder.history.log
        self.seen = vouch(self.builder.history.checkpoints[-1][3], log)

    def attacked(self, change: Callable[[History], None]) -> History:
        """The history becomes what `change` makes of it, and whoever did it goes on from there; agents know nothing of it."""
        history = deepcopy(self.builder.history)
        change(history)
        self.builder = _gone_on(self.builder, history)
        return history

    def after(self, name: str) -> "World":
        """The world once the attack was made and those went on who knew nothing of it."""
        attack, more = ATTACKS[name]
        self.attacked(attack)
        for _ in range(more):
            self.round()
        return self


def seeing(rounds: int = 3, *, says: bool = True) -> World:
    builder = HistoryBuilder(2)
    world = World(builder, [builder.enrol(f"gw-{number}", number % 2) for number in range(3)], says=says)
    for _ in range(rounds):
        world.round()
    return world


def _gone_on(before: HistoryBuilder, history: History) -> HistoryBuilder:
    """A builder that goes on where `history` ends."""
    builder = HistoryBuilder(history.log.shards, generations=False)
    builder.history, builder._event_number = history, before._event_number
    for shard in range(history.log.shards):
        log = history.log
        fold = builder.folds[shard] = Fold(Parameters.of(shard, log.origin(shard), log.operator_keys, log.sealer_keys))
        for offset, (raw, append_ms) in enumerate(history.records[shard]):
            builder._trees[shard].append(fold.fold(raw, offset, append_ms).leaf)
        builder.offsets[shard], builder.epochs[shard] = len(history.records[shard]), fold.state.epoch + 1
    builder._root = Frontier()
    builder._root.extend([leaf_hash(data) for _, data in history.root_leaves])
    return builder


def drop_the_tail(history: History) -> None:
    """The last round of shard 1 never was; checkpoints and root log are signed again over what is left."""
    seals = _seals(history, 1)
    size = seals[-2] + 1
    for table in (history.entries, history.events):
        table[:] = [row for row in table if row[0] != 1 or row[1] < size]  # type: ignore[index]
    del history.records[1][size:]
    sign_again_in_order(history)


def rewrite_a_shard(history: History) -> None:
    """A segment of the second round of shard 0 never was."""
    rewrite_tail(history, 0, _seals(history, 0)[0] + 1)
    sign_again_in_order(history)


def roll_back(rounds: int) -> Callable[[History], None]:
    """Checkpoints and root leaves of the newest rounds never were; entries and events stay."""

    def change(history: History) -> None:
        root = history.log.root_origin
        sizes = sorted(row[1] for row in history.checkpoints if row[0] == root)
        kept = sizes[-1 - rounds]
        history.root_leaves = history.root_leaves[:kept]
        notes = {data for _, data in history.root_leaves}
        history.checkpoints = [row for row in history.checkpoints if (row[1] <= kept if row[0] == root else row[3] in notes)]

    return change


def sign_again_in_order(history: History) -> None:
    """With the sealer's own key, leaf for leaf: what did not change keeps its bytes."""
    key, log = private_key("sealer"), history.log
    sizes = [row[1] for row in history.checkpoints if row[0] == log.root_origin]
    origins = {log.origin(shard): shard for shard in range(log.shards)}
    waiting = {shard: _seals(history, shard) for shard in range(log.shards)}
    old, history.root_leaves, history.checkpoints, root = history.root_leaves, [], [], Frontier()
    for at, data in old:
        shard = None if at == 0 else origins[parse_checkpoint(parse_note(data).text).origin]
        if shard is None or waiting[shard]:
            leaf = data if shard is None else _signed_at(history, shard, waiting[shard].pop(0))
            history.root_leaves.append((root.size, leaf))
            root.append(leaf_hash(leaf))
        if at + 1 in sizes:
            note = sign_checkpoint(Checkpoint(log.root_origin, root.size, root.root), key)
            history.checkpoints.append((log.root_origin, root.size, root.root, note))


def _signed_at(history: History, shard: int, seal: int) -> bytes:
    tree, origin = Frontier(), history.log.origin(shard)
    tree.extend([row[3] for row in history.entries if row[0] == shard and row[1] <= seal])
    note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root), private_key("sealer"))
    history.checkpoints.append((origin, tree.size, tree.root, note))
    return note


def _seals(history: History, shard: int) -> list[int]:
    return [row[1] for row in history.entries if row[0] == shard and parse_entry(row[2]).kind == Kind.SEAL]


ATTACKS: dict[str, tuple[Callable[[History], None], int]] = {
    "the tail dropped": (drop_the_tail, 1),
    "a shard rewritten": (rewrite_a_shard, 0),
    "one round rolled back": (roll_back(1), 1),
    "two rounds rolled back": (roll_back(2), 0),
    "two rounds rolled back, and signed on": (roll_back(2), 1),
}
"""What was done, and how many rounds agents went on after it."""

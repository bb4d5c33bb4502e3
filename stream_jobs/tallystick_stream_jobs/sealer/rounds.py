"""What the sealer keeps of each round, and how rounds are put together again from whoever has them. Pure.

Neither leaves nor notes can be derived: seals are skipped, leaves stand in the order of rounds, and topic `checkpoints` is compacted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from tallystick_schemas.checkpoints import TOPOLOGY_PREFIX, Checkpoint, Topology, encode_topology, open_checkpoint, parse_checkpoint
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.notes import Verifier, parse_note
from tallystick_schemas.settings import LogSettings

from .core import RootLeaf, SealerState, Signed


class Base(msgspec.Struct, frozen=True, tag="base"):
    """The root log's tree before the first round that is kept: empty, unless what was before is lost."""

    size: int
    hashes: list[bytes]


class Round(msgspec.Struct, frozen=True, tag="round"):
    """Leaves of the root log from `first` on, and the note of the root checkpoint over them. `time` as events write it."""

    first: int
    leaves: list[str]
    note: str
    time: str

    @property
    def end(self) -> int:
        """The root log's size after this round."""
        return self.first + len(self.leaves)


class StoredNote(msgspec.Struct, frozen=True):
    """A checkpoint's note as somebody holds it; nothing is believed before it was opened."""

    note: bytes
    time: str


class Notes:
    """Opens notes of one deployment's logs: signed with a sealer key that it pins, or with `own`."""

    def __init__(self, log: LogSettings, own: bytes) -> None:
        self.log = log
        keys = dict.fromkeys((own, *log.sealer_keys))
        self.origins: Final = [log.root_origin, *map(log.origin, range(log.shards))]
        self._verifiers = {origin: [Verifier(origin, key) for key in keys] for origin in self.origins}

    def open(self, note: bytes) -> Checkpoint | None:
        """The checkpoint; None for a note that says nothing: anybody may put one where ours lie."""
        origin = note.split(b"\n", 1)[0].decode("utf-8", "replace")
        try:
            return open_checkpoint(note, self._verifiers.get(origin, ()), origin)
        except (ParseError, VerificationError):
            return None

    def open_root(self, note: bytes) -> Checkpoint | None:
        """The same of the root log alone."""
        found = self.open(note)
        return found if found is not None and found.origin == self.log.root_origin else None

    def is_leaf(self, leaf: RootLeaf) -> bool:
        """Whether a leaf is one that this deployment's sealer put there: its topology, or a shard's signed note."""
        if leaf.index == 0:
            return leaf.data == encode_topology(Topology(1, 0, self.origins[1:]))
        found = self.open(leaf.data)
        return found is not None and found.origin != self.log.root_origin


def rounds_of(state: SealerState, log: LogSettings) -> list[Round]:
    """The rounds of a state that are not published yet."""
    found, at = [], 0
    for signed in state.pending:
        if signed.origin == log.root_origin:
            leaves = [leaf for leaf in state.leaves[at:] if leaf.index < signed.size]
            at += len(leaves)
            found.append(Round(signed.size - len(leaves), [leaf.data.decode() for leaf in leaves], signed.note.decode(), signed.time))
    return found


def follow(frontier: Frontier, one: Round) -> None:
    """Grow the tree by a round; ParseError where its note is not of this tree. The note's signature is for whoever believes the last one."""
    if one.first != frontier.size:
        raise ParseError(f"a round begins at leaf {one.first}, and leaf {frontier.size} is the next")
    frontier.extend([leaf_hash(leaf.encode()) for leaf in one.leaves])
    checkpoint = parse_checkpoint(parse_note(one.note.encode()).text)
    if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root):
        raise ParseError(f"the round that begins at leaf {one.first} has another root than its note")


def stored_rounds(notes: Notes, frontier: Frontier, leaves: Iterable[RootLeaf], roots: Iterable[StoredNote]) -> Iterator[Round]:
    """Rounds after `frontier` as far as stored leaves and root notes give them, both in rising order. It ends where one is missing or does not fit."""
    tree = frontier.copy()
    rows = groupby((leaf for leaf in leaves if leaf.index >= tree.size), key=lambda leaf: leaf.index)
    for stored in roots:
        checkpoint = notes.open_root(stored.note)
        if checkpoint is None or checkpoint.size <= tree.size:
            continue
        first, taken = tree.size, []
        while tree.size < checkpoint.size:
            index, group = next(rows, (-1, iter(())))
            data = _choose(notes, list(group))
            if index != tree.size or data is None:
                return
            taken.append(data.decode())
            tree.append(leaf_hash(data))
        if tree.root != checkpoint.root:
            return
        yield Round(first, taken, stored.note.decode(), stored.time)


def _choose(notes: Notes, rows: Sequence[RootLeaf]) -> bytes | None:
    """The one leaf at its place; of several, the one that a sealer signed. None where that is not one."""
    found = list(dict.fromkeys(row.data for row in rows))
    if len(found) > 1:
        found = [data for data in found if notes.is_leaf(RootLeaf(rows[0].index, data))]
    return found[0] if len(found) == 1 else None


def published_rounds(notes: Notes, frontier: Frontier, shards: Mapping[str, bytes], published: Iterable[StoredNote]) -> Iterator[Round]:
    """Rounds after `frontier` from notes in the order in which they were published: those of shards, then the root note over them.

    `shards`: the newest note of each below `frontier`, by origin. What is not newer, an old note that somebody put there again as well, is passed over.
    """
    tree, taken = frontier.copy(), list[bytes]()
    sizes = {origin: found.size for origin, note in shards.items() if (found := notes.open(note)) is not None}
    for one in published:
        checkpoint = notes.open(one.note)
        if checkpoint is None:
            continue
        if checkpoint.origin != notes.log.root_origin:
            if checkpoint.size > sizes.get(checkpoint.origin, 0):
                sizes[checkpoint.origin] = checkpoint.size
                taken.append(one.note)
        elif checkpoint.size > tree.size:
            first = tree.size
            tree.extend([leaf_hash(data) for data in taken])
            if (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
                return
            yield Round(first, [data.decode() for data in taken], one.note.decode(), one.time)
            taken.clear()


def signed_of(one: Round) -> tuple[list[RootLeaf], list[Signed]]:
    """What a round publishes: its leaves, and the checkpoints with the root's last."""
    leaves = [RootLeaf(one.first + at, leaf.encode()) for at, leaf in enumerate(one.leaves)]
    notes = [leaf.data for leaf in leaves if not leaf.data.startswith(TOPOLOGY_PREFIX)]
    return leaves, [_signed(note, one.time) for note in (*notes, one.note.encode())]


def _signed(note: bytes, time: str) -> Signed:
    checkpoint = parse_checkpoint(parse_note(note).text)
    return Signed(*checkpoint, note, time)

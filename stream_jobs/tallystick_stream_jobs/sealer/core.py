"""The sealer's core (SPEC section 7): rows of a shard become a longer tree, or a refusal that says where they part from what was signed.

It leaves to the shell: reading rows, keeping the state, and publishing. The time is given.
"""

from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.checkpoints import Checkpoint, Topology, encode_topology, sign_checkpoint
from tallystick_schemas.entries import entry_leaf, genesis_chain, next_chain, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.settings import LogSettings

from ..errors import SealRefused
from ..notary.ledger import StoredEntry


class LogState(msgspec.Struct, frozen=True):
    """One log as it was last signed: its frontier, and for a shard the newest leaf and chain value."""

    size: int
    hashes: list[bytes]
    leaf: bytes = b""
    chain: bytes = b""

    def frontier(self) -> Frontier:
        return Frontier(self.size, self.hashes)


class Signed(msgspec.Struct, frozen=True):
    """A signed checkpoint on its way out. `time` as events write it."""

    origin: str
    size: int
    root: bytes
    note: bytes
    time: str


class RootLeaf(msgspec.Struct, frozen=True):
    """One leaf of the root log: a shard's checkpoint note, or a topology record."""

    index: int
    data: bytes


class SealerState(msgspec.Struct, frozen=True):
    """All that the sealer must not forget. `version` rises with each save; `pending` and `leaves` may not be in the store yet."""

    version: int
    deployment: str
    epochs: list[int]
    shards: list[LogState]
    root: LogState
    pending: list[Signed] = []
    leaves: list[RootLeaf] = []


def first_state(log: LogSettings) -> SealerState:
    """Before anything was signed: the root log begins with the topology, so that no shard can vanish."""
    topology = encode_topology(Topology(1, 0, [log.origin(shard) for shard in range(log.shards)]))
    frontier = Frontier()
    frontier.append(leaf_hash(topology))
    empty = [LogState(0, [], chain=genesis_chain(log.origin(shard))) for shard in range(log.shards)]
    return SealerState(0, log.deployment, [0] * log.shards, empty, LogState(1, frontier.hashes), leaves=[RootLeaf(0, topology)])


def extend(shard: int, known: LogState, rows: Iterable[StoredEntry]) -> LogState:
    """`known` and the rows after it, every hash computed again. SealRefused names the first index that does not follow."""
    frontier, chain, leaf = known.frontier(), known.chain, known.leaf
    for row in rows:
        if row.index != frontier.size:
            raise SealRefused(shard, frontier.size, f"the store goes on at index {row.index}")
        leaf = _checked_leaf(shard, row)
        chain = next_chain(chain, row.index, leaf)
        if chain != row.chain:
            raise SealRefused(shard, row.index, "the chain value does not follow from the one before")
        frontier.append(leaf)
    return LogState(frontier.size, frontier.hashes, leaf, chain)


def _checked_leaf(shard: int, row: StoredEntry) -> bytes:
    leaf = entry_leaf(row.entry)
    if leaf != row.leaf:
        raise SealRefused(shard, row.index, "the stored leaf is not the hash of the entry")
    try:
        entry = parse_entry(row.entry)
    except ParseError as error:
        raise SealRefused(shard, row.index, str(error)) from error
    if entry.shard != shard:
        raise SealRefused(shard, row.index, f"the entry says that it belongs to shard {entry.shard}")
    return leaf


def check_ends_in_seal(shard: int, last: StoredEntry) -> None:
    """A checkpoint stands at a seal, nowhere else."""
    entry = parse_entry(last.entry)
    if entry.kind != Kind.SEAL or not entry.verdict.accepted:
        raise SealRefused(shard, last.index, "the entry to sign at is not an accepted seal")


def check_signed_part(shard: int, known: LogState, rows: Iterable[StoredEntry]) -> None:
    """Whether the store still holds what was signed: all rows from 0 on. SealRefused says between which indexes they part.

    The frontier keeps one hash for each perfect subtree, so the first subtree whose hash differs is the place.
    """
    start = 0
    source = iter(rows)
    for bit, wanted in zip(reversed([b for b in range(known.size.bit_length()) if known.size >> b & 1]), known.hashes, strict=True):
        length = 1 << bit
        part = Frontier()
        for _ in range(length):
            row = next(source, None)
            if row is None or row.index != start + part.size:
                raise SealRefused(shard, start + part.size, f"{known.size} entries were signed, and the store does not hold this one")
            part.append(_checked_leaf(shard, row))
        if part.root != wanted:
            raise SealRefused(shard, start, f"entries {start} to {start + length - 1} are not the ones that were signed")
        start += length


def sign_round(
    state: SealerState, log: LogSettings, advanced: dict[int, LogState], private_key: Ed25519PrivateKey, time: str
) -> SealerState:
    """The state after signing each advanced shard, and the root log over their notes. Signing again gives the same bytes (RFC 8032)."""
    shards, leaves, signed = list(state.shards), list(state.leaves), list(state.pending)
    root = state.root.frontier()
    for shard, reached in sorted(advanced.items()):
        if reached.size <= shards[shard].size:
            raise SealRefused(shard, reached.size, f"{shards[shard].size} entries were signed before")
        shards[shard] = reached
        signed.append(_sign(log.origin(shard), reached.frontier(), private_key, time))
        leaves.append(RootLeaf(root.size, signed[-1].note))
        root.append(leaf_hash(signed[-1].note))
    signed.append(_sign(log.root_origin, root, private_key, time))
    return msgspec.structs.replace(state, shards=shards, root=LogState(root.size, root.hashes), pending=signed, leaves=leaves)


def parting(leaves: Iterable[RootLeaf], stored: Iterable[RootLeaf]) -> int | None:
    """The first index at which new leaves of the root log are not the ones that the store holds there already; None where all agree or are new."""
    known = {leaf.index: leaf for leaf in stored}
    return next((leaf.index for leaf in leaves if known.get(leaf.index, leaf) != leaf), None)


def _sign(origin: str, frontier: Frontier, private_key: Ed25519PrivateKey, time: str) -> Signed:
    root = frontier.root
    return Signed(origin, frontier.size, root, sign_checkpoint(Checkpoint(origin, frontier.size, root), private_key), time)

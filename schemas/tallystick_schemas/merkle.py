"""RFC 6962 Merkle trees: roots, a frontier that grows, inclusion and consistency proofs (numbers of RFC 9162 where it says it clearer)."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from .errors import VerificationError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """`H(0x00 || d)`."""
    return sha256(b"\0" + data).digest()


def leaf_hashes(items: Sequence[bytes]) -> list[bytes]:
    """The leaf hash of each item."""
    return [sha256(b"\0" + item).digest() for item in items]


def node_hash(left: bytes, right: bytes) -> bytes:
    """`H(0x01 || l || r)`."""
    return sha256(b"\1" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes. Pairing level by level, an odd last one going up as it is, is the tree of RFC 6962, 2.1."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


class Frontier:
    """A tree that only grows: its size and the roots of its perfect subtrees, the largest first (RFC 9162, 2.1.4, "compact range")."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(h) != HASH_BYTES for h in hashes):
            raise VerificationError(
                f"a frontier of {size} leaves has {max(size, 0).bit_count()} hashes of {HASH_BYTES} bytes, not {len(hashes)}"
            )
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """One more leaf hash."""
        size, hashes = self.size, self.hashes
        while size & 1:
            leaf = sha256(b"\1" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def copy(self) -> "Frontier":
        return Frontier(self.size, self.hashes)

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, leaves) of RFC 6962, 2.1.1, from the leaf upwards."""
    if not 0 <= index < len(leaves):
        raise VerificationError(f"a tree of {len(leaves)} leaves has no leaf {index}")
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*inclusion_proof(leaves[:k], index), root_of(leaves[k:])]
    return [*inclusion_proof(leaves[k:], index - k), root_of(leaves[:k])]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """VerificationError unless `proof` shows the leaf hash at `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise VerificationError(f"a tree of {size} leaves has no leaf {index}")
    fn, sn, computed = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            raise VerificationError("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            computed = node_hash(sibling, computed)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            computed = node_hash(computed, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or computed != root:
        raise VerificationError(f"leaf {index} is not shown to be in the tree of {size} leaves")


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """PROOF(old, leaves) of RFC 6962, 2.1.2: that the first `old` leaves are the tree of before. Empty for old 0 and for the whole."""
    if not 0 <= old <= len(leaves):
        raise VerificationError(f"a tree of {len(leaves)} leaves has no earlier tree of {old}")
    return [] if old in (0, len(leaves)) else _subproof(leaves, old, whole=True)


def _subproof(leaves: Sequence[bytes], old: int, *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = _split(len(leaves))
    if old <= k:
        return [*_subproof(leaves[:k], old, whole=whole), root_of(leaves[k:])]
    return [*_subproof(leaves[k:], old - k, whole=False), root_of(leaves[:k])]


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """VerificationError unless the tree of `new` leaves extends the one of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        raise VerificationError(f"a tree of {new} leaves does not extend one of {old}")
    if old in (0, new):
        expected = EMPTY_ROOT if old == 0 else new_root
        if proof or old_root != expected:
            raise VerificationError(
                "trees of the same size have different roots" if old == new else "the empty tree has one root, and needs no proof"
            )
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path or _climb(old - 1, new - 1, path) != (old_root, new_root):
        raise VerificationError(f"the tree of {new} leaves is not shown to extend the one of {old}")


def _climb(fn: int, sn: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that a consistency path leads to; None when its length is wrong."""
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    return (old, new) if sn == 0 else None

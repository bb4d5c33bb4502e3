"""RFC 6962 trees: every tree up to 100 leaves, with every proof in it, against the RFC's own recursive definition."""

from hashlib import sha256

import pytest

from tallystick_schemas.errors import VerificationError
from tallystick_schemas.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([n])) for n in range(100)]


def mth(leaves):
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


ROOTS = [mth(LEAVES[:n]) for n in range(101)]


def test_roots_of_every_size():
    frontier = Frontier()
    assert root_of([]) == EMPTY_ROOT == ROOTS[0] == frontier.root
    for size in range(1, 101):
        frontier.append(LEAVES[size - 1])
        assert root_of(LEAVES[:size]) == ROOTS[size] == frontier.root
        assert Frontier(frontier.size, frontier.hashes).root == ROOTS[size]


def test_known_root_of_the_certificate_transparency_reference():
    # Inputs and root of the reference tests of google/certificate-transparency (merkle_tree_test), 8 leaves.
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    root = root_of([leaf_hash(bytes.fromhex(text)) for text in inputs])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_every_inclusion_proof():
    for size in range(1, 101):
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            with pytest.raises(VerificationError):
                verify_inclusion(LEAVES[index], index, size, [*proof, ROOTS[1]], ROOTS[size])
            with pytest.raises(VerificationError):
                verify_inclusion(LEAVES[(index + 1) % 100], index, size, proof, ROOTS[size])


def test_every_consistency_proof():
    for new in range(1, 101):
        for old in range(new + 1):
            proof = consistency_proof(LEAVES[:new], old)
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)
            with pytest.raises(VerificationError):
                verify_consistency(old, LEAVES[99] if old else LEAVES[0], new, ROOTS[new], proof)
            if 0 < old < new:
                with pytest.raises(VerificationError):
                    verify_consistency(old, ROOTS[old], new, ROOTS[old], proof)


def test_a_frontier_of_the_wrong_shape_is_refused():
    with pytest.raises(VerificationError):
        Frontier(3, [LEAVES[0]])

"""Merkle trees and their proofs over the eight leaves of the Certificate Transparency literature."""

from tallystick_schemas.merkle import consistency_proof, inclusion_proof, leaf_hash, node_hash, root_of

from .common import Json, provenance

DATA = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in DATA]
_EXTRA = LEAVES[7]
_PROOF = [node.hex() for node in inclusion_proof(LEAVES[:7], 3)]
_GROWTH = [node.hex() for node in consistency_proof(LEAVES[:7], 3)]


def _inclusion(name: str, size: int, index: int, leaf: int, proof: list[str]) -> Json:
    return {"name": name, "size": size, "index": index, "leaf": LEAVES[leaf].hex(), "proof": proof, "root": root_of(LEAVES[:size]).hex()}


def _consistency(name: str, old: int, new: int, proof: list[str], old_root: str | None = None) -> Json:
    roots = {"old_root": old_root or root_of(LEAVES[:old]).hex(), "new_root": root_of(LEAVES[:new]).hex()}
    return {"name": name, "old": old, "new": new, **roots, "proof": proof}


def build() -> Json:
    sizes = range(len(LEAVES) + 1)
    return {
        "provenance": provenance(
            "Trees of RFC 6962, section 2.1: roots of each size, every inclusion proof, every consistency proof.",
            [
                "Data and roots are those of the reference tests of google/certificate-transparency, merkletree; the proofs are computed here.",
                "Empty root: RFC 6962, section 2.1.",
            ],
        ),
        "data": list(DATA),
        "leaves": [leaf.hex() for leaf in LEAVES],
        "roots": [root_of(LEAVES[:size]).hex() for size in sizes],
        "inclusion": [
            _inclusion(f"leaf {index} of {size}", size, index, index, [node.hex() for node in inclusion_proof(LEAVES[:size], index)])
            for size in sizes
            for index in range(size)
        ],
        "bad_inclusion": [
            _inclusion("cut", 7, 3, 3, _PROOF[:-1]),
            _inclusion("too-long", 7, 3, 3, [*_PROOF, _PROOF[-1]]),
            _inclusion("other-index", 7, 2, 3, _PROOF),
            _inclusion("other-leaf", 7, 3, 4, _PROOF),
            _inclusion("other-size", 8, 3, 3, _PROOF),
            _inclusion("order-turned", 7, 3, 3, _PROOF[::-1]),
            _inclusion("index-behind-the-end", 7, 7, 3, _PROOF),
            _inclusion("nothing-in-an-empty-tree", 0, 0, 0, []),
            # The roots below are made to fit: what refuses them is the proof's length alone.
            _inclusion("too-long-and-the-root-fits", 1, 0, 0, [_EXTRA.hex()]) | {"root": node_hash(_EXTRA, LEAVES[0]).hex()},
        ],
        "consistency": [
            _consistency(f"{old} to {new}", old, new, [node.hex() for node in consistency_proof(LEAVES[:new], old)])
            for new in sizes
            for old in range(new + 1)
        ],
        "bad_consistency": [
            _consistency("cut", 3, 7, _GROWTH[:-1]),
            _consistency("too-long", 3, 7, [*_GROWTH, _GROWTH[0]]),
            _consistency("no-proof", 3, 7, []),
            _consistency("other-old-root", 3, 7, _GROWTH, root_of(LEAVES[:4]).hex()),
            _consistency("too-long-and-the-roots-fit", 3, 4, [*(node.hex() for node in consistency_proof(LEAVES[:4], 3)), _EXTRA.hex()])
            | {f"{name}_root": node_hash(_EXTRA, root_of(LEAVES[:size])).hex() for name, size in (("old", 3), ("new", 4))},
            _consistency("shrunk", 7, 3, _GROWTH),
            _consistency("same-size-other-root", 7, 7, [], root_of(LEAVES[:6]).hex()),
            _consistency("proof-for-the-same-size", 7, 7, _GROWTH),
        ],
    }

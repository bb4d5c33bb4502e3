"""The committed vector, read as another implementation would: every value is computed again with nothing but the specification."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.vectors.make import PATH, text

from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of, verify_consistency, verify_inclusion
from tallystick_schemas.verdicts import Verdict

VECTOR = json.loads(PATH.read_text())
ORIGIN = f"{VECTOR['deployment']}/shard/0"


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def node(level: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written: split at the largest power of two below n."""
    if len(level) == 1:
        return level[0]
    split = 1 << (len(level) - 1).bit_length() - 1
    return sha256(b"\1" + node(level[:split]) + node(level[split:])).digest()


def test_the_file_is_what_its_maker_makes() -> None:
    assert PATH.read_text() == text()


def test_every_verdict_but_the_stale_run_is_in_it() -> None:
    found = {bytes.fromhex(entry["entry"])[26] for entry in VECTOR["entries"]}
    assert found == set(range(11))


def test_leaves_and_chain_follow_from_the_entries() -> None:
    chain = sha256(b"tallystick/v1/shard-genesis\0" + lp(ORIGIN.encode())).digest()
    for index, row in enumerate(VECTOR["entries"]):
        leaf = sha256(b"\0" + bytes.fromhex(row["entry"])).digest()
        chain = sha256(b"tallystick/v1/shard-link\0" + chain + index.to_bytes(8, "big") + leaf).digest()
        assert (row["index"], row["leaf"], row["chain"]) == (index, leaf.hex(), chain.hex())


def test_the_fold_gives_the_entries() -> None:
    operator, sealer = (bytes.fromhex(VECTOR[f"{name}_public_key"]) for name in ("operator", "sealer"))
    fold = Fold(Parameters.of(0, ORIGIN, (operator,), (sealer,)))
    for record, row in zip(VECTOR["records"], VECTOR["entries"], strict=True):
        step = fold.fold(bytes.fromhex(record["record"]), record["offset"], record["append_ms"])
        assert (step.raw.hex(), step.leaf.hex(), step.chain.hex()) == (row["entry"], row["leaf"], row["chain"])


def test_entries_are_cut_as_section_6_says() -> None:
    for record, row in zip(VECTOR["records"], VECTOR["entries"], strict=True):
        raw, entry = bytes.fromhex(record["record"]), bytes.fromhex(row["entry"])
        version, kind, verdict = entry[0], entry[1], entry[26]
        length = int.from_bytes(entry[27:31], "big")
        header, sig = entry[31 : 31 + length], entry[31 + length : 95 + length]
        assert (version, int.from_bytes(entry[10:18], "big"), int.from_bytes(entry[18:26], "big")) == (
            1,
            record["offset"],
            record["append_ms"],
        )
        if verdict == Verdict.MALFORMED:
            assert (kind, sig) == (0, bytes(64))
            assert json.loads(header) == {"length": len(raw), "sha256": sha256(raw).hexdigest()}
        else:
            assert raw.startswith(b"TSG1" + bytes([kind]) + lp(header) + sig)


def test_events_fold_to_the_root_that_their_header_names() -> None:
    for row in VECTOR["entries"]:
        entry = bytes.fromhex(row["entry"])
        if entry[1] != 1 or entry[26] > 1:
            continue
        header = json.loads(entry[31 : 31 + int.from_bytes(entry[27:31], "big")])
        events = sorted((e for e in VECTOR["events"] if e["index"] == row["index"]), key=lambda e: e["pos"])
        leaves = [sha256(b"\0" + event["raw"].encode()).digest() for event in events]
        assert [event["leaf"] for event in events] == [leaf.hex() for leaf in leaves]
        assert (header["count"], header["root"]) == (len(leaves), node(leaves).hex())


def test_checkpoints_are_notes_over_the_trees() -> None:
    sealer = bytes.fromhex(VECTOR["sealer_public_key"])
    leaves = {
        ORIGIN: [bytes.fromhex(row["leaf"]) for row in VECTOR["entries"]],
        f"{VECTOR['deployment']}/root": [sha256(b"\0" + data.encode()).digest() for data in VECTOR["root_leaves"]],
    }
    assert len(VECTOR["checkpoints"]) == 4
    for row in VECTOR["checkpoints"]:
        body, _, signature = row["note"].partition("\n\n")
        root = node(leaves[row["origin"]][: row["size"]])
        assert body + "\n" == f"{row['origin']}\n{row['size']}\n{base64.b64encode(root).decode()}\n"
        assert row["root"] == root.hex()
        dash, name, value = signature.strip().split(" ")
        raw = base64.b64decode(value)
        assert (dash, name) == ("\N{EM DASH}", row["origin"])
        assert raw[:4] == sha256(name.encode() + b"\n\x01" + sealer).digest()[:4]
        Ed25519PublicKey.from_public_bytes(sealer).verify(raw[4:], body.encode() + b"\n")
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(sealer).verify(raw[4:], body.encode() + b" \n")


@pytest.mark.parametrize("tree", VECTOR["trees"], ids=lambda tree: str(len(tree["leaves"])))
def test_trees_and_their_proofs(tree: dict[str, list[str]]) -> None:
    leaves = [leaf_hash(data.encode()) for data in tree["leaves"]]
    root = bytes.fromhex(str(tree["root"]))
    assert root == (node(leaves) if leaves else sha256(b"").digest())
    for index, leaf in enumerate(leaves):
        verify_inclusion(leaf, index, len(leaves), inclusion_proof(leaves, index), root)
    for old in range(1, len(leaves) + 1):
        verify_consistency(old, root_of(leaves[:old]), len(leaves), root, consistency_proof(leaves, old))


def test_a_run_is_its_start_and_eight_bytes() -> None:
    run = VECTOR["run"]
    assert run["run"] == f"{run['clock_ms']:016x}{run['random']}"

"""Makes history-1.json: a small history with every verdict, from fixed keys, salts and times. `python -m tests.vectors.make` writes it anew."""

import json
from pathlib import Path
from typing import Any

from tests.support.history import HistoryBuilder, make_event, private_key, public_bytes

from tallystick_schemas.headers import Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import Frontier, leaf_hash, leaf_hashes, root_of
from tallystick_schemas.segments import new_run
from tallystick_schemas.signing import sign_record, wire_time

PATH = Path(__file__).with_name("history-1.json")
PROVENANCE = {
    "made_by": "tests/vectors/make.py",
    "format": "schemas/README.md, version 1",
    "keys": "Ed25519 private key of NAME = SHA-256('test key ' || NAME); NAME is operator, sealer, or the agent's",
    "encoding": "records, entries, notes' bytes and events in hex unless they are text; hashes in hex",
}


def history() -> dict[str, Any]:
    """The vector. Ed25519 has no randomness, so it is the same in every run."""
    builder = HistoryBuilder(shards=1, deployment="vectors")
    alice = builder.enrol("alice", 0)
    builder.segment(alice, 3)
    again = alice.sign(builder.events(2), builder.tick())
    builder.record(0, again.record)
    builder.record(0, again.record)  # 2, seen
    alice.sign(builder.events(1), builder.tick())  # never sent: a gap
    builder.segment(alice, 1)  # 1, out of order
    stranger = type(alice)("stranger", 0, private_key("stranger"))
    builder.segment(stranger, 1)  # 5, unknown key
    broken = bytearray(alice.sign(builder.events(1), builder.tick()).record)
    broken[-100] ^= 1
    builder.record(0, bytes(broken))  # 7, body mismatch
    flipped = bytearray(alice.sign(builder.events(1), builder.tick()).record)
    flipped[flipped.index(b"}") + 5] ^= 1
    builder.record(0, bytes(flipped))  # 4, bad signature
    builder.record(0, b"not a record")  # 8, malformed
    builder.record(0, sign_record(Seal(2, key_id(public_bytes(builder.sealer)), wire_time(builder.tick()), 0), builder.sealer))  # 9
    builder.record(0, alice.sign([make_event(0).replace(b'"v":1,', b'"v":1,"v":1,')], builder.tick()).record)  # 10, a key twice
    builder.seal()
    copied = type(alice)("alice", 0, private_key("alice"))
    copies = [copied.sign(builder.events(1), builder.tick()).record for _ in range(4)]
    builder.record(0, copies[0])  # 2: an old number; that its bytes differ is for step 5 to find
    builder.record(0, copies[3])  # 3, fork: the newest number with other bytes
    builder.revoke(alice)
    builder.segment(alice, 1)  # 6, revoked key
    builder.seal()
    made = builder.history
    return {
        "provenance": PROVENANCE,
        "deployment": made.log.deployment,
        "operator_public_key": made.log.operator_keys[0].hex(),
        "sealer_public_key": made.log.sealer_keys[0].hex(),
        "records": [{"offset": at, "append_ms": ms, "record": raw.hex()} for at, (raw, ms) in enumerate(made.records[0])],
        "entries": [
            {"index": index, "entry": entry.hex(), "leaf": leaf.hex(), "chain": chain.hex()}
            for _, index, entry, leaf, chain in made.entries
        ],
        "events": [{"index": index, "pos": pos, "raw": raw.decode(), "leaf": leaf.hex()} for _, index, pos, raw, leaf in made.events],
        "checkpoints": [{"origin": o, "size": s, "root": r.hex(), "note": n.decode()} for o, s, r, n in made.checkpoints],
        "root_leaves": [data.decode() for _, data in made.root_leaves],
        "trees": [_tree(size) for size in range(9)],
        "run": {"clock_ms": 1_795_406_400_000, "random": "0001020304050607", "run": new_run(1_795_406_400_000, bytes(range(8)))},
    }


def _tree(size: int) -> dict[str, Any]:
    data = [b"leaf %d" % number for number in range(size)]
    grown = Frontier()
    for one in data:
        grown.append(leaf_hash(one))
    return {"leaves": [one.decode() for one in data], "root": root_of(leaf_hashes(data)).hex(), "frontier": [h.hex() for h in grown.hashes]}


def text() -> str:
    """The file's bytes."""
    return json.dumps(history(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())

"""The formulas of schemas/README.md with nothing but hashlib, struct and json, over the committed history: what a second implementer would write first."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from struct import pack, unpack_from
from typing import Any

HISTORY: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "history-1.json").read_bytes())
NAMES = {1: "segment", 2: "enrol", 3: "revoke", 4: "erase", 5: "seal", 6: "generation"}


def lp(data: bytes) -> bytes:
    return pack(">I", len(data)) + data


def pae(kind: int, header: bytes) -> bytes:
    payload_type = f"application/vnd.tallystick.{NAMES[kind]}.v1+json".encode()
    return b" ".join([b"DSSEv1", str(len(payload_type)).encode(), payload_type, str(len(header)).encode(), header])


def frame(record: bytes) -> tuple[int, bytes, bytes, bytes]:
    """kind, header, signature, body of section 4."""
    assert record[:4] == b"TSG1"
    end = 9 + int(unpack_from(">I", record, 5)[0])
    return record[4], record[9:end], record[end : end + 64], record[end + 68 :]


def test_entries_and_chain_of_section_6() -> None:
    for shard in HISTORY["shards"]:
        chain = sha256(b"tallystick/v1/shard-genesis\0" + lp(shard["origin"].encode())).digest()
        generation = 0
        for index, row in enumerate(shard["records"]):
            record, written = bytes.fromhex(row["record"]), bytes.fromhex(row["entry"])
            if row["verdict"] == 8:
                told = b'{"length":%d,"sha256":"%s"}' % (len(record), sha256(record).hexdigest().encode())
                kind, header, signature = 0, told, bytes(64)
            else:
                kind, header, signature, _ = frame(record)
            if kind == 6 and row["verdict"] == 0:
                generation = json.loads(header)["generation"]
            head = pack(">BBIIQQB", 1, kind, shard["shard"], generation, row["offset"], row["append_ms"], row["verdict"])
            facts = written[len(head) + 4 + len(header) + 64 + 4 :]
            assert head + lp(header) + signature + lp(facts) == written, row["name"]
            assert bool(facts) == (kind == 5 and row["verdict"] < 2)
            leaf = sha256(b"\0" + written).digest()
            chain = sha256(b"tallystick/v1/shard-link\0" + chain + pack(">Q", index) + leaf).digest()
            assert (leaf.hex(), chain.hex()) == (row["leaf"], row["chain"])


def test_links_and_roots_of_section_4() -> None:
    rows = {row["name"]: bytes.fromhex(row["record"]) for row in HISTORY["shards"][0]["records"]}
    kind, first, _, body = frame(rows["segment 0"])
    header = json.loads(first)
    public = bytes.fromhex(HISTORY["agents"][0]["public"])
    begin = b"tallystick/v1/agent-genesis\0" + lp(header["agent"].encode()) + bytes.fromhex(header["run"]) + public
    assert header["prev"] == sha256(begin).hexdigest()
    assert header["key"] == sha256(public).hexdigest()[:16]
    second = json.loads(frame(rows["segment 1 fills the gap"])[1])
    assert second["prev"] == sha256(b"tallystick/v1/agent-link\0" + pae(kind, first)).hexdigest()
    leaves = []
    while body:
        length = int(unpack_from(">I", body)[0])
        leaves.append(sha256(b"\0" + body[4 : 4 + length]).digest())
        body = body[4 + length :]
    left, right = (sha256(b"\1" + leaves[at] + leaves[at + 1]).digest() for at in (0, 2))
    assert (header["count"], header["root"]) == (4, sha256(b"\1" + left + right).hexdigest())


def test_state_of_the_facts() -> None:
    row = next(row for row in HISTORY["shards"][0]["records"] if row["name"] == "seal of epoch 0")
    written = bytes.fromhex(row["entry"])
    facts = json.loads(written[written.rindex(b'{"chain"') :])
    newest = next(r for r in HISTORY["shards"][0]["records"] if r["name"] == "segment 4")
    kind, raw, _, _ = frame(bytes.fromhex(newest["record"]))
    header, link = json.loads(raw), sha256(b"tallystick/v1/agent-link\0" + pae(kind, frame(bytes.fromhex(newest["record"]))[1])).hexdigest()
    lines = [f"key trainer {header['key']} active\n", f"run trainer {header['run']} {header['key']} 4 8 {link} -\n"]
    assert facts["state"] == sha256("".join(sorted(lines)).encode()).hexdigest()
    assert facts["entries"] == row["index"]
    assert (facts["first"], facts["last"]) == ([0, 0], [0, row["offset"] - 1])


def test_key_hash_of_section_7() -> None:
    sealer = bytes.fromhex(HISTORY["keys"]["sealer"]["public"])
    for row in HISTORY["checkpoints"]:
        text, _, line = bytes.fromhex(row["note"]).decode().rpartition("\n\n")
        assert text.split("\n")[:2] == [row["origin"], str(row["size"])]
        dash, name, encoded = line.rstrip("\n").split(" ")
        assert (dash, name) == ("\u2014", row["origin"])
        assert base64.b64decode(encoded)[:4] == sha256(name.encode() + b"\n\x01" + sealer).digest()[:4]
        assert base64.b64decode(text.split("\n")[2]).hex() == row["root"]

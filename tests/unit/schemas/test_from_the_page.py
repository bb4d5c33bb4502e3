"""The formulas of schemas/README.md with nothing but hashlib, struct and json, over the committed history: what a second implementer would write first."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from struct import pack, unpack_from
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

VECTORS = Path(__file__).parents[2] / "vectors"
HISTORY: dict[str, Any] = json.loads((VECTORS / "history-1.json").read_bytes())
DIRECTIVES: dict[str, Any] = json.loads((VECTORS / "history-2.json").read_bytes())
LEVEL_3: dict[str, Any] = json.loads((VECTORS / "history-3.json").read_bytes())
MESSAGES: dict[str, Any] = json.loads((VECTORS / "messages.json").read_bytes())
NAMES = {1: "segment", 2: "enrol", 3: "revoke", 4: "erase", 5: "seal", 6: "generation", 7: "directive"}


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
    for shard in [*HISTORY["shards"], *DIRECTIVES["shards"], *LEVEL_3["shards"]]:
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
            if row["name"] == "level 3: an erasure":
                assert facts == frame(record)[3]
            else:
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


def test_the_state_with_directives_of_section_6() -> None:
    """Shard 0 knows one key, no run, and of each subject the directive with the highest number."""
    shard, trainer = DIRECTIVES["shards"][0], DIRECTIVES["agents"][0]["id"]
    newest: dict[bytes, tuple[int, bytes]] = {}
    for row in shard["records"]:
        kind, header = row["entry"][2:4], bytes.fromhex(row["record"])
        if kind == "07" and row["verdict"] == 0:
            raw = frame(header)[1]
            said = json.loads(raw)
            newest[f"{said['about']} {said['subject']}".encode()] = (said["n"], raw)
    lines = [b"key trainer %b active\n" % trainer.encode()]
    lines += [
        b"directive %b %d %b\n" % (sha256(subject).hexdigest().encode(), n, sha256(raw).hexdigest().encode())
        for subject, (n, raw) in newest.items()
    ]
    assert len(newest) == 5
    assert shard["state_digest"] == sha256(b"".join(sorted(lines))).hexdigest()
    written = bytes.fromhex(shard["records"][-1]["entry"])
    assert json.loads(written[written.rindex(b'{"chain"') :])["state"] == shard["state_digest"]


def test_the_state_of_level_3() -> None:
    """Shard 1, when segments 3, 6, 1, 2 and 5 of a run of seven were accepted: 0 and 4 are missing."""
    shard, trainer = LEVEL_3["shards"][1], LEVEL_3["agents"][0]
    rows = {row["name"]: bytes.fromhex(row["record"]) for row in shard["records"]}
    rule = frame(rows["rules of level 3, the first ones"])[1]
    three, six = rows["level 3: segment 3 of a new run"], rows["level 3: segment 6"]
    five, one = rows["level 3: segment 5 that joins"], rows["level 3: segment 1 in the midst of a gap"]

    def link(record: bytes) -> str:
        kind, header, _, _ = frame(record)
        return base64.b64encode(sha256(b"tallystick/v1/agent-link\0" + pae(kind, header)).digest()).decode()

    def prev(record: bytes) -> str:
        return base64.b64encode(bytes.fromhex(json.loads(frame(record)[1])["prev"])).decode()

    name = json.loads(frame(three)[1])["run"]
    genesis = sha256(b"tallystick/v1/agent-genesis\0" + lp(b"trainer") + bytes.fromhex(name) + bytes.fromhex(trainer["public"])).digest()
    missing = [[0, 0, [base64.b64encode(genesis).decode(), 0], [prev(one), 1]], [4, 4, [link(three), 4], [prev(five), 5]]]
    run = {"key": trainer["id"], "link": link(six), "missing": missing, "n": 6, "next_first": 7}
    key = {"active": True, "public": base64.b64encode(bytes.fromhex(trainer["public"])).decode()}
    state = {
        "agents": {"trainer": {"keys": {trainer["id"]: key}, "runs": {name: run}}},
        "directives": {sha256(b"rules ").hexdigest(): [0, sha256(rule).hexdigest()]},
        "epoch": 1,
        "generation": 0,
        "shard": 1,
    }
    found = next(row for row in shard["records"] if row["name"] == "seal of epoch 1 while segments 0 and 4 are missing")
    written = bytes.fromhex(found["entry"])
    facts = json.loads(written[written.rindex(b'{"chain"') :])
    assert facts["state"] == sha256(json.dumps(state, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def envelope(value: bytes) -> tuple[bytes, bytes, int, int, str, str, bytes, bytes]:
    """What is signed after the place, and the type it is signed as; fence, n, agent, key id, signature, body of section 12."""
    fence, n, length = unpack_from(">QQI", value, 4)
    at = 24 + length
    agent, (length,) = value[24:at].decode(), unpack_from(">I", value, at)
    end = at + 4 + length
    (size,), head, after = unpack_from(">I", value, end), value[4 : end + 36], end + 36
    kind, said = b"message", lp(head)
    if value[:4] == b"TSM2":
        hashes = [value[after + 1 + 32 * one :][:32] for one in range(value[after])]
        assert sha256(head).digest() in hashes
        kind, said = b"messages", bytes([len(hashes)]) + b"".join(hashes)
        after += len(said)
    else:
        assert value[:4] == b"TSM1"
    signature, body = value[after : after + 64], value[after + 64 :]
    assert (size, sha256(body).digest()) == (len(body), head[-32:])
    return said, kind, fence, n, agent, value[at + 4 : end].decode(), signature, body


def signed_in(place: tuple[str, str, bytes | None], said: bytes, what: bytes) -> bytes:
    deployment, topic, key = place
    named = b"\0" if key is None else b"\1" + lp(key)
    said = lp(deployment.encode()) + lp(topic.encode()) + named + said
    kind = b"application/vnd.tallystick." + what + b".v1"
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(said)).encode(), said])


def test_envelopes_of_section_12() -> None:
    public = {key["id"]: Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public"])) for key in MESSAGES["keys"]}
    kinds = set()
    for case in MESSAGES["good"]:
        place = (MESSAGES["deployment"], case["topic"], None if case["key"] is None else bytes.fromhex(case["key"]))
        said, kind, fence, n, agent, key, signature, body = envelope(bytes.fromhex(case["value"]))
        kinds.add(kind)
        assert (fence, n, agent, body.hex()) == (case["fence"], case["n"], case["agent"], case["body"])
        public[key].verify(signature, signed_in(place, said, kind))
        with pytest.raises(InvalidSignature):
            public[key].verify(signature, signed_in(("other", *place[1:]), said, kind))
    assert kinds == {b"message", b"messages"}


def test_digests_of_the_heartbeat_of_section_12() -> None:
    """Who reads the topic with the page alone: the highest number of each subject, and the newest directive of each key."""
    held: dict[str, tuple[int, int, str]] = {}
    roles: dict[str, str] = {}
    for row in MESSAGES["locks"]["values"]:
        key = bytes.fromhex(row["key"]).decode()
        if row["value"] is None or row["name"] == "nobody's word":
            continue
        if key.startswith("_role/"):
            roles[key] = row["value"]
            continue
        _, _, fence, n, _, _, _, body = envelope(bytes.fromhex(row["value"]))
        if (fence, n) > max(((one[0], one[1]) for one in held.values()), default=(-1, -1)):
            held[key] = (fence, n, json.loads(body)["state"])
    lines = sorted(b"%d %d %b\n" % (f, n, sha256(key.encode()).digest()) for key, (f, n, state) in held.items() if state == "locked")
    told = MESSAGES["locks"]["heartbeat"]["body"]
    assert (told["count"], told["digest"]) == (len(lines), sha256(b"".join(lines)).hexdigest())
    assert told["roles"] == sha256(b"".join(sorted(sha256(bytes.fromhex(raw)).digest() for raw in roles.values()))).hexdigest()

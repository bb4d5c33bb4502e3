"""The committed vectors: made again byte for byte, and read as a foreign implementation would read them, with our public functions."""

import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from tests.vectors.common import to_bytes
from tests.vectors.make import FILES, FOLDER

from tallystick_schemas.bodies import examine_body
from tallystick_schemas.bulk import first_malformed
from tallystick_schemas.checkpoints import Checkpoint, open_checkpoint, parse_checkpoint, parse_topology, sign_checkpoint
from tallystick_schemas.entries import encode_entry, entry_leaf, genesis_chain, next_chain, parse_entry
from tallystick_schemas.errors import OffsetWentBack, ParseError, RulesUnknown, VerificationError
from tallystick_schemas.events import event_leaf, parse_event
from tallystick_schemas.facts import parse_facts
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.keys import check_public_key, key_id
from tallystick_schemas.merkle import Frontier, leaf_hash, root_of, verify_consistency, verify_inclusion
from tallystick_schemas.notes import Verifier, open_note, parse_verifier
from tallystick_schemas.records import parse_record, signed_bytes
from tallystick_schemas.segments import genesis_link, segment_link
from tallystick_schemas.state import encode_state
from tallystick_schemas.state_digest import state_digest
from tallystick_schemas.verdicts import Verdict

VECTORS: dict[str, Any] = {name: json.loads((FOLDER / name).read_bytes()) for name in FILES}
HISTORY, EVENTS, NOTES, TREES = (VECTORS[name] for name in ("history-1.json", "events.json", "notes.json", "trees.json"))
PUBLIC = {name: bytes.fromhex(key["public"]) for name, key in HISTORY["keys"].items()}
SHARDS = HISTORY["shards"]
PLAIN = bytes.fromhex(EVENTS["good"][0]["event"])
EVERY_SHARD = [(name, shard) for name in FILES if name.startswith("history-") for shard in VECTORS[name]["shards"]]
ROWS = [(shard["shard"], row) for shard in SHARDS for row in shard["records"]]
# google/certificate-transparency, merkletree reference tests; the empty root is RFC 6962's.
KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def named(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def parameters(shard: int, history: dict[str, Any] = HISTORY) -> Parameters:
    """Keys stand in the order of their pins."""
    pins = [[bytes.fromhex(key["public"]) for name, key in history["keys"].items() if name.startswith(of)] for of in ("operator", "sealer")]
    return Parameters.of(shard, SHARDS[shard]["origin"], tuple(pins[0]), tuple(pins[1]))


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_committed_file_is_what_the_generator_makes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == to_bytes(FILES[name]())
    assert VECTORS[name]["provenance"]["made_by"] == "python -m tests.vectors.make"


def test_every_verdict_occurs() -> None:
    assert {row["verdict"] for _, row in ROWS} == set(map(int, Verdict))
    assert len({(shard, row["name"]) for shard, row in ROWS}) == len(ROWS)


@named(EVENTS["good"])
def test_good_events(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["event"])
    assert parse_event(raw).v == 1
    assert event_leaf(raw).hex() == case["leaf"] == sha256(b"\0" + raw).hexdigest()


@named(EVENTS["bad"])
def test_bad_events(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["event"])
    with pytest.raises(ParseError):
        parse_event(raw)
    assert raw not in unhex([good["event"] for good in EVENTS["good"]])
    assert case["rule"]


@named(EVENTS["bad_from_level_3"])
def test_events_that_level_3_refuses_are_good_before_it(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["event"])
    assert parse_event(raw).v == 1
    with pytest.raises(ParseError):
        parse_event(raw, bounded=True)
    assert first_malformed([PLAIN, raw, PLAIN]) is None
    found = first_malformed([PLAIN, raw, PLAIN], bounded=True)
    assert found is not None
    assert found[0] == 1


def test_all_other_good_events_are_good_at_level_3() -> None:
    others = unhex([case["event"] for case in EVENTS["good"]])
    refused = unhex([case["event"] for case in EVENTS["bad_from_level_3"]])
    kept = [raw for raw in others if raw not in refused]
    assert first_malformed(kept, bounded=True) is None
    assert len(kept) == len(others) - 3


@named(NOTES["good"])
def test_good_notes(case: dict[str, Any]) -> None:
    assert open_note(bytes.fromhex(case["note"]), [parse_verifier(text) for text in case["trusted"]]) == case["text"]


@named(NOTES["bad"])
def test_bad_notes(case: dict[str, Any]) -> None:
    error = {"parse": ParseError, "verification": VerificationError}[case["error"]]
    with pytest.raises(error):
        open_note(bytes.fromhex(case["note"]), [parse_verifier(text) for text in case["trusted"]])


def test_checkpoints_are_signed_to_the_same_bytes() -> None:
    sealer = NOTES["keys"][0]
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sealer["seed"]))
    for row in NOTES["checkpoints"]:
        checkpoint = Checkpoint(row["origin"], row["size"], bytes.fromhex(row["root"]))
        note = bytes.fromhex(row["note"])
        assert sign_checkpoint(checkpoint, private) == note
        assert open_checkpoint(note, [Verifier(row["origin"], bytes.fromhex(sealer["public"]))], row["origin"]) == checkpoint


@named(NOTES["bad_checkpoint_texts"])
def test_bad_checkpoint_texts(case: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        parse_checkpoint(case["text"])


def test_roots_known_from_the_literature() -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in TREES["data"]]
    assert [leaf.hex() for leaf in leaves] == TREES["leaves"]
    assert [root_of(leaves[:size]).hex() for size in range(9)] == TREES["roots"] == KNOWN_ROOTS


def _inclusion(case: dict[str, Any]) -> None:
    leaf, root = unhex([case["leaf"], case["root"]])
    verify_inclusion(leaf, case["index"], case["size"], unhex(case["proof"]), root)


def _consistency(case: dict[str, Any]) -> None:
    old_root, new_root = unhex([case["old_root"], case["new_root"]])
    verify_consistency(case["old"], old_root, case["new"], new_root, unhex(case["proof"]))


def test_proofs_of_every_tree() -> None:
    assert len(TREES["inclusion"]) == 36
    assert len(TREES["consistency"]) == 45
    for case in TREES["inclusion"]:
        _inclusion(case)
    for case in TREES["consistency"]:
        _consistency(case)


@named(TREES["bad_inclusion"])
def test_bad_inclusion_proofs(case: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        _inclusion(case)


@named(TREES["bad_consistency"])
def test_bad_consistency_proofs(case: dict[str, Any]) -> None:
    with pytest.raises(VerificationError):
        _consistency(case)


@pytest.mark.parametrize(("name", "shard"), EVERY_SHARD, ids=[f"{name}-{shard['shard']}" for name, shard in EVERY_SHARD])
def test_the_fold_gives_the_entries(name: str, shard: dict[str, Any]) -> None:
    machine = Fold(parameters(shard["shard"], VECTORS[name]))
    for row in shard["records"]:
        step = machine.fold(bytes.fromhex(row["record"]), row["offset"], row["append_ms"])
        found = (step.index, int(step.entry.verdict), step.raw.hex(), step.leaf.hex(), step.chain.hex())
        assert found == (row["index"], row["verdict"], row["entry"], row["leaf"], row["chain"]), row["name"]
    assert state_digest(machine.state).hex() == shard["state_digest"]
    assert {name: getattr(machine.state, name) for name in shard["state"]} == shard["state"]


@pytest.mark.parametrize(("name", "shard"), EVERY_SHARD, ids=[f"{name}-{shard['shard']}" for name, shard in EVERY_SHARD])
def test_an_auditor_folds_the_entries_again(name: str, shard: dict[str, Any]) -> None:
    machine = Fold(parameters(shard["shard"], VECTORS[name]))
    for row in shard["records"]:
        entry = parse_entry(bytes.fromhex(row["entry"]))
        assert encode_entry(entry).hex() == row["entry"]
        body = b"" if entry.kind == 0 or entry.verdict == Verdict.UNSUPPORTED_VERSION else parse_record(bytes.fromhex(row["record"])).body
        step = machine.refold(entry, lambda record, body=body: examine_body(record._replace(body=body), bounded=machine.bounded))  # type: ignore[misc]
        assert step.raw.hex() == row["entry"], row["name"]


@pytest.mark.parametrize("shard", [shard for _, shard in EVERY_SHARD], ids=[f"{name}-{shard['shard']}" for name, shard in EVERY_SHARD])
def test_leaves_and_chain_and_root(shard: dict[str, Any]) -> None:
    chain, tree = genesis_chain(shard["origin"]), Frontier()
    assert chain.hex() == shard["genesis_chain"]
    for index, row in enumerate(shard["records"]):
        leaf = entry_leaf(bytes.fromhex(row["entry"]))
        chain = next_chain(chain, index, leaf)
        tree.append(leaf)
        assert (leaf.hex(), chain.hex()) == (row["leaf"], row["chain"])
    assert tree.root.hex() == shard["root"]


def _public_key_of(header: Any) -> bytes | None:
    """By key id, from what the file lists."""
    keys = [*HISTORY["keys"].values(), *HISTORY["agents"]]
    return next((bytes.fromhex(key["public"]) for key in keys if key["id"] == header.key), None)


def test_signatures_hold_except_where_the_verdict_says() -> None:
    judged = 0
    for _, row in ROWS:
        if row["verdict"] in (Verdict.MALFORMED, Verdict.UNSUPPORTED_VERSION):
            continue
        record = parse_record(bytes.fromhex(row["record"]))
        public = _public_key_of(record.header)
        assert public is not None
        assert key_id(public) == record.header.key
        good = True
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(record.sig, signed_bytes(record.kind, record.header_raw))
        except InvalidSignature:
            good = False
        # A seal under the operator's key id is refused before its signature is looked at.
        assert good == (row["verdict"] != Verdict.BAD_SIGNATURE) or row["verdict"] == Verdict.UNKNOWN_KEY, row["name"]
        judged += 1
    assert judged > 40


def test_links_of_the_run() -> None:
    accepted = [parse_record(bytes.fromhex(row["record"])) for _, row in ROWS if row["verdict"] in (0, 1)]
    headers = {r.header.n: r for r in accepted if isinstance(r.header, SegmentHeader) and r.header.agent == "trainer"}
    run = headers[0].header
    assert isinstance(run, SegmentHeader)
    link = genesis_link("trainer", run.run, bytes.fromhex(HISTORY["agents"][0]["public"]))
    for n in sorted(headers):
        header = headers[n].header
        assert isinstance(header, SegmentHeader)
        assert header.prev == link.hex()
        link = segment_link(headers[n].header_raw)
    assert sorted(headers) == [0, 1, 2, 3, 4]


def test_keys_are_good_ones() -> None:
    for key in [*HISTORY["keys"].values(), *HISTORY["agents"]]:
        check_public_key(bytes.fromhex(key["public"]))
        assert Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["seed"])).public_key().public_bytes_raw().hex() == key["public"]


def test_facts_of_seals() -> None:
    entries = [parse_entry(bytes.fromhex(row["entry"])) for row in SHARDS[1]["records"]]
    facts = [parse_facts(entry.facts) for entry in entries if entry.facts]
    assert [(f.epoch, f.entries, f.first, f.last) for f in facts] == [(0, 2, (0, 0), (0, 0)), (1, 0, None, None)]
    assert [f.chain for f in facts] == [SHARDS[1]["records"][index]["chain"] for index in (1, 2)]


def test_checkpoints_and_root_log() -> None:
    logs = {shard["origin"]: [bytes.fromhex(row["leaf"]) for row in shard["records"]] for shard in SHARDS}
    logs[HISTORY["root_origin"]] = [leaf_hash(data) for data in unhex(HISTORY["root_leaves"])]
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(HISTORY["keys"]["sealer"]["seed"]))
    for row in HISTORY["checkpoints"]:
        checkpoint = open_checkpoint(bytes.fromhex(row["note"]), [Verifier(row["origin"], PUBLIC["sealer"])], row["origin"])
        assert checkpoint == Checkpoint(row["origin"], row["size"], root_of(logs[row["origin"]][: row["size"]]))
        assert sign_checkpoint(checkpoint, private).hex() == row["note"]
    notes = [row["note"] for row in HISTORY["checkpoints"] if row["origin"] != HISTORY["root_origin"]]
    assert HISTORY["root_leaves"][1:] == notes
    assert parse_topology(bytes.fromhex(HISTORY["root_leaves"][0])).shards == [shard["origin"] for shard in SHARDS]


def test_proofs_within_the_shard() -> None:
    rows = SHARDS[0]["records"]
    roots = {row["size"]: bytes.fromhex(row["root"]) for row in HISTORY["checkpoints"] if row["origin"] == SHARDS[0]["origin"]}
    for proof in HISTORY["inclusion"]:
        leaf = bytes.fromhex(rows[proof["index"]]["leaf"])
        verify_inclusion(leaf, proof["index"], proof["size"], unhex(proof["proof"]), roots[proof["size"]])
    for proof in HISTORY["consistency"]:
        verify_consistency(proof["old"], roots[proof["old"]], proof["new"], roots[proof["new"]], unhex(proof["proof"]))
    assert (len(HISTORY["inclusion"]), len(HISTORY["consistency"])) == (4, 2)


STOPS = [
    (name, stop)
    for name, found in (("history-1.json", [HISTORY["stops_the_fold"]]), ("history-4.json", VECTORS["history-4.json"]["stops_the_fold"]))
    for stop in found
]


@pytest.mark.parametrize(("name", "stop"), STOPS, ids=[stop["name"] for _, stop in STOPS])
def test_what_stops_the_fold(name: str, stop: dict[str, Any]) -> None:
    machine = Fold(parameters(stop["shard"], VECTORS[name]))
    for row in VECTORS[name]["shards"][stop["shard"]]["records"]:
        machine.fold(bytes.fromhex(row["record"]), row["offset"], row["append_ms"])
    before = encode_state(machine.state)
    error = {"RulesUnknown": RulesUnknown}.get(stop.get("error", ""), OffsetWentBack)
    with pytest.raises(error):
        machine.fold(bytes.fromhex(stop["record"]), stop["offset"], stop["append_ms"])
    assert encode_state(machine.state) == before

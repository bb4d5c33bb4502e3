"""history-1: two shards in which every verdict occurs. The number beside each name is what the specification says, written by hand."""

from itertools import pairwise

from tallystick_schemas.encoding import lp
from tallystick_schemas.headers import Kind, Seen, SegmentHeader, encode_header
from tallystick_schemas.merkle import consistency_proof, inclusion_proof, leaf_hashes, root_of
from tallystick_schemas.records import MAGIC, MAX_BODY_BYTES, pack_items, parse_record
from tallystick_schemas.segments import genesis_link, new_run, segment_link

from . import events
from .common import Json, NamedKey, at, provenance
from .script import LOG, OPERATOR, SEALER, RootLog, Shard, enrol, erase, generation, revoke, seal, segment, signed, verified

TRAINER, SECOND, DOOR = NamedKey("trainer"), NamedKey("trainer, second key"), NamedKey("door")
RUN = new_run(1000, bytes(range(8)))
ONE = [events.PLAIN]
_NEVER_SEEN = NamedKey("never enrolled").id


def header(n: int, first: int, prev: bytes, items: list[bytes], **changes: object) -> SegmentHeader:
    """A segment's header of the trainer's run."""
    root = root_of(leaf_hashes(items)).hex()
    fields: dict[str, object] = {"v": 1, "agent": "trainer", "key": TRAINER.id, "run": RUN, "n": n, "first": first, "count": len(items)}
    fields |= {"root": root, "prev": prev.hex(), "time": at(10 + n), "seen": None}
    return SegmentHeader(**(fields | changes))  # type: ignore[arg-type]


def link_of(record: bytes) -> bytes:
    return segment_link(parse_record(record).header_raw)


def body_changed(record: bytes, body: bytes) -> bytes:
    """The same header and signature over another body."""
    return record[: -len(lp(parse_record(record).body))] + lp(body)


def segments(shard: Shard) -> None:
    """A run: repeats, forks, gaps, and everything that is refused for itself."""
    start = genesis_link("trainer", RUN, TRAINER.public)
    items = [events.PLAIN, events.FULL, events.GOOD["spaces-and-tabs"], events.GOOD["unknown-fields"]]
    s0 = segment(header(0, 0, start, items), TRAINER, items)
    shard.add("segment of an agent that is not enrolled", 5, s0)
    shard.add("enrolment", 0, enrol("trainer", TRAINER, 1))
    shard.add("enrolment again", 2, enrol("trainer", TRAINER, 2))
    shard.add("run begins with another prev", 3, segment(header(0, 0, bytes(32), items), TRAINER, items))
    shard.add("run begins with another first", 3, segment(header(0, 1, start, items), TRAINER, items))
    shard.add("segment 0", 0, s0)
    shard.add("segment 0 again", 2, s0)
    shard.add("segment 0 with other bytes", 3, segment(header(0, 0, start, ONE), TRAINER, ONE))
    s1 = segment(header(1, 4, link_of(s0), ONE), TRAINER, ONE)
    s2 = segment(header(2, 5, link_of(s1), ONE), TRAINER, ONE)
    shard.add("segment 2 before segment 1", 1, s2)
    shard.add("segment 1 fills the gap", 1, s1)
    shard.add("segment 1 with other bytes, no longer the newest", 2, segment(header(1, 4, link_of(s0), items), TRAINER, items))
    written = encode_header(header(3, 6, link_of(s2), ONE, seen=Seen(4, "0f" * 32))).replace(b'{"v":1,', b'{ "later": [1], "v": 1, ')
    s3 = signed(Kind.SEGMENT, written, TRAINER, pack_items(ONE))
    shard.add("segment 3: seen, an unknown field, and another writer's spaces", 0, s3)
    s4 = segment(header(4, 7, link_of(s3), ONE), TRAINER, ONE)
    shard.add("segment 4 with another prev", 3, segment(header(4, 7, link_of(s2), ONE), TRAINER, ONE))
    shard.add("segment 4 with another first", 3, segment(header(4, 8, link_of(s3), ONE), TRAINER, ONE))
    shard.add("signature of another key", 4, segment(header(4, 7, link_of(s3), ONE), DOOR, ONE))
    shard.add(
        "signature over another type", 4, s4[:4] + bytes([Kind.SEGMENT]) + signed(Kind.SEAL, parse_record(s4).header_raw, TRAINER)[5:]
    )
    shard.add("body without an item", 7, body_changed(s4, b""))
    shard.add("body with one item more", 7, body_changed(s4, pack_items(ONE * 2)))
    shard.add("body with another item", 7, body_changed(s4, pack_items([events.FULL])))
    shard.add("body whose item is cut off", 7, body_changed(s4, pack_items(ONE)[:-1]))
    bad = [events.PLAIN, events.BAD["key-twice"][0]]
    shard.add("an event with a key twice", 10, segment(header(4, 7, link_of(s3), bad), TRAINER, bad))
    shard.add("segment 4", 0, s4)


def malformed(shard: Shard) -> None:
    """Verdicts 8 and 9."""
    good = seal(0, 20)
    raw = parse_record(good).header_raw
    shard.add("nothing", 8, b"")
    shard.add("another magic", 8, b"TSG2" + good[4:])
    shard.add("kind 0", 8, good[:4] + b"\x00" + good[5:])
    shard.add("kind 7", 8, good[:4] + b"\x07" + good[5:])
    shard.add("header cut off", 8, good[:20])
    shard.add("signature cut off", 8, good[: 9 + len(raw) + 63])
    shard.add("one byte more", 8, good + b"\x00")
    shard.add("body that says it is too long", 8, good[:-4] + (MAX_BODY_BYTES + 1).to_bytes(4, "big"))
    shard.add("header of 4097 bytes", 8, MAGIC + b"\x05" + lp(raw + b" " * (4097 - len(raw))) + bytes(64) + lp(b""))
    for name, found, given in (
        ("header is an array", raw, b"[]"),
        ("header with a key twice", b'{"v":1,', b'{"v":1,"v":1,'),
        ("header with a raw newline", b"{", b"{\n"),
        ("header with NUL in an unknown field", b"{", b'{"later":"\\u0000",'),
        ("header without v", b'"v":1,', b""),
        ("header whose v is 1.0", b'"v":1', b'"v":1.0'),
        ("header whose v is true", b'"v":1', b'"v":true'),
        ("header whose epoch is -1", b'"epoch":0', b'"epoch":-1'),
        ("header whose epoch is 2^63", b'"epoch":0', b'"epoch":9223372036854775808'),
        ("header whose time has no fraction", b".200000Z", b"Z"),
        ("header whose key id is in capitals", SEALER.id.encode(), SEALER.id.upper().encode()),
        ("version 2 with a key twice", b'"v":1', b'"v":2,"v":2'),
    ):
        assert found in raw, name
        shard.add(name, 8, signed(Kind.SEAL, raw.replace(found, given, 1), SEALER))
    enrolment = parse_record(enrol("trainer", SECOND, 21)).header_raw
    for name, found, given in (
        ("enrolment of a key of low order", enrolment.split(b'"public_key":"')[1][:44], b"A" * 43 + b"="),
        ("enrolment of an agent with a space", b'"trainer"', b'"the trainer"'),
        ("enrolment whose owner is null", b'"research"', b"null"),
    ):
        assert found in enrolment, name
        shard.add(name, 8, signed(Kind.ENROL, enrolment.replace(found, given, 1), OPERATOR))
    shard.add("version 2", 9, signed(Kind.SEAL, raw.replace(b'"v":1', b'"v":2'), SEALER))
    shard.add("version 2 with fields of its own", 9, signed(Kind.SEAL, b'{"v":2,"epoch":"first"}', SEALER))
    shard.add("version of 25 digits", 9, signed(Kind.SEAL, raw.replace(b'"v":1', b'"v":1' + b"0" * 24), SEALER))


def operators(shard: Shard) -> None:
    """Seals, erasures, generations that do not follow, and revocations."""
    shard.add(
        "seal of epoch 0 under the operator's key",
        5,
        signed(Kind.SEAL, parse_record(seal(0, 22)).header_raw.replace(SEALER.id.encode(), OPERATOR.id.encode()), OPERATOR),
    )
    shard.add("seal with a body", 7, body_changed(seal(1, 23), b"x"))
    shard.add("generation 2 after 0", 3, generation(2, 0, -1, 24))
    shard.add("generation of another shard", 3, generation(1, 1, -1, 25))
    shard.add("erasure", 0, erase(0, [b'{"index":6,"pos":0}', b'{"index":6,"pos":3}'], 26))
    shard.add("erasure that counts wrongly", 7, erase(0, [b'{"index":6,"pos":0}'], 27, count=2))
    shard.add("erasure that names a place twice in one item", 7, erase(0, [b'{"index":6,"pos":0,"pos":1}'], 28))
    shard.add("erasure that names position 512", 7, erase(0, [b'{"index":6,"pos":512}'], 29))
    shard.add("enrolment of a second key", 0, enrol("trainer", SECOND, 30))
    other = header(5, 8, bytes(32), ONE, key=SECOND.id)
    shard.add("the run goes on under another key", 3, segment(other, SECOND, ONE))
    shard.add("revocation of the second key", 0, revoke("trainer", SECOND.id, 31))
    shard.add("revocation again", 2, revoke("trainer", SECOND.id, 32))
    shard.add("segment of a revoked key", 6, segment(other, SECOND, ONE))
    shard.add("enrolment of a revoked key", 6, enrol("trainer", SECOND, 33))
    shard.add("revocation of a key that was never enrolled", 0, revoke("trainer", _NEVER_SEEN, 34))
    shard.add("seal of epoch 0 again", 2, seal(0, 35))
    shard.add("seal of epoch 3 after 0", 1, seal(3, 36))


def runs(shard: Shard) -> None:
    """Seventeen runs of one agent: the oldest is forgotten."""
    shard.add("enrolment of the door", 0, enrol("door", DOOR, 40))
    for number in range(1, 18):
        run = new_run(number, bytes(8))
        prev, n = genesis_link("door", run, DOOR.public), 0
        if number == 3:
            prev, n = bytes(32), 2  # its first two segments are still on their way
        made = header(n, n, prev, ONE, agent="door", key=DOOR.id, run=run)
        shard.add(f"run {number} of the door", 1 if n else 0, segment(made, DOOR, ONE))
    old = header(1, 1, bytes(32), ONE, agent="door", key=DOOR.id, run=new_run(1, bytes(8)))
    shard.add("run 1 goes on after 16 newer ones", 11, segment(old, DOOR, ONE))


def build() -> Json:
    shards, root = [Shard(0), Shard(1)], RootLog()
    first, second = shards
    first.add("generation 0", 0, generation(0, 0, -1, 0))
    segments(first)
    malformed(first)
    first.add("seal of epoch 0", 0, seal(0, 20))
    second.add("record before any generation", 8, b"TSG1")
    second.add("generation 0 comes late", 0, generation(0, 1, 0, 0), anew=True)
    second.add("seal of epoch 0", 0, seal(0, 20))
    root.round(shards)
    operators(first)
    second.add("seal of epoch 1 with nothing since the last", 0, seal(1, 36))
    root.round(shards)
    runs(first)
    first.add("generation 1: the topic was made anew", 0, generation(1, 0, len(first.rows) - 1, 41), anew=True)
    first.add("seal of epoch 4", 0, seal(4, 42))
    root.round([first])
    about = (
        "A whole history: what Kafka held, what the fold makes of it, and what the sealer signed. Each record is named after what it shows."
    )
    sizes = [row["size"] for row in root.checkpoints if row["origin"] == first.origin]
    return {
        "provenance": provenance(about),
        "deployment": LOG.deployment,
        "root_origin": LOG.root_origin,
        "keys": {"operator": OPERATOR.to_json(), "sealer": SEALER.to_json()},
        "agents": [key.to_json() for key in (TRAINER, SECOND, DOOR)],
        "shards": [shard.to_json() for shard in shards],
        "root_leaves": [data.hex() for data in root.data],
        "checkpoints": root.checkpoints,
        "verified": verified(
            completeness="fail",
            found=[("completeness", "fail", 4, 0, 67), ("completeness", "unknown", 5, 0, 71)],
            forks=[(0, index) for index in (4, 5, 8, 11, 13, 14, 60)],
            unsigned=["trainer"],
        ),
        "inclusion": [
            {"index": index, "size": sizes[-1], "proof": [node.hex() for node in inclusion_proof(first.leaves[: sizes[-1]], index)]}
            for index in (0, 6, sizes[0] - 1, sizes[-1] - 1)
        ],
        "consistency": [
            {"old": old, "new": new, "proof": [node.hex() for node in consistency_proof(first.leaves[:new], old)]}
            for old, new in pairwise(sizes)
        ],
        "stops_the_fold": {
            "shard": 0,
            "name": "offset 0 again, and no generation record",
            "offset": 0,
            "append_ms": 1_795_406_500_000,
            "record": seal(5, 43).hex(),
        },
    }

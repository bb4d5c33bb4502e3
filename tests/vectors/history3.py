"""history-3: rules of level 3. Shard 0 goes there from level 2; shard 1 begins with it. Verdicts are written by hand."""

from tallystick_schemas.directives import RULES
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.headers import Enrol, Kind, SegmentHeader, encode_header
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.records import parse_record
from tallystick_schemas.segments import genesis_link, new_run, segment_link
from tallystick_schemas.signing import sign_record

from . import events
from .common import Json, NamedKey, at, provenance
from .history2 import header as directive
from .script import LOG, OPERATOR, SEALER, RootLog, Shard, enrol, erase, generation, seal, segment, signed, verified

TRAINER, THIEF = NamedKey("trainer"), NamedKey("what the thief of the trainer's key makes up")
ITEMS = [events.PLAIN]
LARGE, NO_DAY = events.GOOD["unknown-large-float"], events.GOOD["february-31"]


def rules(level: int, n: int, when: int) -> bytes:
    return sign_record(directive(RULES, "", {"level": level}, n, when), OPERATOR.private)


class Run:
    """Segments of the trainer: some that follow each other, and what else its key may sign under their numbers."""

    def __init__(self, number: int) -> None:
        self.run = new_run(number, bytes(8))
        self.genesis = genesis_link("trainer", self.run, TRAINER.public)
        self.records: list[bytes] = []

    def sign(self, n: int, prev: bytes, first: int, items: list[bytes]) -> bytes:
        root = root_of(leaf_hashes(items)).hex()
        header = SegmentHeader(1, "trainer", TRAINER.id, self.run, n, first, len(items), root, prev.hex(), at(10 + n))
        return segment(header, TRAINER, items)

    def next(self, items: list[bytes] | None = None) -> bytes:
        """The next one in order."""
        n = len(self.records)
        prev = segment_link(parse_record(self.records[-1]).header_raw) if n else self.genesis
        self.records.append(self.sign(n, prev, n, items or ITEMS))
        return self.records[-1]

    def other(self, n: int, *, items: list[bytes] | None = None, prev: bytes | None = None, first: int | None = None) -> bytes:
        """Another one under number n, which has the same place unless it is said otherwise."""
        found = parse_record(self.records[n]).header
        assert isinstance(found, SegmentHeader)
        given = bytes.fromhex(found.prev) if prev is None else prev
        return self.sign(n, given, found.first if first is None else first, items or [events.FULL])


def bounds(shard: Shard, level: int) -> None:
    """What the rules of level 3 refuse, and those of level 2 accept."""
    event, header = (10, 8) if level == 3 else (0, 0)
    for name, item, number in (("a number beyond every double", LARGE, 1), ("the 31st of February", NO_DAY, 2)):
        shard.add(f"level {level}: an event with {name}", event, Run(100 * level + number).next([item]))
    enrolment = encode_header(Enrol(1, OPERATOR.id, at(3), f"late-{level}", to_base64(THIEF.public), "research"))
    odd = enrolment.replace(b'{"v":1', b'{"later":1e999,"v":1')
    shard.add(f"level {level}: a header with a number beyond every double", header, signed(Kind.ENROL, odd, OPERATOR))
    day = enrolment.replace(b"2026-11-23", b"2026-02-31").replace(b"late-", b"later-")
    shard.add(f"level {level}: a header of the 31st of February", header, signed(Kind.ENROL, day, OPERATOR))
    version = odd.replace(b'"v":1', b'"v":2')
    shard.add(f"level {level}: version 2 with a number beyond every double", 8 if level == 3 else 9, signed(Kind.ENROL, version, OPERATOR))


def erasures(shard: Shard, level: int) -> None:
    """From level 3 on the entry of an erasure has its places."""
    places = [b'{"index":1,"pos":0}', b'{"index":4,"pos":2}']
    shard.add(f"level {level}: an erasure", 0, erase(shard.number, places, 30))
    shard.add(f"level {level}: an erasure that counts wrongly", 7, erase(shard.number, places, 31, count=1))


def gaps(shard: Shard, level: int) -> None:
    """Seven segments, of which 0, 3 and 6 come first."""
    run, wrong = Run(10 + level), 3 if level == 3 else 1
    for _ in range(7):
        run.next()
    shard.add(f"level {level}: segment 3 of a new run", 1, run.records[3])
    shard.add(f"level {level}: segment 6", 1, run.records[6])
    if level == 3:
        shard.add("level 3: segment 5 whose link is not the prev that segment 6 signed", wrong, run.other(5))
        shard.add("level 3: segment 5 that ends at another event than segment 6 begins with", wrong, run.other(5, first=4))
        shard.add("level 3: segment 4 whose prev is not the link of segment 3", wrong, run.other(4, prev=bytes(32)))
        shard.add("level 3: segment 4 that begins with another event than segment 3 ended at", wrong, run.other(4, first=5))
        shard.add("level 3: segment 0 that does not begin the run", wrong, run.other(0, prev=bytes(32)))
        shard.add("level 3: segment 1 in the midst of a gap", 1, run.records[1])
        shard.add("level 3: segment 0 whose link is not the prev that segment 1 signed", wrong, run.other(0))
        shard.add("level 3: segment 2 between what both neighbours signed", 1, run.records[2])
        shard.add("level 3: segment 5 that joins", 1, run.records[5])
        shard.add("seal of epoch 1 while segments 0 and 4 are missing", 0, seal(1, 40))
        shard.add("level 3: segment 4 whose link is not the prev that segment 5 signed", wrong, run.other(4))
        for n in (4, 0):
            shard.add(f"level 3: segment {n} fills what is left", 1, run.records[n])
        shard.add("level 3: segment 7 follows", 0, run.next())
    else:
        shard.add("level 2: segment 5 whose link is not the prev that segment 6 signed", wrong, run.other(5))


def old_gap(shard: Shard, run: Run) -> None:
    """It was opened before the rules of level 3: nobody remembered its edges, but those that are seen from now on are held to."""
    shard.add("segment 3 of a gap of level 2: its edges are unknown", 1, run.records[3])
    shard.add("segment 2 whose link is not the prev that segment 3 signed", 3, run.other(2))
    shard.add("segment 4 whose prev is not the link of segment 3", 3, run.other(4, prev=bytes(32)))
    shard.add("segment 5 with another link than segment 6 signed, which nobody remembered", 1, run.other(5))


def build() -> Json:
    shards, root = [Shard(0), Shard(1)], RootLog()
    first, second = shards
    for shard in shards:
        shard.add("generation 0", 0, generation(0, shard.number, -1, 0))
    first.add("rules of level 2", 0, rules(2, 0, 1))
    for shard in shards:
        shard.add("enrolment", 0, enrol("trainer", TRAINER, 2))
    bounds(first, 2)
    gaps(first, 2)
    erasures(first, 2)
    run = Run(5)
    for _ in range(7):
        run.next()
    first.add("segment 6 of a new run", 1, run.records[6])
    first.add("seal of epoch 0", 0, seal(0, 20))
    second.add("seal of epoch 0", 0, seal(0, 20))
    root.round(shards)
    first.add("rules of level 3", 0, rules(3, 1, 21))
    second.add("rules of level 3, the first ones", 0, rules(3, 0, 21))
    for shard in shards:
        bounds(shard, 3)
        gaps(shard, 3)
        erasures(shard, 3)
    old_gap(first, run)
    first.add("rules of level 2 again", 2, rules(2, 2, 50))
    first.add("rules of level 3 again", 2, rules(3, 2, 51))
    bounds(first, 3)
    for shard in shards:
        shard.add("seal of epoch 2", 0, seal(2, 60))
    root.round(shards)
    return {
        "provenance": provenance(
            "A history that goes from level 2 to level 3, and one that begins with it. Each record is named after what it shows."
        ),
        "deployment": LOG.deployment,
        "root_origin": LOG.root_origin,
        "keys": {"operator": OPERATOR.to_json(), "sealer": SEALER.to_json()},
        "agents": [TRAINER.to_json(), THIEF.to_json()],
        "shards": [shard.to_json() for shard in shards],
        "root_leaves": [data.hex() for data in root.data],
        "checkpoints": root.checkpoints,
        "verified": verified(
            completeness="unknown",
            found=[("completeness", "unknown", 5, 0, index) for index in (10, 42)],
            forks=[
                *((0, index) for index in (10, 23, 24, 25, 26, 27, 29, 33, 40, 41, 42)),
                *((1, index) for index in (11, 12, 13, 14, 15, 17, 21)),
            ],
        ),
    }

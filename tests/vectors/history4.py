"""history-4: keys of operators and sealers that end, what agents were shown, and words that two readers took differently. Verdicts are written by hand.

Shard 0 goes from level 2 to level 3, shard 1 begins with level 3. Three operators and two sealers are pinned, in the order of `keys`.
"""

from typing import Any

import msgspec

from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.directives import AGENT, RETIRE, RULES
from tallystick_schemas.headers import Kind, Seen, SegmentHeader, encode_header
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.notes import Verifier, signature_by
from tallystick_schemas.records import pack_items, parse_record
from tallystick_schemas.segments import genesis_link, new_run, segment_link
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import sign_record

from . import events
from .common import Json, NamedKey, at, provenance
from .history2 import header as directive
from .script import FIRST_APPEND_MS, LOG, OPERATOR, SEALER, RootLog, Shard, enrol, erase, generation, seal, signed, verified

SECOND, THIRD, NEXT_SEALER = NamedKey("operator, second"), NamedKey("operator, third"), NamedKey("sealer, second")
TRAINER, UNPINNED = NamedKey("trainer"), NamedKey("an operator whose key nobody pinned")
PINNED = {"operator": OPERATOR, "operator-2": SECOND, "operator-3": THIRD, "sealer": SEALER, "sealer-2": NEXT_SEALER}
PINS = LogSettings(LOG.deployment, LOG.shards, (OPERATOR.public, SECOND.public, THIRD.public), (SEALER.public, NEXT_SEALER.public))
SUBJECT = f"trainer {TRAINER.id}"
ITEMS = [events.PLAIN]
DEEP = b'{"level":' + b"[" * 8 + b"]" * 8 + b"}"


def says(key: NamedKey, about: str, subject: str, value: dict[str, Any], n: int = 0) -> bytes:
    return sign_record(directive(about, subject, value, n, 1, key.id), key.private)


def rules(level: object, n: int, subject: str = "", key: NamedKey = OPERATOR) -> bytes:
    return says(key, RULES, subject, {"level": level}, n)


def retire(key: NamedKey, ended: NamedKey, n: int = 0) -> bytes:
    return says(key, RETIRE, ended.id, {"reason": "stolen"}, n)


def rewritten(key: NamedKey, found: bytes, given: bytes, n: int = 1) -> bytes:
    """A directive about an agent with other bytes in its header."""
    raw = encode_header(directive(AGENT, SUBJECT, {}, n, 1, key.id))
    assert found in raw
    return signed(Kind.DIRECTIVE, raw.replace(found, given, 1), key)


class Run:
    """A run of the trainer whose segments say what it was shown."""

    def __init__(self, number: int) -> None:
        self.run, self.n = new_run(number, bytes(8)), 0
        self.link = genesis_link("trainer", self.run, TRAINER.public)

    def sign(self, seen: bytes) -> bytes:
        """The next segment; `seen` as it stands in the header. It is the last one when it is refused."""
        root = root_of(leaf_hashes(ITEMS)).hex()
        header = SegmentHeader(1, "trainer", TRAINER.id, self.run, self.n, self.n, 1, root, self.link.hex(), at(10))
        raw = encode_header(header).replace(b'"seen":null', b'"seen":' + seen)
        return signed(Kind.SEGMENT, raw, TRAINER, pack_items(ITEMS))

    def add(self, shard: Shard, name: str, verdict: int, seen: bytes) -> None:
        record = self.sign(seen)
        shard.add(name, verdict, record)
        if verdict == 0:
            self.n, self.link = self.n + 1, segment_link(parse_record(record).header_raw)


def shown(root: RootLog, root_hash: bytes | None = None, key: NamedKey = SEALER) -> Seen:
    """The newest root checkpoint with its signature; or another root that this key signed for the same size."""
    newest = root.checkpoints[-1]
    checkpoint = Checkpoint(newest["origin"], newest["size"], root_hash or bytes.fromhex(newest["root"]))
    sig = signature_by(sign_checkpoint(checkpoint, key.private), [Verifier(checkpoint.origin, key.public)])
    return Seen(checkpoint.size, checkpoint.root.hex(), msgspec.Raw(msgspec.json.encode(sig)))


def seen_by_agents(shard: Shard, root: RootLog) -> None:
    """The fold never looks into `sig`, but it is JSON; what stands beside it is held to its form."""
    run, good = Run(1), shown(root)
    encoded, said = msgspec.json.encode(good), b'"size":%d,"root":"%b"' % (good.size, good.root.encode())
    run.add(shard, "seen with the sealer's signature", 0, encoded)
    run.add(shard, "seen without a signature", 0, b"{%b}" % said)
    run.add(shard, "seen of an empty log", 0, b'{"size":0,"root":"%b"}' % root_of([]).hex().encode())
    for name, sig in (("null", b"null"), ("a number", b"7"), ("an object", b'{"a":[1]}'), ("no base64", b'"!"')):
        run.add(shard, f"seen whose sig is {name}", 0, b'{%b,"sig":%b}' % (said, sig))
    run.add(shard, "seen with a field that nobody knows", 0, b'{%b,"at":"noon"}' % said)
    for name, seen in (
        ("whose sig has a key twice", b'{%b,"sig":{"a":1,"a":2}}' % said),
        ("whose sig has a number beyond every double", b'{%b,"sig":1e999}' % said),
        ("whose sig is nested nine deep", b'{%b,"sig":%b}' % (said, b"[" * 7 + b"]" * 7)),
        ("without a root", b'{"size":1}'),
        ("without a size", b'{"root":"%b"}' % good.root.encode()),
        ("whose size is -1", said.replace(b'"size":%d' % good.size, b'{"size":-1') + b"}"),
        ("whose size is 2^63", said.replace(b'"size":%d' % good.size, b'{"size":9223372036854775808') + b"}"),
        ("whose root is in capitals", b'{"size":1,"root":"%b"}' % (b"AB" * 32)),
        ("that is a list", b"[]"),
    ):
        run.add(shard, f"seen {name}", 8, seen)


def odd_words(shard: Shard, level: int) -> None:
    """Where writing a header again gives the same bytes and proves nothing about what stands in it."""
    word = f"level {level}: directive whose value"
    shard.add(f"{word} is nested nine deep", 8, rewritten(OPERATOR, b'"value":{}', b'"value":' + DEEP))
    shard.add(f"{word} has a number beyond every double", 8, rewritten(OPERATOR, b'"value":{}', b'"value":{"a":1e999}'))
    whole = b'"value":{"a":%b}' % (b"9" * 30)
    shard.add(f"{word} has a whole number of 30 digits", 8 if level == 3 else 2, rewritten(OPERATOR, b'"value":{}', whole))
    later = encode_header(directive(AGENT, SUBJECT, {}, 9, 1)).replace(b'"v":1', b'"v":%b' % (b"9" * 25))
    shard.add(f"level {level}: version of 25 digits", 8 if level == 3 else 9, signed(Kind.DIRECTIVE, later, OPERATOR))


def ends(shard: Shard) -> None:
    """Who may end whom, and what is over with it."""
    shard.add("a role, said by the first operator", 0, says(OPERATOR, AGENT, SUBJECT, {"said by": "the first"}, 7))
    shard.add("the second operator may not end the third", 5, retire(SECOND, THIRD))
    shard.add("the sealer ends nobody", 5, retire(SEALER, SEALER))
    shard.add("who is not pinned ends nobody", 5, retire(UNPINNED, OPERATOR))
    shard.add("the second operator ends the first", 0, retire(SECOND, OPERATOR))
    shard.add("the same again", 2, retire(SECOND, OPERATOR))
    shard.add("the first operator says something", 6, says(OPERATOR, "weather", "", {}))
    shard.add("the first operator enrols", 6, enrol("other", TRAINER, 1))
    shard.add("the first operator ends the third, which it could not even before", 6, retire(OPERATOR, THIRD))
    shard.add("a role of the first operator's is over: any number does", 0, says(SECOND, AGENT, SUBJECT, {"said by": "the second"}, 0))
    shard.add("the rules stand: the same number is seen", 2, rules(3, 0, key=SECOND))
    shard.add("the first operator's key once more, under a higher number", 0, retire(THIRD, OPERATOR, 1))
    shard.add("a key that nobody pinned is ended", 0, retire(SECOND, UNPINNED))
    shard.add("the second operator ends itself", 0, retire(SECOND, SECOND))
    shard.add("and says no more", 6, says(SECOND, "weather", "", {}))
    shard.add("the third operator ends the sealer", 0, retire(THIRD, SEALER))
    shard.add("the first sealer's seal", 6, seal(1, 30))
    shard.add("the second sealer's seal", 0, seal(1, 30, NEXT_SEALER))


def early(shard: Shard) -> None:
    """A retirement that was said at level 2 has its meaning from level 3 on, and where its signer may say it at all."""
    shard.add("level 2: the first operator ends the third", 0, retire(OPERATOR, THIRD))
    shard.add("level 2: the second operator ends the first", 0, retire(SECOND, OPERATOR))
    shard.add("level 2: the first operator says on", 0, says(OPERATOR, AGENT, SUBJECT, {}, 7))
    odd_words(shard, 2)


def _stop(shard: Shard, name: str, record: bytes) -> Json:
    last = {"offset": shard.rows[-1]["offset"] + 1, "append_ms": FIRST_APPEND_MS + 10 * len(shard.rows)}
    return {"shard": shard.number, "name": name, **last, "record": record.hex(), "error": "RulesUnknown"}


def build() -> Json:
    shards, root = [Shard(0, PINS), Shard(1, PINS)], RootLog()
    first, second = shards
    first.add("generation 0", 0, generation(0, 0, -1, 0))
    first.add("rules of level 2", 0, rules(2, 0))
    second.add("no record, before any generation", 8, b"no record")
    second.add("generation 0 comes late", 0, generation(0, 1, -1, 0))
    second.add("rules about a subject of their own: a directive like others, and the first one", 0, rules(3, 0, "of the house"))
    second.add("level 1: an event with the 31st of February, since no level was said", 0, _february(second))
    second.add("rules of level 3", 0, rules(3, 0))
    early(first)
    first.add("enrolment", 0, enrol("trainer", TRAINER, 2))
    for shard in shards:
        shard.add("seal of epoch 0", 0, seal(0, 20))
    root.round(shards)
    first.add("rules of level 3", 0, rules(3, 1, key=SECOND))
    first.add("level 3: the first operator was ended at level 2", 6, says(OPERATOR, "weather", "", {}))
    first.add("level 3: what it said stays until somebody says more", 2, says(SECOND, AGENT, SUBJECT, {}, 7))
    first.add("level 3: the third operator was not: the first may not end it", 0, says(THIRD, AGENT, SUBJECT, {}, 10))
    odd_words(second, 3)
    for shard in shards:
        seen_by_agents(shard, root)
    other = Run(2)
    other.add(second, "seen of another root that the sealer signed", 0, msgspec.json.encode(shown(root, b"\1" * 32)))
    other.add(second, "seen of another root that nobody signed", 0, msgspec.json.encode(Seen(1, "02" * 32)))
    ends(second)
    other.add(second, "seen of a third root, signed by the sealer's key after its end", 0, msgspec.json.encode(shown(root, b"\3" * 32)))
    second.add("an erasure of events of another shard: nothing here", 0, erase(0, [b'{"index":1,"pos":0}'], 40, key=THIRD))
    first.add("seal of epoch 1 of the second sealer", 0, seal(1, 30, NEXT_SEALER))
    root.sealer = NEXT_SEALER
    root.round([first])
    second.add("seal of epoch 2", 0, seal(2, 50, NEXT_SEALER))
    root.round([second])
    return {
        "provenance": provenance("Keys that are retired, and what agents say that they saw. Each record is named after what it shows."),
        "deployment": LOG.deployment,
        "root_origin": LOG.root_origin,
        "keys": {name: key.to_json() for name, key in PINNED.items()},
        "agents": [TRAINER.to_json(), UNPINNED.to_json()],
        "shards": [shard.to_json() for shard in shards],
        "root_leaves": [data.hex() for data in root.data],
        "checkpoints": root.checkpoints,
        "verified": verified("fail", found=[("integrity", "fail", 10, 1, 28)], unsigned=["trainer"]),
        "stops_the_fold": [
            _stop(second, "rules of level 1, while level 3 holds", rules(1, 5, key=THIRD)),
            _stop(second, "rules whose level is true, while level 3 holds", rules(True, 5, key=THIRD)),
            _stop(second, "rules of level 4 about a subject of their own", rules(4, 5, "of the house", THIRD)),
        ],
    }


def _february(shard: Shard) -> bytes:
    shard.add("enrolment", 0, enrol("trainer", TRAINER, 2))
    items = [events.GOOD["february-31"]]
    run = new_run(9, bytes(8))
    root = root_of(leaf_hashes(items)).hex()
    header = SegmentHeader(1, "trainer", TRAINER.id, run, 0, 0, 1, root, genesis_link("trainer", run, TRAINER.public).hex(), at(10))
    return signed(Kind.SEGMENT, encode_header(header), TRAINER, pack_items(items))

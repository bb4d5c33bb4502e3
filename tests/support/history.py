"""True histories without Kafka: real keys, real segments, the real fold, signed checkpoints.

They are rows as the store has them, for tests to break.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.checkpoints import Checkpoint, Topology, encode_topology, sign_checkpoint
from tallystick_schemas.encoding import to_base64, to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, encode_event
from tallystick_schemas.fold import Examine, Fold, Parameters, Step
from tallystick_schemas.headers import Directive, Enrol, Erase, Generation, Revoke, Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import Frontier, leaf_hash, leaf_hashes, root_of
from tallystick_schemas.records import parse_record
from tallystick_schemas.segments import SegmentSigner, SignedSegment, new_run
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.verdicts import Verdict

START_S = 1_795_406_400.0
"""When the made histories begin: 2026-11-23 04:00 UTC."""


def private_key(name: str) -> Ed25519PrivateKey:
    """The same key for the same name, in every run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(b"test key " + name.encode()).digest())


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def make_event(number: int, **changes: object) -> bytes:
    """One valid event of about 500 bytes."""
    event = Event(
        v=1,
        salt=to_base64url(sha256(b"%d" % number).digest()[:16]),
        time=wire_time(START_S + number / 1000),
        action="artifact.download",
        actor=Actor(f"reader-{number % 7}@example.org", "human", credential=f"cred-{number % 7}", session="0f" * 12),
        resource=Resource("model", "models/atlas-7b", "3", f"model-{number % 9:05}-of-00009.safetensors", "models", "restricted"),
        outcome="allowed",
        usage=Usage(bytes=4_294_967_296, objects=1, duration_ms=number % 1000),
        source=Source(ip="203.0.113.9", user_agent="hf-xet/1.2"),
        attrs={"request_id": f"{number:032x}", "method": "GET"},
    )
    for name, value in changes.items():
        event = type(event)(**{f: getattr(event, f) for f in event.__struct_fields__} | {name: value})
    return encode_event(event)


@dataclass
class History:
    """The rows of every table, and what made them. Tests change the lists."""

    log: LogSettings
    entries: list[tuple[int, int, bytes, bytes, bytes]] = field(default_factory=list)
    """(shard, index, entry, leaf, chain)."""
    events: list[tuple[int, int, int, bytes, bytes]] = field(default_factory=list)
    """(shard, index, pos, raw, leaf)."""
    rejected: list[tuple[int, int, bytes]] = field(default_factory=list)
    checkpoints: list[tuple[str, int, bytes, bytes]] = field(default_factory=list)
    """(origin, size, root, note)."""
    root_leaves: list[tuple[int, bytes]] = field(default_factory=list)
    columns: dict[tuple[int, int, int | None], dict[str, str]] = field(default_factory=dict)
    """Derived columns that say something else than the bytes: by (shard, index, pos) of an event, and without a pos of an entry."""
    records: dict[int, list[tuple[bytes, int]]] = field(default_factory=lambda: defaultdict(list))
    """What Kafka held: by shard, (record, append time in ms)."""
    now: float = START_S
    """When the history ends, s since 1970."""

    def size(self, shard: int) -> int:
        return sum(1 for row in self.entries if row[0] == shard)

    def drop_shard(self, shard: int) -> None:
        """Every row of it, signed notes aside."""
        for table in (self.entries, self.events, self.rejected):
            table[:] = [row for row in table if row[0] != shard]


class Agent:
    """A simulated agent: one run of one key."""

    def __init__(self, name: str, shard: int, key: Ed25519PrivateKey, run_number: int = 1) -> None:
        self.name, self.shard, self.key = name, shard, key
        self.signer = SegmentSigner(name, key, new_run(run_number, sha256(name.encode()).digest()[:8]))

    def sign(self, events: Sequence[bytes], now: float) -> SignedSegment:
        return self.signer.sign(events, wire_time(now))


class HistoryBuilder:
    """Appends records to shards as Kafka and the notary would; seals as the sealer would."""

    def __init__(self, shards: int = 2, deployment: str = "test", *, generations: bool = True) -> None:
        self.operator, self.sealer = private_key("operator"), private_key("sealer")
        log = LogSettings(deployment, shards, (public_bytes(self.operator),), (public_bytes(self.sealer),))
        self.history = History(log)
        self.folds = [Fold(Parameters.of(shard, log.origin(shard), log.operator_keys, log.sealer_keys)) for shard in range(shards)]
        self.offsets, self.epochs = [0] * shards, [0] * shards
        self._trees, self._root = [Frontier() for _ in range(shards)], Frontier()
        self._event_number = 0
        self._leaf(encode_topology(Topology(1, 0, [log.origin(shard) for shard in range(shards)])))
        for shard in range(shards if generations else 0):
            self.generation(shard, 0, -1)

    def tick(self, seconds: float = 0.01) -> float:
        """Time passes; the new time."""
        self.history.now += seconds
        return self.history.now

    def record(self, shard: int, raw: bytes, examine: Examine | None = None) -> Step:
        """The next record of the shard's partition, through the fold and into the rows. `examine` is a notary's that lies about bodies."""
        append_ms = int(self.tick() * 1000)
        if examine is None:
            step = self.folds[shard].fold(raw, self.offsets[shard], append_ms)
        else:
            step = self.folds[shard].fold_record(parse_record(raw), self.offsets[shard], append_ms, examine)
        self.offsets[shard] += 1
        self.history.records[shard].append((raw, append_ms))
        add_rows(self.history, shard, step, raw)
        self._trees[shard].append(step.leaf)
        return step

    def generation(self, shard: int, generation: int, last_index: int) -> Step:
        """The topic was made (anew): offsets start at 0."""
        self.offsets[shard] = 0
        header = Generation(1, self._operator_id, wire_time(self.tick()), generation, f"topic-{generation}", shard, last_index)
        return self.record(shard, sign_record(header, self.operator))

    def enrol(self, name: str, shard: int, key: Ed25519PrivateKey | None = None, run_number: int = 1) -> Agent:
        key = key or private_key(name)
        header = Enrol(1, self._operator_id, wire_time(self.tick()), name, to_base64(public_bytes(key)), "team")
        self.record(shard, sign_record(header, self.operator))
        return Agent(name, shard, key, run_number)

    def revoke(self, agent: Agent) -> Step:
        header = Revoke(1, self._operator_id, wire_time(self.tick()), agent.name, key_id(public_bytes(agent.key)), "lost")
        return self.record(agent.shard, sign_record(header, self.operator))

    def erase(self, shard: int, places: Sequence[tuple[int, int]], *, about: int | None = None) -> Step:
        """The record alone; tests empty the raw bytes. `about`: the shard that it names, when another."""
        items = [b'{"index":%d,"pos":%d}' % place for place in places]
        root = root_of(leaf_hashes(items)).hex()
        header = Erase(
            1, self._operator_id, wire_time(self.tick()), shard if about is None else about, "alice", "asked", ["bob"], len(items), root
        )
        return self.record(shard, sign_record(header, self.operator, items))

    def directive(self, shard: int, about: str, subject: str, value: dict[str, Any], n: int = 0) -> Step:
        header = Directive(1, self._operator_id, wire_time(self.tick()), about, subject, n, value)
        return self.record(shard, sign_record(header, self.operator))

    def events(self, count: int) -> list[bytes]:
        """Fresh events."""
        first, self._event_number = self._event_number, self._event_number + count
        return [make_event(number) for number in range(first, first + count)]

    def segment(self, agent: Agent, count: int) -> Step:
        return self.record(agent.shard, agent.sign(self.events(count), self.tick()).record)

    def seal_record(self, shard: int, epoch: int) -> Step:
        header = Seal(1, key_id(public_bytes(self.sealer)), wire_time(self.tick()), epoch)
        return self.record(shard, sign_record(header, self.sealer))

    def seal(self, shards: Sequence[int] | None = None) -> None:
        """A tick: a seal in each shard, their checkpoints, and one root checkpoint over them."""
        for shard in range(len(self.folds)) if shards is None else shards:
            self.seal_record(shard, self.epochs[shard])
            self.epochs[shard] += 1
            self._leaf(self._sign(self.history.log.origin(shard), self._trees[shard]))
        self._sign(self.history.log.root_origin, self._root)

    @property
    def _operator_id(self) -> str:
        return key_id(public_bytes(self.operator))

    def _sign(self, origin: str, tree: Frontier) -> bytes:
        note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root), self.sealer)
        self.history.checkpoints.append((origin, tree.size, tree.root, note))
        return note

    def _leaf(self, data: bytes) -> None:
        self.history.root_leaves.append((self._root.size, data))
        self._root.append(leaf_hash(data))


def add_rows(history: History, shard: int, step: Step, raw: bytes) -> None:
    """What the notary would insert for one step."""
    history.entries.append((shard, step.index, step.raw, step.leaf, step.chain))
    if step.entry.verdict.accepted:
        if step.entry.kind == 1 and step.body is not None:
            history.events += [(shard, step.index, pos, item, leaf_hash(item)) for pos, item in enumerate(step.body.items)]
    elif step.entry.verdict != Verdict.SEEN:
        history.rejected.append((shard, step.index, raw))


def make_history(
    shards: int = 2, agents: int = 3, segments: int = 6, events_per_segment: int = 4, *, rounds: int = 3, deployment: str = "test"
) -> History:
    """`segments` of each agent, sealed in `rounds` ticks; agent i speaks in shard i modulo `shards`."""
    builder = HistoryBuilder(shards, deployment)
    team = [builder.enrol(f"agent-{number}", number % shards) for number in range(agents)]
    for round_number in range(rounds):
        first, end = segments * round_number // rounds, segments * (round_number + 1) // rounds
        for _ in range(first, end):
            for agent in team:
                builder.segment(agent, events_per_segment)
        builder.seal()
    return builder.history


def rewrite_tail(history: History, shard: int, dropped: int) -> None:
    """What an insider without the sealer's key can do best: leave out record `dropped` of the shard, and make every later row again."""
    log = history.log
    fold = Fold(Parameters.of(shard, log.origin(shard), log.operator_keys, log.sealer_keys))
    for table in (history.entries, history.events, history.rejected):
        table[:] = [row for row in table if row[0] != shard]
    del history.records[shard][dropped]
    for offset, (raw, append_ms) in enumerate(history.records[shard]):
        add_rows(history, shard, fold.fold(raw, offset, append_ms), raw)


def blocks_of(rows: Sequence[tuple[int, ...]], size: int) -> Iterator[Sequence[tuple[int, ...]]]:
    """`rows` in blocks of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

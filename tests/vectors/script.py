"""Writes a history down as it is made: each record with its name, the verdict that its author expects, and what the fold made of it."""

from collections.abc import Sequence

from tallystick_schemas.checkpoints import Checkpoint, Topology, encode_topology, sign_checkpoint
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import Enrol, Erase, Generation, Kind, Revoke, Seal, SegmentHeader, encode_header
from tallystick_schemas.merkle import leaf_hash, leaf_hashes, root_of
from tallystick_schemas.records import frame_record, pack_items, signed_bytes
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import sign_record
from tallystick_schemas.state_digest import state_digest

from .common import Json, NamedKey, at

OPERATOR, SEALER = NamedKey("operator"), NamedKey("sealer")
LOG = LogSettings("vectors", 2, (OPERATOR.public,), (SEALER.public,))
FIRST_APPEND_MS = 1_795_406_400_000


def signed(kind: Kind, header: bytes, key: NamedKey, body: bytes = b"") -> bytes:
    """Any header under its right signature."""
    return frame_record(kind, header, key.private.sign(signed_bytes(kind, header)), body)


def segment(header: SegmentHeader, key: NamedKey, items: list[bytes]) -> bytes:
    return signed(Kind.SEGMENT, encode_header(header), key, pack_items(items))


def enrol(agent: str, key: NamedKey, when: int) -> bytes:
    return sign_record(Enrol(1, OPERATOR.id, at(when), agent, to_base64(key.public), "research"), OPERATOR.private)


def revoke(agent: str, key_id: str, when: int) -> bytes:
    return sign_record(Revoke(1, OPERATOR.id, at(when), agent, key_id, "the laptop was stolen"), OPERATOR.private)


def seal(epoch: int, when: int, key: NamedKey = SEALER) -> bytes:
    return sign_record(Seal(1, key.id, at(when), epoch), key.private)


def generation(number: int, shard: int, last_index: int, when: int) -> bytes:
    return sign_record(Generation(1, OPERATOR.id, at(when), number, f"topic-{number}", shard, last_index), OPERATOR.private)


def erase(shard: int, items: list[bytes], when: int, count: int | None = None, key: NamedKey = OPERATOR) -> bytes:
    root = root_of(leaf_hashes(items)).hex()
    header = Erase(1, key.id, at(when), shard, "alice", "asked to", ["bob"], len(items) if count is None else count, root)
    return sign_record(header, key.private, items)


def verified(
    integrity: str = "pass",
    completeness: str = "pass",
    found: Sequence[tuple[str, str, int, int, int]] = (),
    forks: Sequence[tuple[int, int]] = (),
    unsigned: Sequence[str] = (),
) -> Json:
    """What section 11 makes of a history, written by hand. `found` are (verdict, outcome, step, shard, index), `unsigned` agents of step 10."""
    return {
        "about": "by who has the rows of every table, each refused record but those of verdict 2 among them, and this clock",
        "now": "2026-11-23T04:00:30.000000Z",
        "integrity": integrity,
        "completeness": completeness,
        "freshness": "pass",
        "found": [dict(zip(("verdict", "outcome", "step", "shard", "index"), one, strict=True)) for one in found],
        "forks": [list(place) for place in forks],
        "unsigned_seen": list(unsigned),
    }


class Shard:
    """One shard's records and entries."""

    def __init__(self, number: int, log: LogSettings = LOG) -> None:
        self.number, self.origin = number, log.origin(number)
        self.fold = Fold(Parameters.of(number, self.origin, log.operator_keys, log.sealer_keys))
        self.genesis = self.fold.state.chain
        self.leaves: list[bytes] = []
        self.rows: list[Json] = []
        self._offset = 0

    def add(self, name: str, verdict: int, record: bytes, *, anew: bool = False) -> None:
        """The next record; `anew` begins the offsets again. AssertionError when the fold's verdict is another one than the author's."""
        self._offset = 0 if anew else self._offset
        append_ms = FIRST_APPEND_MS + 10 * len(self.rows)
        step = self.fold.fold(record, self._offset, append_ms)
        assert step.entry.verdict == verdict, f"{name}: verdict {int(step.entry.verdict)} ({step.reason}), not {verdict}"
        self.leaves.append(step.leaf)
        self.rows.append(
            {
                "name": name,
                "offset": self._offset,
                "append_ms": append_ms,
                "record": record.hex(),
                "verdict": verdict,
                "index": step.index,
                "entry": step.raw.hex(),
                "leaf": step.leaf.hex(),
                "chain": step.chain.hex(),
            }
        )
        self._offset += 1

    def to_json(self) -> Json:
        state = self.fold.state
        return {
            "shard": self.number,
            "origin": self.origin,
            "genesis_chain": self.genesis.hex(),
            "records": self.rows,
            "root": root_of(self.leaves).hex(),
            "state": {"index": state.index, "generation": state.generation, "offset": state.offset, "epoch": state.epoch},
            "state_digest": state_digest(state).hex(),
        }


class RootLog:
    """What a sealer signs over the shards."""

    def __init__(self) -> None:
        self.sealer = SEALER
        self.data = [encode_topology(Topology(1, 0, [LOG.origin(shard) for shard in range(LOG.shards)]))]
        self.checkpoints: list[Json] = []

    def round(self, shards: list[Shard]) -> None:
        """A checkpoint of each shard as it stands, and one over them."""
        for shard in shards:
            self.data.append(self._sign(shard.origin, shard.leaves))
        self._sign(LOG.root_origin, [leaf_hash(data) for data in self.data])

    def _sign(self, origin: str, leaves: list[bytes]) -> bytes:
        root = root_of(leaves)
        note = sign_checkpoint(Checkpoint(origin, len(leaves), root), self.sealer.private)
        self.checkpoints.append({"origin": origin, "size": len(leaves), "root": root.hex(), "note": note.hex()})
        return note

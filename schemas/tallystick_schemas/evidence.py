"""The events that a finding cites, as a store has them: three questions, and what follows from the answers. The asking is the caller's."""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from .messages import Place
from .standing import Standing, StoredSegment, standings

Ask = Callable[[str, dict[str, Any]], Sequence[Sequence[Any]]]
"""A query in ClickHouse's SQL and its parameters -> rows."""
_SEGMENTS: Final = "(shard, index) IN {segments:Array(Tuple(UInt32, UInt64))}"
_RAWS: Final = (
    "SELECT shard, index, pos, base64Encode(raw) FROM events WHERE (shard, index, pos) IN {places:Array(Tuple(UInt32, UInt64, UInt16))} "
    "LIMIT 1 BY shard, index, pos"
)
_LEAVES: Final = f"SELECT DISTINCT shard, index, pos, hex(leaf) FROM events WHERE {_SEGMENTS}"  # noqa: S608 - parameters are the store's
_ENTRIES: Final = f"SELECT shard, index, base64Encode(entry), hex(leaf) FROM ledger_entries WHERE {_SEGMENTS} LIMIT 1 BY shard, index"  # noqa: S608


class Cited(NamedTuple):
    """One cited event: its stored bytes (empty when erased, removed or not there yet) and its standing."""

    raw: bytes
    standing: Standing


def read_cited(ask: Ask, places: Sequence[Place]) -> dict[Place, Cited]:
    """Place -> what the store has there. Bytes are hashed here; of their neighbours the stored leaves are enough, since they must fold to a signed root."""
    if not places:
        return {}
    segments = sorted({(shard, index) for shard, index, _ in places})
    raws: dict[tuple[int, int], dict[int, bytes]] = defaultdict(dict)
    for shard, index, pos, raw in ask(_RAWS, {"places": list(places)}):
        raws[shard, index][pos] = b64decode(raw)
    leaves: dict[tuple[int, int], list[tuple[int, bytes]]] = defaultdict(list)
    for shard, index, pos, leaf in ask(_LEAVES, {"segments": segments}):
        leaves[shard, index].append((pos, bytes.fromhex(leaf)))
    entries = {(s, i): (b64decode(entry), bytes.fromhex(leaf)) for s, i, entry, leaf in ask(_ENTRIES, {"segments": segments})}
    found: dict[Place, Cited] = {}
    for at in segments:
        entry, leaf = entries.get(at, (None, b""))
        cited = [place[2] for place in places if place[:2] == at]
        told = standings(StoredSegment(entry, leaf, leaves[at]), raws[at], cited)
        found |= {(*at, pos): Cited(raws[at].get(pos, b""), told[pos]) for pos in cited}
    return found

"""Root checkpoints that agents were shown, held against those that the store has: somebody with the sealer's key shows agents another history.

The responder asks, since it has the store, the pinned keys and a way to page. It compares with the stored notes and computes no tree: whether those notes
are of the history that the store has is the auditor's steps 1 and 2. What it does not see, every `audit verify` does (step 10).
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tallystick_schemas.candidates import read_tips
from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.errors import ParseError, TallystickError
from tallystick_schemas.evidence import Ask
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.stored_bytes import ACCEPTED_SEGMENT, APPEND_MS, HEADER, newest
from tallystick_schemas.vouching import SeenRoot, is_signed

log: Final = logging.getLogger(__name__)
BEFORE_S: Final = 3_600.0
"""Segments that are at most so much older than whoever asks are looked at."""
GRACE_S: Final = 60.0
"""So long may the store lack a note that agents were shown: the sealer publishes again what a restored one lost."""
_AT_ONCE: Final = 1_000
_SAID: Final = f"""
SELECT shard, min(`index`) AS first, any({HEADER}) FROM ledger_entries
WHERE `index` > arrayElement({{marks:Array(Int64)}}, shard + 1)
    AND (`index` > arrayElement({{newest:Array(Int64)}}, shard + 1) OR append_time >= fromUnixTimestamp64Milli({{since:Int64}}))
    AND {ACCEPTED_SEGMENT} AND {APPEND_MS} >= {{since:Int64}} AND JSONHas({HEADER}, 'seen', 'sig')
GROUP BY shard, JSONExtractRaw({HEADER}, 'seen') ORDER BY shard, first LIMIT {_AT_ONCE} BY shard
"""  # noqa: S608 - parameters are the store's
"""The newest entries by their bytes; the column says which of the older ones are looked at."""
_ROOTS: Final = "SELECT DISTINCT note FROM checkpoints WHERE origin = {origin:String} AND size IN {sizes:Array(UInt64)}"


class Said(NamedTuple):
    """A root checkpoint, and the first segment seen that says it was shown."""

    seen: SeenRoot
    shard: int
    place: int
    """Index of its entry."""
    agent: str


class Shown(NamedTuple):
    """What segments above the marks say, and the highest index of each shard that was looked at."""

    said: list[Said]
    marks: dict[int, int]


class ShownSource(Protocol):
    """What is asked of the store. Each raises what the store's client raises."""

    def shown(self, marks: Mapping[int, int], since: float) -> Shown: ...
    def roots(self, sizes: Sequence[int]) -> set[tuple[int, str]]: ...


def read_shown(ask: Ask, shards: int, marks: Mapping[int, int], since: float) -> Shown:
    """Different `seen` of segments above the marks, from `since` on (seconds since 1970): at most 1,000 of a shard, the mark then being the last of them."""
    tips = read_tips(ask, marks)
    below = newest(tips, marks, range(shards))
    given = {"marks": [marks.get(shard, -1) for shard in range(shards)], "newest": [below[shard] for shard in range(shards)]}
    rows = ask(_SAID, {**given, "since": int(since * 1000)})
    said = [one for row in rows if (one := _said(int(row[0]), int(row[1]), row[2])) is not None]
    for shard in range(shards):
        firsts = [int(row[1]) for row in rows if int(row[0]) == shard]
        if len(firsts) >= _AT_ONCE:
            tips[shard] = max(firsts)
    return Shown(said, tips)


def read_roots(ask: Ask, log_settings: LogSettings, sizes: Sequence[int]) -> set[tuple[int, str]]:
    """(size, root in hex) of the stored root checkpoints of these sizes that a pinned sealer key signed: what stands beside a note is the store's word."""
    origin, found = log_settings.root_origin, set[tuple[int, str]]()
    for (note,) in ask(_ROOTS, {"origin": origin, "sizes": list(sizes)}):
        try:
            checkpoint = open_checkpoint(note.encode(), verifiers_of(log_settings, origin), origin)
        except TallystickError as error:
            log.error("a stored root checkpoint does not count: %s", error)
            continue
        found.add((checkpoint.size, checkpoint.root.hex()))
    return found


def _said(shard: int, index: int, header: str | bytes) -> Said | None:
    raw = header if isinstance(header, bytes) else header.encode()
    try:
        parsed = parse_header(Kind.SEGMENT, raw)
    except ParseError:
        return None  # the auditor's steps 3 and 5 tell
    if not isinstance(parsed, SegmentHeader) or parsed.seen is None:
        return None
    return Said(SeenRoot.of(parsed.seen), shard, index, parsed.agent)


def contradicts(seen: SeenRoot, roots: set[tuple[int, str]], log_settings: LogSettings, keyring: Keyring) -> bool:
    """Whether a pinned sealer key that is not retired signed what `seen` says, and no stored root checkpoint says it."""
    origin = log_settings.root_origin
    verifiers = [one for one in verifiers_of(log_settings, origin, seen.size) if not keyring.retired(key_id(one.public))]
    return (seen.size, seen.root) not in roots and is_signed(seen, verifiers, origin)


class ShownRoots:
    """Of one owner, which began at `now`. Notes without the sealer's signature are an agent's word: they alarm nobody."""

    def __init__(self, source: ShownSource, log_settings: LogSettings, keyring: Keyring, now: float) -> None:
        self._source, self._log, self._keyring = source, log_settings, keyring
        self._since = now - BEFORE_S
        self._marks: dict[int, int] = {}
        self._waiting: dict[SeenRoot, tuple[float, Said]] = {}
        self._told: set[SeenRoot] = set()

    def contradicting(self, now: float) -> list[Said]:
        """Signed root checkpoints that agents were shown and that the store has not had for a minute; each once."""
        shown = self._source.shown(self._marks, self._since)
        for one in shown.said:
            if one.seen not in self._told:
                self._waiting.setdefault(one.seen, (now, one))
        roots = self._source.roots(sorted({seen.size for seen in self._waiting})) if self._waiting else set()
        self._marks |= shown.marks
        self._waiting = {seen: kept for seen, kept in self._waiting.items() if contradicts(seen, roots, self._log, self._keyring)}
        late = [said for first, said in self._waiting.values() if now - first >= GRACE_S]
        for said in late:
            del self._waiting[said.seen]
            self._told.add(said.seen)
        return late

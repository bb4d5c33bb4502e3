"""SQL over what was signed: the members of `raw` and `entry` as the store reads them, in place of the columns that it derived from them.

A derived column says what whoever has the store's password wrote into it. It may find candidates; what is read with these expressions, and then checked
against hash and signature, decides. ADR 0038.
"""

from collections.abc import Collection, Mapping
from typing import Final

from .headers import Kind

KIND: Final = "reinterpretAsUInt8(substring(entry, 2, 1))"
OFFSET: Final = "reinterpretAsUInt64(reverse(substring(entry, 11, 8)))"
APPEND_MS: Final = "reinterpretAsInt64(reverse(substring(entry, 19, 8)))"
VERDICT: Final = "reinterpretAsUInt8(substring(entry, 27, 1))"
HEADER: Final = "substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4))))"
MEMBER: Final = f"JSONExtractString({HEADER}, '{{}}')"
"""A string of the header, by its name."""
AGENT: Final = MEMBER.format("agent")
ACCEPTED_SEGMENT: Final = f"{KIND} = {Kind.SEGMENT.value} AND {VERDICT} < 2"
ACCEPTED_GENERATION: Final = f"{KIND} = {Kind.GENERATION.value} AND {VERDICT} = 0"
COUNTS: Final = f"{VERDICT} < 2"
"""Verdicts of entries that the fold accepts."""
ACTION: Final = "JSONExtractString(raw, 'action')"
NEWEST: Final = 1_000_000
"""So many of the newest entries of all shards are searched by their bytes: a second or two of a store. What is older is searched by columns."""


def may_hold(*words: str) -> str:
    """A quick condition on `raw`, true for every event in one of whose strings one of these words stands: an event that escapes letters has a backslash."""
    found = [f"position(raw, '{word}') > 0" for word in words]
    return f"({' OR '.join([*found, 'position(raw, char(92)) > 0'])})"


def newest(tips: Mapping[int, int], marks: Mapping[int, int], shards: Collection[int], most: int | None = None) -> dict[int, int]:
    """Shard -> the mark above which its bytes are searched; never below its own mark, above which nothing was looked at yet.

    `most`: entries of all shards, NEWEST where it is not said.
    """
    above = {shard: marks.get(shard, -1) for shard in shards}
    room = {shard: max(0, tips.get(shard, -1) - mark) for shard, mark in above.items()}
    left = NEWEST if most is None else most
    # What a small shard leaves is the others': whoever inserts a row of shard 4,095 would otherwise leave 244 entries of each shard to be searched.
    for done, shard in enumerate(sorted(room, key=room.__getitem__)):
        given = min(room[shard], left // (len(room) - done))
        above[shard] += room[shard] - given
        left -= given
    return above

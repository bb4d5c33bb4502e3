"""The second stage of D14's harvest: summaries of all partitions that a process has, merged. Pure; the shell calls it after each message.

Summaries only grow within a block, and merging them commutes, so who crosses the line does not depend on the order in which partitions are read;
the finding's id is made of the collection and its day (docs/adr/0015).
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.signing import wire_time

from .base import Meta, Rule, finding_id
from .facts import DAY_S
from .harvest import BLOCK_S, BLOCKS
from .sketches import sketch_count, sketch_union

_COLLECTIONS: Final = 256
_AGAIN_BLOCKS: Final = 4


class Summary(msgspec.Struct, frozen=True):
    """What one partition knows of a collection. Sketches are HyperLogLog bytes."""

    collection: str
    since: int
    """First day (UTC, from 1970)."""
    objects: bytes
    blocks: dict[int, tuple[bytes, dict[str, Place]]]
    """Block of six hours -> what newcomers touched, and who they are with a place of each."""


def harvest_meta(rules: Iterable[Rule]) -> Meta | None:
    """The thresholds in force; None where D14 does not run."""
    return next((rule.meta for rule in rules if rule.meta.id == "D14"), None)


class HarvestView:
    """Keeps the newest summary of each partition and collection: 256 collections, the ones that changed last."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, Summary]] = {}
        self._told: dict[str, int] = {}

    def take(self, meta: Meta, partition: int, summaries: Iterable[Summary]) -> list[Finding]:
        """Findings about collections that these summaries carry over the line; each at most once in a day of the stream."""
        found = []
        for summary in summaries:
            held = self._held.pop(summary.collection, {})
            held[partition] = summary
            self._held[summary.collection] = held
            while len(self._held) > _COLLECTIONS:
                oldest = next(iter(self._held))
                del self._held[oldest]
                self._told.pop(oldest, None)
            if (finding := self._judge(meta, summary.collection, held)) is not None:
                found.append(finding)
        return found

    def _judge(self, meta: Meta, collection: str, held: Mapping[int, Summary]) -> Finding | None:
        line = {name: one.value for name, one in meta.parameters.items()}
        newest = max((number for summary in held.values() for number in summary.blocks), default=0)
        if newest - self._told.get(collection, -_AGAIN_BLOCKS) < _AGAIN_BLOCKS:
            return None
        blocks = [block for summary in held.values() for number, block in summary.blocks.items() if number > newest - BLOCKS]
        names: dict[str, Place] = {}
        for _, principals in blocks:
            names |= principals
        if len(names) < line["newcomers"]:
            return None
        whole = sketch_count(summary.objects for summary in held.values())
        taken = sketch_count(sketch for sketch, _ in blocks)
        if whole < line["objects"] or taken < line["coverage"] * whole:
            return None
        self._told[collection] = newest
        young = newest * BLOCK_S // DAY_S - min(summary.since for summary in held.values()) < line["history"]
        return _finding(meta, collection, newest, names, taken, whole, young)


def _finding(meta: Meta, collection: str, newest: int, names: Mapping[str, Place], taken: int, whole: int, young: bool) -> Finding:
    order = sorted(names, key=lambda name: (names[name], name))
    share = min(1.0, taken / whole)
    shown = ", ".join(order[:10]) + (" and others" if len(order) > 10 else "")
    return Finding(
        id=finding_id(meta, collection, (newest * BLOCK_S // DAY_S, 0, 0), "harvest"),
        detector=meta.id,
        version=meta.version,
        title=meta.title,
        severity=meta.severity,
        principal=order[-1],
        time=wire_time(float(newest * BLOCK_S)),
        value=round(share, 3),
        threshold=meta.parameters["coverage"].value,
        window_s=BLOCKS * BLOCK_S,
        collection=collection,
        evidence=[names[name] for name in order][-50:],
        act="signal" if young else "alert",
        deterministic=False,
        techniques=list(meta.techniques),
        text=f"{len(order)} principals who are new to collection {collection} touched about {taken} of its {whole} objects within a day: {shown}.",
        emitted_ms=0,
        features={"coverage": round(share, 3), "newcomers": len(order), "objects": whole, "touched": taken},
        missing=["history of the collection"] if young else [],
    )


def merged(parts: Iterable[bytes]) -> bytes:
    """Sketches of one collection's buckets as one; empty ones are left out."""
    return sketch_union(part for part in parts if part)

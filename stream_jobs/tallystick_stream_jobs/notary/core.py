"""The notary's core: folds a batch of one shard's records into rows, messages and receipts. No clock, no I/O.

It leaves to the shell (`job`): reading in offset order, sending `verified` at once, the insert, and the receipts after it (SPEC section 8).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tallystick_schemas.encoding import digest
from tallystick_schemas.errors import RulesUnknown
from tallystick_schemas.events import Event
from tallystick_schemas.fold import Fold, Step
from tallystick_schemas.headers import Kind, SegmentHeader
from tallystick_schemas.messages import Signal, VerifiedSegment
from tallystick_schemas.receipts import NO_RUN, OPERATOR, SEALER, Receipt
from tallystick_schemas.segments import segment_link
from tallystick_schemas.state import State
from tallystick_schemas.topics import verified_partition
from tallystick_schemas.verdicts import Verdict

from . import rows
from .keeping import Keeping, Kept
from .roles import ShardRoles
from .routing import Outbound

ORDERS = frozenset({"credential.suspend", "credential.resume", "credential.revoke", "incident.close", "incident.update", "access.grant"})
"""What people say that somebody must act on: locks, verdicts about findings, grants."""
_LINKS = 50_000
_PRINCIPALS = 100_000
SNAPSHOT_EVERY = 1000
"""Entries between snapshots, counted at the seals; the first seal of a batch of work after a restart snapshots as well."""

LookUp = Callable[[int, str, str, int], bytes | None]
"""(shard, agent, run, n) -> header of the accepted entry, from the ledger."""


@dataclass
class Batch:
    """What folding some records of one shard gave."""

    shard: int
    first: int = 0
    """Index of its first entry."""
    events: list[bytes] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)
    snapshots: list[bytes] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    outbound: Outbound = field(default_factory=Outbound)
    event_count: int = 0


class ShardNotary:
    """One shard: its fold, and the small memory that tells an honest repeat from two segments under one number."""

    def __init__(self, fold: Fold, look_up: LookUp, sign: Callable[[State], bytes], kept: Iterable[Kept] = ()) -> None:
        """`sign`: gives the bytes of a snapshot. `kept`: which rejected records' bytes were kept up to where the fold stands."""
        self.fold, self._sign = fold, sign
        self.shard = fold.parameters.shard
        self._roles = ShardRoles(fold)
        self._look_up = look_up
        self.keeping = Keeping(kept)
        self._links: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._partitions: dict[str, int] = {}
        self._went_on: dict[tuple[str, str], int] = {}
        self._snapshot_at = -1
        self.stopped: RulesUnknown | None = None
        """Set by `process` when the next record asks for rules that this version does not have: nothing more can be folded."""

    def process(self, records: Iterable[tuple[int, int, bytes]]) -> Batch:
        """Records as (offset, append time in ms, value), offsets rising. FoldError when they cannot follow; `stopped` ends the batch before its record."""
        batch = Batch(self.shard, self.fold.state.index + 1)
        for offset, append_ms, value in records:
            try:
                step = self.fold.fold(value, offset, append_ms)
            except RulesUnknown as error:
                self.stopped = error
                break
            batch.entries.append(rows.entry_row(self.shard, step.index, step.raw, step.leaf, step.chain))
            self._receipt(batch, step, value)
            if step.entry.verdict.accepted:
                self._accepted(batch, step)
            else:
                self._signal(batch, step)
                if self.keeping.keeps(append_ms, len(value), step.entry.verdict):
                    batch.rejected.append(rows.rejected_row(self.shard, step.index, value))
        return batch

    def _accepted(self, batch: Batch, step: Step) -> None:
        assert step.record is not None
        assert step.body is not None
        header = step.record.header
        if isinstance(header, SegmentHeader):
            items = step.body.items
            batch.events += rows.event_rows(self.shard, step.index, items)
            batch.event_count += len(items)
            self._route(batch, step, header, step.body.events, items)
            self._remember(header, segment_link(step.record.header_raw))
            self._watch_runs(batch, step, header)
            if step.entry.verdict == Verdict.OUT_OF_ORDER:
                self._signal(batch, step)
        elif step.record.kind == Kind.SEAL:
            self._snapshot(batch, step)

    def _route(self, batch: Batch, step: Step, header: SegmentHeader, events: list[Event], items: list[bytes]) -> None:
        """Each event to its principal's partition, and orders of commanders to `acts` as well."""
        known = self._partitions
        if len(known) > _PRINCIPALS:
            known.clear()
        by_partition: dict[int, list[tuple[int, bytes]]] = {}
        for pos, event in enumerate(events):
            principal = event.actor.principal
            partition = known.get(principal)
            if partition is None:
                partition = known[principal] = verified_partition(principal)
            by_partition.setdefault(partition, []).append((pos, items[pos]))
        for partition, chosen in by_partition.items():
            batch.outbound.segment(partition, _segment(step, header, chosen))
        if self._roles.has(header.agent, header.key, "commander"):
            orders = [(pos, items[pos]) for pos, event in enumerate(events) if event.action in ORDERS]
            if orders:
                batch.outbound.acts.append(_segment(step, header, orders))

    def _snapshot(self, batch: Batch, step: Step) -> None:
        if self._snapshot_at >= 0 and step.index - self._snapshot_at < SNAPSHOT_EVERY:
            return
        self._snapshot_at = step.index
        state = self.fold.state
        batch.snapshots.append(rows.snapshot_row(self.shard, step.index, state.epoch, self._sign(state)))

    def _receipt(self, batch: Batch, step: Step, value: bytes) -> None:
        if step.record is None:
            return
        header, verdict = step.record.header, int(step.entry.verdict)
        place = (verdict, self.shard, step.index, step.leaf.hex(), step.chain.hex())
        if isinstance(header, SegmentHeader):
            batch.receipts.append(Receipt(header.agent, header.run, header.n, *place))
        elif step.record.kind == Kind.SEAL:
            batch.receipts.append(Receipt(SEALER, NO_RUN, getattr(header, "epoch", 0), *place))
        else:
            batch.receipts.append(Receipt(OPERATOR, operator_run(value), 0, *place))

    def _signal(self, batch: Batch, step: Step, reason: str = "") -> None:
        """Tell the detectors of an agent that this shard knows; an honest repeat is not worth a word, the same number with other bytes is a fork (D07a).

        What names no such agent has its entry and no more: no rule asks about it, and whoever may write to the topic makes thousands a second.
        """
        header = step.record.header if step.record else None
        verdict, reason = step.entry.verdict, reason or step.reason
        if step.record is None or not isinstance(header, SegmentHeader) or verdict == Verdict.UNKNOWN_KEY:
            return
        if verdict == Verdict.SEEN:
            if self._is_repeat(header, step.record.header_raw):
                return
            verdict, reason = Verdict.FORK, f"segment {header.n} came again with other bytes than the accepted one's"
        signal = Signal(
            step.index, int(verdict), header.agent, header.key, header.run, header.n, step.entry.append_ms, reason, step.entry.offset
        )
        batch.outbound.signal(signal)

    def _is_repeat(self, header: SegmentHeader, raw: bytes) -> bool:
        known = self._links.get((header.agent, header.run, header.n))
        if known is None:
            accepted = self._look_up(self.shard, header.agent, header.run, header.n)
            # A segment given up among 64 missing ranges was never accepted: nothing to contradict.
            known = segment_link(accepted) if accepted is not None else segment_link(raw)
        return known == segment_link(raw)

    def _remember(self, header: SegmentHeader, link: bytes) -> None:
        self._links[(header.agent, header.run, header.n)] = link
        if len(self._links) > _LINKS:
            self._links.popitem(last=False)

    def _watch_runs(self, batch: Batch, step: Step, header: SegmentHeader) -> None:
        """D07a's third sign: a run that goes on after a newer run of its key has spoken; the detector waits for the second time."""
        runs = self.fold.state.agents[header.agent].runs
        if len(runs) < 2 or not any(r > header.run and run.key == header.key for r, run in runs.items()):
            return
        times = self._went_on[(header.agent, header.run)] = self._went_on.get((header.agent, header.run), 0) + 1
        if times <= 2:
            self._signal(batch, step, f"an older run goes on after a newer one of the same key ({times})")


def operator_run(value: bytes) -> str:
    """How a receipt names an operator's record."""
    return digest(value).hex()[:32]


def _segment(step: Step, header: SegmentHeader, events: list[tuple[int, bytes]]) -> VerifiedSegment:
    place = step.entry.append_ms, events, step.entry.offset, header.key
    return VerifiedSegment(step.index, header.agent, header.run, header.first, *place)

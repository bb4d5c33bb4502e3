"""The two kinds of work that a verification consists of, each over a source and without knowing of processes.

`judge_shard` takes a shard's entries from the first to the newest sealed (steps 3 to 5, and 7 for them); it must go in order. `judge_piece` takes
the events of a range of entries (steps 6 and 7); pieces are independent of each other. A digest over the entries' leaves ties them to what was judged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tallystick_schemas.checkpoints import Checkpoint
from tallystick_schemas.directives import BOUNDED_LEVEL, RETIRE, RETIRING, SAID_RULES, level_of, place_of
from tallystick_schemas.entries import Entry, entry_leaf
from tallystick_schemas.fold import Parameters
from tallystick_schemas.fold import Step as FoldStep
from tallystick_schemas.headers import Directive, Erase, SegmentHeader
from tallystick_schemas.segments import segment_link
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.verdicts import Verdict

from .accepted import accepted_segments
from .kept import Kept
from .report import Findings, Fork, RulesInForce
from .runs import Runs
from .source import EventRows, HistorySource, StoredEntry
from .step3_shard import ShardLog
from .step4_seals import SealBook
from .step5_fold import Refold, RejectedRows, Stranger
from .step6_events import EventCheck, LeafDigest, PieceResult, expectations, groups
from .step7_entries import EntryColumns
from .step10_seen import SeenBook

Tell = Callable[[int, int, int], None]
"""(shard, index, events since the last call)."""


@dataclass(frozen=True)
class ShardTask:
    """A shard up to its newest sealed entry. `piece` is how many entries each digest covers; `kept` holds checkpoints of any log."""

    log: LogSettings
    shard: int
    checkpoints: tuple[Checkpoint, ...]
    piece: int
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True)
class PieceTask:
    """The events of entries first to end, end not included."""

    shard: int
    first: int
    end: int


@dataclass
class ShardResult:
    """What steps 3 to 5 gave for one shard."""

    shard: int
    findings: Findings
    entries: int = 0
    digests: list[bytes] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)
    unproven: int = 0
    erasable: set[tuple[int, int]] = field(default_factory=set)
    """(index, position) of events that accepted erase records of this shard name."""
    hidden: dict[str, int] = field(default_factory=dict)
    """Root over the places that an accepted erase record of before level 3 names -> how many: its entry does not have them."""
    newest_seal: str | None = None
    """The signed time of the newest seal."""
    directives: int = 0
    rules: RulesInForce | None = None
    """None while level 1 holds."""
    bounded_from: int | None = None
    """The entry from which on events' numbers and times have bounds (level 3)."""
    knows_operator: bool = False
    stranger: Stranger | None = None
    seen: SeenBook = field(default_factory=SeenBook)
    retired: dict[str, int] = field(default_factory=dict)
    """Key id of an operator or a sealer -> index of the entry that retired it here."""
    whole: bool = True
    """Whether the fold judged every entry: behind the place where it stopped, what is missing cannot be told."""


def judge_shard(source: HistorySource, task: ShardTask, tell: Tell) -> ShardResult:
    """Steps 3, 4 and 5 in one reading; a second one where numbers came twice."""
    size = task.checkpoints[-1].size if task.checkpoints else 0
    findings = Findings()
    result = ShardResult(task.shard, findings)
    log = task.log
    parameters = Parameters.of(task.shard, log.origin(task.shard), log.operator_keys, log.sealer_keys)
    rejected = RejectedRows(task.shard, source.rejected(task.shard, 0, size), findings)
    steps = _ShardSteps(
        ShardLog(task.shard, parameters.origin, task.checkpoints, findings, task.kept),
        SealBook(task.shard, [checkpoint.size for checkpoint in task.checkpoints], findings),
        Refold(parameters, rejected, findings),
        Runs(),
    )
    digest, derived = LeafDigest(), EntryColumns(task.shard, findings)
    for block in source.entries(task.shard, 0, size, columns=True):
        for row in block:
            derived.take(row)
            if row.index == steps.last:
                steps.log.take(row)
                continue
            while row.index >= task.piece * (len(result.digests) + 1):
                result.digests.append(digest.take())
            digest.add(entry_leaf(row.entry))
            result.entries += 1
            steps.take(row, result)
        tell(task.shard, steps.last, 0)
    result.digests.append(digest.take())
    steps.log.close()
    rejected.close(size)
    result.whole = steps.fold.whole and steps.log.whole
    steps.runs.report(task.shard, steps.seals.newest_append_ms, findings, whole=result.whole)
    result.unproven, result.newest_seal = steps.fold.unproven, steps.seals.newest_time
    result.knows_operator, result.stranger = steps.fold.knows_operator, steps.fold.stranger
    if steps.runs.repeats:
        result.forks += _compare_repeats(source, task.shard, size, steps.runs)
    return result


@dataclass
class _ShardSteps:
    log: ShardLog
    seals: SealBook
    fold: Refold
    runs: Runs
    last: int = -1

    def take(self, row: StoredEntry, result: ShardResult) -> None:
        """One row that is not a repetition."""
        self.last = row.index
        entry = self.log.take(row)
        if entry is None or not self.log.whole:
            self.fold.broken()
        if entry is None:
            return
        self.seals.take(row.index, entry)
        step = self.fold.take(row, entry)
        if step is not None and step.record is not None:
            self._note(step, entry, result)

    def _note(self, step: FoldStep, entry: Entry, result: ShardResult) -> None:
        assert step.record is not None
        header, verdict = step.record.header, entry.verdict
        if isinstance(header, SegmentHeader):
            if verdict.accepted:
                contradiction = self.runs.accepted(step.index, header, step.record.header_raw, entry.append_ms)
                if contradiction:
                    result.forks.append(Fork(result.shard, step.index, f"{header.agent} run {header.run}: {contradiction}"))
                result.seen.take(result.shard, step.index, header)
            elif verdict == Verdict.SEEN:
                self.runs.seen(step.index, header, step.record.header_raw)
            elif verdict == Verdict.FORK:
                result.forks.append(Fork(result.shard, step.index, f"{header.agent} run {header.run}: {step.reason}"))
        elif isinstance(header, Erase) and verdict.accepted and header.shard == result.shard:
            places = step.body.erased if step.body is not None else []
            result.erasable |= {(place.index, place.pos) for place in places}
            if not places:
                result.hidden[header.root] = header.count
        elif isinstance(header, Directive) and verdict.accepted:
            result.directives += 1
            if header.about == RETIRE and result.rules is not None and result.rules.level >= RETIRING:
                result.retired.setdefault(header.subject, step.index)
            level = level_of(header) if place_of(header) == SAID_RULES else None
            if level is not None and (result.rules is None or result.rules.level != level):
                result.rules = RulesInForce(result.shard, level, step.index, wire_time(entry.append_ms / 1000))
                if level >= BOUNDED_LEVEL and result.bounded_from is None:
                    result.bounded_from = step.index


def _compare_repeats(source: HistorySource, shard: int, size: int, runs: Runs) -> Iterator[Fork]:
    """Verdict 2 says that the number was there; whether with the same bytes, only the accepted entry can tell (SPEC section 6)."""
    for block in source.entries(shard, 0, size):
        for _, header, raw in accepted_segments(block):
            for index, link in runs.repeats.get((header.agent, header.run, header.n), ()):
                if link != segment_link(raw):
                    number = f"{header.agent} run {header.run}: segment {header.n}"
                    yield Fork(shard, index, f"{number} came again with other bytes than the accepted one's")


def judge_piece(source: HistorySource, task: PieceTask, tell: Tell) -> PieceResult:
    """Step 6 for a range of entries."""
    digest = LeafDigest()
    expected = expectations((row for block in source.entries(task.shard, task.first, task.end) for row in block), digest)
    findings = Findings()
    check = EventCheck(task.shard, expected, findings)
    for group in groups(_told(source.events(task.shard, task.first, task.end), task.shard, tell)):
        check.take(group)
    check.close()
    return PieceResult(task.shard, task.first, digest.take(), findings, check.events, check.erased, check.unbounded)


def _told(blocks: Iterator[EventRows], shard: int, tell: Tell) -> Iterator[EventRows]:
    for block in blocks:
        yield block
        if len(block.indexes):
            tell(shard, block.indexes[-1], len(block.indexes))

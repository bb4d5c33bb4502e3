"""`verify_history`: the entry point. Reads what is sealed, spreads the work, and puts the verdicts together."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Final

from tallystick_schemas.keys import key_id
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_schemas.signing import wire_time

from .beyond import check_beyond
from .clickhouse import ClickHouseSource, open_source
from .definitions import compare_definitions
from .kept import Kept
from .pinned import check_pinned, stranger_operator
from .pool import run_in_processes, run_inline
from .report import MAX_KEPT, AgentsSeen, Aspect, Failure, Findings, Outcome, Report, RulesInForce
from .source import HistorySource
from .step2_root_log import SealedHistory, judge_root_log, leaf_hashes_of
from .step6_events import PieceResult
from .step8_erasures import check_erased
from .step10_seen import SeenBook, check_seen
from .work import PieceTask, ShardResult, ShardTask, Tell

MIN_PIECE: Final = 64
MAX_PIECE: Final = 2048
PIECES: Final = 4
"""Entries a piece, and pieces a shard: small enough that all processes end together, large enough that questions cost little."""
FRESH_S: Final = 60.0
"""How old a seal may be beside FRESH_INTERVALS, and how far the clocks of sealer and verifier may be apart."""
FRESH_INTERVALS: Final = 10
SETTLE_S: Final = 5.0
_ABOVE: Final = 2**64 - 1
SMALL: Final = 500
"""Entries below which starting processes takes longer than the work."""
Progress = Callable[[int, int, int, float], None]
"""(shard, index, events judged so far, events a second)."""


def verify_history(
    clickhouse: ClickHouseSettings,
    log: LogSettings,
    now: float,
    progress: Progress | None = None,
    processes: int = 2,
    settle_s: float = SETTLE_S,
    kept: Sequence[Kept] = (),
    definitions: Sequence[str] | None = None,
) -> Report:
    """Steps 1 to 7 and 9 over the sealed history. `now` in seconds since 1970. UnusableHistory (exit code 3) when it can't be read,
    SettingsError when no key is pinned.

    It may run beside a deployment at work: entries above the newest seal are not judged. `settle_s` is how long to wait for a sealer that
    has published leaves of the root log and not yet the checkpoint over them. The history must extend every checkpoint in `kept`.
    `definitions` are the CREATE statements of the tables and views that the store should have; without them the report says that none was compared.
    """
    with closing(open_source(clickhouse)) as source:
        verification = Verification(source, log, now, kept)
        if definitions is not None:
            verification.definitions(source, definitions)
        sealed = verification.root_log(settle_s)
        shards, pieces = verification.tasks(sealed)
        tell = _teller(progress)
        if processes > 1 and sum(sealed.sealed(shard) for shard in range(log.shards)) > SMALL:
            results, checked = run_in_processes(source, clickhouse, shards, pieces, processes, tell)
        else:
            results, checked = run_inline(source, shards, pieces, tell)
        verification.beyond(sealed, settle_s)
        return verification.report(sealed, results, checked)


def verify_source(source: HistorySource, log: LogSettings, now: float, kept: Sequence[Kept] = ()) -> Report:
    """The same over any source, in this process."""
    verification = Verification(source, log, now, kept)
    sealed = verification.root_log(0.0)
    results, checked = run_inline(source, *verification.tasks(sealed), lambda *_: None)
    verification.beyond(sealed, 0.0)
    return verification.report(sealed, results, checked)


class Verification:
    """What one verification reads at its start, and how its parts become a report."""

    def __init__(self, source: HistorySource, log: LogSettings, now: float, kept: Sequence[Kept] = ()) -> None:
        check_pinned(log)
        self._source, self._log, self._now, self._kept = source, log, now, tuple(kept)
        self._findings = Findings()
        self._notes = ["not compared: the definitions of tables and views; nobody said what they should be"]
        self._started = time.perf_counter()

    def definitions(self, source: ClickHouseSource, statements: Sequence[str]) -> None:
        """Tables and views are what the migrations make."""
        self._notes = compare_definitions(source.definitions(statements), statements, self._findings)

    def root_log(self, settle_s: float) -> SealedHistory:
        """Steps 1 and 2. The sealer writes leaves first, then checkpoints: reading the other way round sees each row's leaf."""
        deadline = time.monotonic() + settle_s
        while True:
            rows, leaves = self._source.checkpoints(), self._source.root_leaves()
            covered = max((row.size for row in rows if row.origin == self._log.root_origin), default=0)
            if not leaves or leaves[-1].index < covered or time.monotonic() >= deadline:
                return judge_root_log(self._log, rows, leaves, self._findings, self._kept)
            time.sleep(0.1)

    def tasks(self, sealed: SealedHistory) -> tuple[list[ShardTask], list[PieceTask]]:
        """A task for each shard's order, and pieces of its events; none where no pinned key vouches for anything."""
        if sealed.stranger:
            return [], []
        shards = [
            ShardTask(self._log, shard, tuple(sealed.shards.get(shard, ())), piece_entries(sealed.sealed(shard)), self._kept)
            for shard in range(self._log.shards)
        ]
        pieces = [
            PieceTask(task.shard, first, min(first + task.piece, sealed.sealed(task.shard)))
            for task in shards
            for first in range(0, sealed.sealed(task.shard), task.piece)
        ]
        return shards, pieces

    def beyond(self, sealed: SealedHistory, settle_s: float) -> None:
        """What stands above the seals. Not where no pinned key vouches for any."""
        if not sealed.stranger:
            sizes = {shard: sealed.sealed(shard) for shard in range(self._log.shards)}
            check_beyond(self._source, sizes, self._findings, settle_s)

    def report(self, sealed: SealedHistory, shards: Iterable[ShardResult], pieces: Iterable[PieceResult]) -> Report:
        """Everything together. Failures in the order of step, shard and index."""
        by_shard = {result.shard: result for result in shards}
        pieces = list(pieces)
        findings = self._findings
        findings.merge(result.findings for result in by_shard.values())
        findings.merge(piece.findings for piece in pieces)
        for piece in pieces:
            _check_tied(by_shard[piece.shard], piece, piece_entries(sealed.sealed(piece.shard)), findings)
        for shard, result in by_shard.items():
            if result.stranger is not None:
                continue  # the fold stopped before it knew what was erased; integrity fails in `_check_operator`
            check_erased(result, [piece for piece in pieces if piece.shard == shard], findings)
            _check_bounded(result, [piece for piece in pieces if piece.shard == shard], findings)
        unjudged = sealed.stranger or self._check_operator(by_shard, findings)
        for row in [] if sealed.stranger else self._source.strangers(self._log.shards):
            reason = f"table {row.table} has rows of shard {row.shard}, which this deployment does not have"
            findings.fail(6 if row.table == "events" else 3, row.shard, row.index, reason)
        self._check_fresh(sealed, by_shard, findings)
        seen = AgentsSeen() if sealed.stranger else self._check_seen(sealed, by_shard)
        failures = sorted(findings.kept, key=_place)
        return Report(
            integrity=findings.outcome(Aspect.INTEGRITY),
            completeness=_at_best(findings, Aspect.COMPLETENESS, judged=not unjudged and all(result.whole for result in by_shard.values())),
            freshness=_at_best(findings, Aspect.FRESHNESS, judged=not sealed.stranger),
            entries=sum(result.entries for result in by_shard.values()),
            events=sum(piece.events for piece in pieces),
            failures=tuple(failures[:MAX_KEPT]),
            failure_count=sum(findings.counts.values()),
            forks=tuple(fork for result in by_shard.values() for fork in result.forks),
            unproven_rejections=sum(result.unproven for result in by_shard.values()),
            erased=sum(len(piece.erased) for piece in pieces),
            checkpoints=sealed.checkpoints,
            root_size=sealed.size,
            seconds=round(time.perf_counter() - self._started, 3),
            # Another failure than the keys' is no question of settings.
            unjudged=unjudged if findings.count(Aspect.INTEGRITY) == 1 else "",
            deployment=self._log.deployment,
            keys={"operator": [*map(key_id, self._log.operator_keys)], "sealer": [*map(key_id, self._log.sealer_keys)]},
            at=wire_time(self._now),
            root_hash=sealed.root.root.hex() if sealed.root else None,
            note=sealed.note.decode() if sealed.note else None,
            directives=sum(result.directives for result in by_shard.values()),
            seen=seen,
            notes=tuple(self._notes),
            rules=tuple(result.rules or RulesInForce(shard, 1) for shard, result in sorted(by_shard.items())),
        )

    def _check_seen(self, sealed: SealedHistory, shards: Mapping[int, ShardResult]) -> AgentsSeen:
        """Step 10. The sealer's leaves are in the store before any agent is shown them: those that an agent saw since this began are there by now."""
        book, leaves = SeenBook(), sealed.hashes
        book.merge(result.seen for result in shards.values())
        for shard in range(self._log.shards):
            for block in self._source.entries(shard, sealed.sealed(shard), _ABOVE):
                book.take_above(shard, block)
        if book.size > len(leaves):
            # What was judged stays what was judged, whatever the store says now.
            leaves = [*leaves, *leaf_hashes_of(self._source.root_leaves())[len(leaves) :]]
        return check_seen(book, leaves, self._log, {shard: result.retired for shard, result in shards.items()}, self._findings)

    def _check_operator(self, shards: dict[int, ShardResult], findings: Findings) -> str:
        """Records of operators that are not pinned: a failure each; one, and its sentence, when no pinned operator signed anything."""
        strangers = [result.stranger for _, result in sorted(shards.items()) if result.stranger is not None]
        if not strangers or any(result.knows_operator for result in shards.values()):
            for stranger in strangers:
                findings.add(stranger.failure)
            return ""
        sentence = stranger_operator(self._log, [stranger.key for stranger in strangers])
        findings.fail(5, None, None, sentence)
        return sentence

    def _check_fresh(self, sealed: SealedHistory, shards: dict[int, ShardResult], findings: Findings) -> None:
        """Step 9. Checkpoints carry no time; the seals that they stand at do, signed by the sealer."""
        limit = FRESH_S + FRESH_INTERVALS * self._log.seal_interval_s
        for shard, result in sorted(shards.items()):
            if result.newest_seal is None:
                findings.add(Failure(9, shard, None, "no seal says how new this shard is", Aspect.FRESHNESS, Outcome.UNKNOWN))
                continue
            try:
                age = self._now - datetime.fromisoformat(result.newest_seal).timestamp()
            except ValueError:  # the format lets a day through that its month does not have
                reason = f"the newest seal's time {result.newest_seal} is on no calendar"
                findings.add(Failure(9, shard, sealed.sealed(shard) - 1, reason, Aspect.FRESHNESS))
                continue
            if age < -FRESH_S:
                reason = (
                    f"the newest seal is {-age:.0f} s ahead of this clock: one of the two is wrong, so nothing says how old the seal is"
                )
                findings.add(Failure(9, shard, sealed.sealed(shard) - 1, reason, Aspect.FRESHNESS))
            elif age > limit:
                reason = (
                    f"the newest seal is {age:.0f} s old; with a seal each {self._log.seal_interval_s:g} s, at most {limit:.0f} s are fresh"
                )
                findings.add(Failure(9, shard, sealed.sealed(shard) - 1, reason, Aspect.FRESHNESS))


def piece_entries(size: int) -> int:
    """How many entries a piece of a shard with `size` entries has."""
    return min(max(size // PIECES, MIN_PIECE), MAX_PIECE)


def _at_best(findings: Findings, aspect: Aspect, *, judged: bool) -> Outcome:
    """What was found; what could not be judged does not pass."""
    found = findings.outcome(aspect)
    return Outcome.UNKNOWN if found is Outcome.PASS and not judged else found


def _check_tied(shard: ShardResult, piece: PieceResult, length: int, findings: Findings) -> None:
    """Step 6 read the same entries as steps 3 to 5."""
    number = piece.first // length
    if number >= len(shard.digests) or shard.digests[number] != piece.entries_digest:
        findings.fail(6, piece.shard, piece.first, "the entries from here on changed while they were being verified")


def _check_bounded(shard: ShardResult, pieces: list[PieceResult], findings: Findings) -> None:
    """Events that the rules of level 3 refuse stand before these rules alone."""
    for piece in pieces:
        if piece.unbounded is not None and shard.bounded_from is not None and piece.unbounded[0] > shard.bounded_from:
            findings.fail(6, shard.shard, *piece.unbounded)


def _place(failure: Failure) -> tuple[int, int, int]:
    return failure.step, -1 if failure.shard is None else failure.shard, -1 if failure.index is None else failure.index


def _teller(progress: Progress | None) -> Tell:
    started, done = time.perf_counter(), [0]

    def tell(shard: int, index: int, events: int) -> None:
        done[0] += events
        if progress is not None:
            progress(shard, index, done[0], done[0] / max(time.perf_counter() - started, 1e-6))

    return tell

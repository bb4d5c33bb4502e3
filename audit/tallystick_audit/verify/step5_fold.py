"""Step 5: the fold run again over every entry: keys, signatures, verdicts, prev links, n and first of each run, facts of seals. Pure.

Bodies: what an accepted entry says of its body is proven by step 6, which folds the stored events to the same root, so the fold takes it as
recorded here. A rejection for its body (verdicts 7 and 10) is judged again from the raw bytes in table `rejected`; these are kept up to a
bound, and where they are gone the verdict stands as recorded and completeness becomes unknown: events might have been kept out. What was
no record at all (verdict 8) carries nobody's signature; a good segment that was hidden under it shows as a gap in its run.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tallystick_schemas.bodies import EMPTY_BODY, Body, BodyRefused, examine_body
from tallystick_schemas.entries import Entry, is_about
from tallystick_schemas.errors import FoldError, ParseError, RulesUnknown
from tallystick_schemas.fold import Fold, Parameters, Step
from tallystick_schemas.headers import Kind, SegmentHeader
from tallystick_schemas.records import Record, parse_frame, parse_record
from tallystick_schemas.verdicts import Verdict

from .report import Aspect, Failure, Findings, Outcome
from .source import StoredEntry

STEP = 5
_FOR_BODY = (Verdict.BODY_MISMATCH, Verdict.MALFORMED_EVENT)
_BY_OPERATOR = (Kind.ENROL, Kind.REVOKE, Kind.ERASE, Kind.GENERATION, Kind.DIRECTIVE)
_NO_FURTHER = "; entries after it were not judged again"


class Stranger(NamedTuple):
    """An operator's record under a key that is not pinned: the key's id as the record names it, and what is wrong with its entry."""

    key: str
    failure: Failure


class RejectedRows:
    """The kept bytes of rejected records, asked for in the order of their indexes."""

    def __init__(self, shard: int, rows: Iterator[tuple[int, bytes]], findings: Findings) -> None:
        self._shard, self._rows, self._findings = shard, rows, findings
        self._row = next(rows, None)

    def at(self, index: int) -> bytes | None:
        """The record of entry `index`, if it was kept. Rows in between belong to no rejected entry."""
        self._skip_before(index)
        found: bytes | None = None
        while self._row is not None and self._row[0] == index:
            if found is not None and found != self._row[1]:
                self._findings.fail(STEP, self._shard, index, "two different records are kept as the rejected one of this index")
            found = self._row[1] if found is None else found
            self._row = next(self._rows, None)
        return found

    def close(self, end: int) -> None:
        """No more entries."""
        self._skip_before(end)

    def _skip_before(self, index: int) -> None:
        while self._row is not None and self._row[0] < index:
            self._findings.fail(STEP, self._shard, self._row[0], "a rejected record is kept for an index that no rejected entry has")
            self._row = next(self._rows, None)


class Refold:
    """Takes a shard's entries in order; stops after the first that the fold would not have written, since the state is then unknown."""

    def __init__(self, parameters: Parameters, rejected: RejectedRows, findings: Findings) -> None:
        self._fold, self._rejected, self._findings = Fold(parameters), rejected, findings
        self._shard = parameters.shard
        self._running = True
        self.unproven = 0
        self.knows_operator = False
        """Whether a pinned operator key signed any record up to here."""
        self.stranger: Stranger | None = None
        """Where the fold stopped because an accepted record names an operator key that is not pinned. Whoever puts shards together tells."""

    def take(self, row: StoredEntry, entry: Entry) -> Step | None:
        """What the fold makes of the entry; None when it has stopped, or the entry is not what it would have written."""
        kept = None if entry.verdict.accepted else self._rejected.at(row.index)
        if not self._running:
            return None
        try:
            step = self._fold.refold(entry, lambda record: self._examine(record, entry, row.index, kept))
        except RulesUnknown as error:
            # Signed by a pinned operator, so nothing is wrong with it: this verifier is older than the rules.
            self._running = False
            reason = f"{error}{_NO_FURTHER}"
            self._findings.add(Failure(STEP, self._shard, row.index, reason, Aspect.INTEGRITY, Outcome.UNKNOWN))
            return None
        except (ParseError, FoldError) as error:
            self._stop(row.index, f"no fold writes this entry: {error}")
            return None
        if step.index != row.index or step.raw != row.entry:
            self._differs(row.index, step, entry)
            return None
        self.knows_operator = self.knows_operator or (step.entry.verdict.accepted and step.entry.kind in _BY_OPERATOR)
        if kept is not None:
            self._check_kept(row.index, entry, kept)
        return step

    @property
    def whole(self) -> bool:
        """Whether every entry so far was judged."""
        return self._running

    def broken(self) -> None:
        """Entries are missing (step 3 said so): what comes after cannot be judged again."""
        self._running = False

    def _differs(self, index: int, step: Step, entry: Entry) -> None:
        unknown = step.entry.verdict == Verdict.UNKNOWN_KEY and entry.verdict.accepted
        if unknown and entry.kind in _BY_OPERATOR and step.record is not None and not isinstance(step.record.header, SegmentHeader):
            self._running = False
            self.stranger = Stranger(step.record.header.key, Failure(STEP, self._shard, index, f"{_difference(step, entry)}{_NO_FURTHER}"))
            return
        self._stop(index, _difference(step, entry))

    def _stop(self, index: int, reason: str) -> None:
        self._running = False
        self._findings.fail(STEP, self._shard, index, f"{reason}{_NO_FURTHER}")

    def _examine(self, record: Record, entry: Entry, index: int, kept: bytes | None) -> Body:
        if entry.verdict not in _FOR_BODY:
            return EMPTY_BODY
        if kept is None:
            self.unproven += 1
            reason = f"rejected as {entry.verdict.label}, and the record was not kept: it cannot be judged again"
            self._findings.incomplete(STEP, self._shard, index, reason, Outcome.UNKNOWN)
            raise BodyRefused(entry.verdict, reason)
        return examine_body(record._replace(body=_body_of(kept)), bounded=self._fold.bounded)

    def _check_kept(self, index: int, entry: Entry, kept: bytes) -> None:
        """The kept bytes are the ones that the entry is about."""
        bounded = self._fold.bounded
        is_one = entry.kind == Kind.REJECTED and self._fold.knows(kept) and _is_record(kept, bounded=bounded)
        if is_one or not is_about(entry, kept):
            self._findings.fail(STEP, self._shard, index, "the rejected record that was kept is not the one that the entry is about")


def _body_of(kept: bytes) -> bytes:
    try:
        return parse_frame(kept).body
    except ParseError as error:
        # Not the record that the entry is about; `_check_kept` cannot be reached when the fold differs, so the reason says it.
        raise BodyRefused(Verdict.BODY_MISMATCH, f"the record that was kept is no record: {error}") from error


def _is_record(raw: bytes, *, bounded: bool) -> bool:
    try:
        parse_record(raw, bounded=bounded)
    except ParseError:
        return False
    return True


def _difference(step: Step, entry: Entry) -> str:
    """In words, how the fold's entry and the stored one part."""
    if step.entry.verdict != entry.verdict:
        why = f" ({step.reason})" if step.reason else ""
        return f"the fold says {step.entry.verdict.label}{why}, the entry {entry.verdict.label}"
    names = [name for name in Entry._fields if getattr(step.entry, name) != getattr(entry, name)]
    return f"the fold's entry differs in {', '.join(names) or 'its place'}"

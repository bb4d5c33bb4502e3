"""Bringing a shard's fold back from the ledger: the newest snapshot, checked against its seal, then every entry after it."""

import logging
from collections.abc import Callable

from tallystick_schemas.bodies import EMPTY_BODY, Body, BodyRefused
from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import FoldError, ParseError
from tallystick_schemas.facts import parse_facts
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.headers import Kind
from tallystick_schemas.records import Record
from tallystick_schemas.state import State
from tallystick_schemas.state_digest import state_digest
from tallystick_schemas.verdicts import Verdict

from ..errors import LedgerDisagrees
from .ledger import Ledger, StoredEntry

log = logging.getLogger(__name__)
OpenSnapshot = Callable[[int, bytes], State]
"""(shard, row's bytes) -> the state that a notary signed; ParseError."""


def restore(ledger: Ledger, parameters: Parameters, open_snapshot: OpenSnapshot) -> Fold:
    """The fold as it stood after the ledger's last entry. LedgerDisagrees where an entry is not what folding all before it gives."""
    state = _from_snapshot(ledger, parameters, open_snapshot)
    if state is not None:
        try:
            return _folded(ledger, Fold(parameters, state))
        except (FoldError, LedgerDisagrees) as error:
            _thrown_away(parameters.shard, error)
    return _folded(ledger, Fold(parameters))


def _folded(ledger: Ledger, fold: Fold) -> Fold:
    shard, folded = fold.parameters.shard, 0
    for row in ledger.entries(shard, fold.state.index + 1):
        _refold(fold, row)
        folded += 1
    log.info("shard %d: restored to index %d, %d entries folded again", shard, fold.state.index, folded)
    return fold


def _thrown_away(shard: int, error: Exception) -> None:
    log.warning("shard %d: the snapshot is not used: %s; every entry is folded again", shard, error)


def _refold(fold: Fold, row: StoredEntry) -> None:
    shard = fold.parameters.shard
    try:
        entry = parse_entry(row.entry)
        step = fold.refold(entry, _as_recorded(entry))
    except ParseError as error:
        raise LedgerDisagrees(shard, row.index, str(error)) from error
    if StoredEntry(step.index, step.raw, step.leaf, step.chain) != row:
        raise LedgerDisagrees(shard, row.index, "folding the entry again gives other bytes")


def _as_recorded(entry: Entry) -> "_Recorded":
    return _Recorded(entry.verdict)


class _Recorded:
    """Bodies are not read again here: what was said of them is taken from the entry (verification step 6 is where they are checked)."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def __call__(self, _: Record) -> Body:
        if self._verdict in (Verdict.BODY_MISMATCH, Verdict.MALFORMED_EVENT):
            raise BodyRefused(self._verdict, "as recorded")
        return EMPTY_BODY


def _from_snapshot(ledger: Ledger, parameters: Parameters, open_snapshot: OpenSnapshot) -> State | None:
    """The newest snapshot's state when a notary signed it and the seal at its index vouches for it; else nothing, and everything is folded."""
    raw = ledger.snapshot(parameters.shard)
    if raw is None:
        return None
    try:
        state = open_snapshot(parameters.shard, raw)
        _check(ledger, parameters, state)
    except (ParseError, FoldError, LedgerDisagrees) as error:
        _thrown_away(parameters.shard, error)
        return None
    return state


def _check(ledger: Ledger, parameters: Parameters, state: State) -> None:
    row = ledger.entry(parameters.shard, state.index)
    if row is None or state.shard != parameters.shard:
        raise LedgerDisagrees(parameters.shard, state.index, "the snapshot's entry is not in the ledger")
    entry = parse_entry(row.entry)
    facts = parse_facts(entry.facts) if entry.kind == Kind.SEAL and entry.facts else None
    if facts is None or (facts.epoch, facts.state) != (state.epoch, state_digest(state).hex()):
        raise LedgerDisagrees(parameters.shard, state.index, "the snapshot is not the state that the seal's facts name")
    position = (max(state.generation, 0), state.offset, state.chain)
    if position != (entry.generation, entry.offset, row.chain) or (state.entries, state.first, state.last) != (0, None, None):
        raise LedgerDisagrees(parameters.shard, state.index, "the snapshot stands elsewhere than its seal")

"""What was signed that the sealer's state does not know, and the operator's word to go on from it. Pure.

Nothing here acts because of where it lies: a note counts for its signature, the operator's word for his.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tallystick_schemas.checkpoints import Checkpoint
from tallystick_schemas.directives import ADOPT, open_directive
from tallystick_schemas.entries import genesis_chain, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind, Seal, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import SEALER
from tallystick_schemas.records import frame_record
from tallystick_schemas.settings import LogSettings

from ..errors import SealerBehind, SealerSplit, SealRefused
from ..notary.ledger import StoredEntry
from .core import LogState, SealerState, check_ends_in_seal, extend
from .kept import KeptNotes
from .rounds import Notes

STORE: Final = "the store"
TOPIC: Final = "topic checkpoints"
KEPT: Final = "the file of kept notes"


@dataclass(frozen=True)
class Seen:
    """A signed checkpoint, and who holds it."""

    where: str
    checkpoint: Checkpoint


def newest_of(seen: Iterable[Seen], root_origin: str) -> Seen | None:
    """The newest root checkpoint; SealerSplit where two of its size differ."""
    roots = [one for one in seen if one.checkpoint.origin == root_origin]
    newest = max(roots, key=lambda one: one.checkpoint.size, default=None)
    for one in roots:
        if newest is not None and one.checkpoint.size == newest.checkpoint.size and one.checkpoint.root != newest.checkpoint.root:
            raise SealerSplit(one.checkpoint.size, newest.where, one.where)
    return newest


def beyond(state: SealerState, log: LogSettings, seen: Iterable[Seen]) -> Seen | None:
    """The newest that was signed and that `state` does not know: a root checkpoint, or one of a shard where there is none.

    SealerSplit where a root checkpoint of the state's own size has another root.
    """
    known = {log.origin(shard): held.size for shard, held in enumerate(state.shards)} | {log.root_origin: state.root.size}
    newer = []
    for one in seen:
        checkpoint = one.checkpoint
        if checkpoint.size > known[checkpoint.origin]:
            newer.append(one)
        elif checkpoint.origin == log.root_origin and checkpoint.size == state.root.size and checkpoint.root != state.root.frontier().root:
            raise SealerSplit(checkpoint.size, "its state", one.where)
    return newest_of(newer, log.root_origin) or next(iter(newer), None)


def adoption(checkpoint: Checkpoint, reason: str) -> dict[str, Any]:
    """The value of the operator's directive `adopt sealer`: which root checkpoint the sealer goes on from."""
    return {"size": checkpoint.size, "root": checkpoint.root.hex(), "reason": reason}


def check_adopted(newest: Seen, known: int, directives: Iterable[bytes], log: LogSettings) -> None:
    """SealerBehind unless an operator's directive in the history names just this checkpoint. `directives`: their entries."""
    pinned = {key_id(public): public for public in log.operator_keys}
    wanted = (newest.checkpoint.origin, newest.checkpoint.size, newest.checkpoint.root.hex())
    if wanted not in {(log.root_origin, *named) for raw in directives for named in _named(raw, pinned)}:
        raise SealerBehind(newest.where, newest.checkpoint.origin, newest.checkpoint.size, known)


def _named(raw: bytes, pinned: Mapping[str, bytes]) -> Iterator[tuple[Any, Any]]:
    try:
        entry = parse_entry(raw)
        directive = open_directive(frame_record(entry.kind, entry.header, entry.sig, b""), pinned)
    except ParseError:
        return  # nobody's word; `doctor` counts entries that no operator signed
    if (directive.about, directive.subject) == (ADOPT, SEALER):
        yield directive.value.get("size"), directive.value.get("root")


Rows = Callable[[int, int], Iterator[StoredEntry]]
"""(shard, first) -> entries in order."""


def adopted_state(held: SealerState, log: LogSettings, kept: KeptNotes, notes: Notes, rows: Rows) -> SealerState:
    """The state after the newest round that is kept, every shard computed again from the store's rows and held to its newest note."""
    shards, epochs = list(held.shards), list(held.epochs)
    for shard in range(log.shards):
        note = kept.shards.get(log.origin(shard))
        checkpoint = notes.open(note) if note is not None else None
        if checkpoint is not None:
            shards[shard], epochs[shard] = _reached(shard, log, checkpoint, rows(shard, 0))
    root = LogState(kept.size, kept.frontier.hashes)
    return SealerState(held.version, log.deployment, epochs, shards, root)


def _reached(shard: int, log: LogSettings, signed: Checkpoint, rows: Iterator[StoredEntry]) -> tuple[LogState, int]:
    """A shard as it was signed, and its next epoch."""
    last: list[StoredEntry] = []

    def below() -> Iterator[StoredEntry]:
        for row in rows:
            if row.index >= signed.size:
                return
            last[:] = [row]
            yield row

    reached = extend(shard, LogState(0, [], chain=genesis_chain(log.origin(shard))), below())
    if reached.size < signed.size:
        raise SealRefused(shard, reached.size, f"{signed.size} entries were signed, and the store does not hold this one")
    if reached.frontier().root != signed.root:
        raise SealRefused(shard, 0, f"entries 0 to {signed.size - 1} are not the ones that were signed")
    check_ends_in_seal(shard, last[0])
    header = parse_header(Kind.SEAL, parse_entry(last[0].entry).header)
    assert isinstance(header, Seal)
    return reached, header.epoch + 1

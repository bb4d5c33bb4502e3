"""Everything of the sealer but Kafka: its state, how it starts beside what was signed, and how it advances."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.checkpoints import Checkpoint
from tallystick_schemas.headers import Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import sign_record, wire_time

from ..errors import RootLogLost, SealerBehind, SealerStateBroken, StoreForgot
from ..notary.ledger import StoredEntry
from .core import LogState, RootLeaf, Signed, check_ends_in_seal, check_signed_part, extend, first_state, parting, sign_round
from .kept import KeptNotes
from .recovery import KEPT, STORE, TOPIC, Seen, adopted_state, beyond, check_adopted
from .rounds import Notes, Round, StoredNote, published_rounds, rounds_of, signed_of, stored_rounds
from .state import StateFile
from .store import SealStore

log = logging.getLogger(__name__)
_ROUNDS: Final = 1000
"""Rounds that are looked at, kept or published together."""


@dataclass(frozen=True)
class Keyring:
    """The sealer's own key, and nobody else's."""

    private_key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private_key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        return key_id(self.public)


class Sealer:
    """The state, and how it advances. `check` comes first."""

    def __init__(self, settings: LogSettings, keyring: Keyring, file: StateFile, store: SealStore) -> None:
        self._settings, self._keyring, self._file, self._store = settings, keyring, file, store
        self.state = file.load() or first_state(settings)
        self._ahead: list[RootLeaf] = []
        if self.state.deployment != settings.deployment or len(self.state.shards) != settings.shards:
            raise SealerStateBroken(
                file.path, f"it belongs to {self.state.deployment!r} with {len(self.state.shards)} shards, not to this deployment"
            )
        self._notes = Notes(settings, keyring.public)
        self.kept = KeptNotes(file.kept, self._notes)

    @property
    def key(self) -> str:
        """Id of the key that it signs with."""
        return self._keyring.key_id

    def check(self, published: Sequence[StoredNote] = ()) -> None:
        """At start: what was signed of which this state does not know, and does the store still hold what was signed?

        `published`: notes of topic `checkpoints`, in its order. SealerBehind, SealerSplit, RootLogLost and SealRefused say why nothing may be signed.
        """
        self._fill_kept()
        newest = beyond(self.state, self._settings, self._seen(published))
        if newest is not None:
            self._adopt(newest, published)
        for shard, known in enumerate(self.state.shards):
            check_signed_part(shard, known, self._store.entries(shard, 0) if known.size else ())
        self._ahead = [leaf for leaf in self._store.root_leaves(self.state.root.size, None) if self._notes.is_leaf(leaf)]
        self._publish_again()

    def _seen(self, published: Sequence[StoredNote] = ()) -> Iterator[Seen]:
        """Signed checkpoints that others hold, and the file of kept notes: of each log the newest."""
        if self.kept.end is not None:
            yield Seen(KEPT, self.kept.end)
        yield from (Seen(TOPIC, found) for one in published if (found := self._notes.open(one.note)) is not None)
        known = {self._settings.root_origin: self.state.root.size}
        known |= {self._settings.origin(shard): held.size + 1 for shard, held in enumerate(self.state.shards)}
        for origin, size in known.items():
            yield from (Seen(STORE, found) for found in newest_stored(self._store, self._notes, origin, size))

    def _fill_kept(self) -> None:
        """Rounds that the state knows and the file does not, as after an upgrade: from the store, or the file begins after them."""
        begun = self.state.root.size - len(self.state.leaves)
        if self.kept.size >= begun:
            return
        for rounds in _batches(self._stored_rounds(begun)):
            self.kept.append(rounds)
        if self.kept.size < begun and not self.state.leaves:
            log.warning(
                "leaves %d to %d of the root log are in no place that can be read; the kept notes begin after them",
                self.kept.size,
                begun - 1,
            )
            self.kept.begin_at(self.state.root)

    def _stored_rounds(self, end: int) -> Iterator[Round]:
        """Rounds that the store holds after those that are kept, up to size `end`."""
        first = self.kept.size
        leaves, roots = self._store.root_leaves(first, end), self._store.notes(self._settings.root_origin, first + 1, end)
        return stored_rounds(self._notes, self.kept.frontier, leaves, roots)

    def _adopt(self, newest: Seen, published: Sequence[StoredNote]) -> None:
        """Go on from the newest that was signed, by the operator's word alone. If we crash here, the next start does the same again."""
        check_adopted(newest, self.state.root.size, self._store.directives(), self._settings)
        target = newest.checkpoint
        for rounds in _batches(self._stored_rounds(target.size)):
            self.kept.append(rounds)
        for rounds in _batches(published_rounds(self._notes, self.kept.frontier, dict(self.kept.shards), published)):
            self.kept.append(rounds)
        if (self.kept.size, self.kept.frontier.root) != (target.size, target.root):
            raise RootLogLost(self.kept.size, target.size)
        state = adopted_state(self.state, self._settings, self.kept, self._notes, self._store.entries)
        self.state = self._file.save(state)
        log.warning("goes on from the root checkpoint of size %d that %s holds, by the operator's word", target.size, newest.where)

    def _publish_again(self) -> None:
        """What is kept and the store lacks, as after it was restored from an older copy. Each note is opened once more before it goes."""
        for rounds in _batches(line for line in self.kept.lines() if isinstance(line, Round)):
            leaves, signed = _lacking(self._store, rounds)
            if leaves or signed:
                if bad := [one.origin for one in signed if self._notes.open(one.note) is None]:
                    raise SealerStateBroken(self._file.kept, f"a note of {bad[0]} in it is not signed by this deployment's sealer")
                self._store.publish(leaves, signed)
                log.warning("the store lacked %d leaves and %d checkpoints: published again", len(leaves), len(signed))

    def seal_record(self, epoch: int, now: float) -> bytes:
        """A tick for any shard."""
        return sign_record(Seal(1, self._keyring.key_id, wire_time(now), epoch), self._keyring.private_key)

    def advance(self, shards: set[int], epochs: list[int], now: float) -> list[Signed]:
        """Sign the shards that have a newer seal in the store; what was signed, for whoever else wants to know it."""
        advanced = {shard: reached for shard in sorted(shards) if (reached := self._reached(shard)) is not None}
        if advanced:
            self._check_store()
            state = sign_round(self.state, self._settings, advanced, self._keyring.private_key, wire_time(now))
            self._check_root_log(state.leaves)
            # Saved before anybody sees a signature: if we crash here, `pending` is published at the next start.
            self.state = self._file.save(msgspec.structs.replace(state, epochs=list(epochs)))
        return self.publish()

    def _check_store(self) -> None:
        """SealerBehind where the store shows that somebody else signs with this key; StoreForgot where it no longer has what was published last."""
        found = list(newest_stored(self._store, self._notes, self._settings.root_origin, self.state.root.size))
        if newer := [one for one in found if one.size > self.state.root.size]:
            raise SealerBehind(STORE, newer[0].origin, newer[0].size, self.state.root.size)
        if not found and not self.state.pending and self.kept.end is not None:
            raise StoreForgot(self.state.root.size)

    def _check_root_log(self, leaves: list[RootLeaf]) -> None:
        """A round of which the store has the leaves and not yet the note: the same leaves once more are harmless, others a second root log."""
        if (at := parting(leaves, self._ahead)) is not None:
            raise SealerBehind(STORE, self._settings.root_origin, at + 1, self.state.root.size)

    def _reached(self, shard: int) -> LogState | None:
        known, newest = self.state.shards[shard], self._store.newest_seal(shard)
        if newest is None or newest < known.size:
            return None
        rows = list(_up_to(self._store.entries(shard, known.size), newest))
        reached = extend(shard, known, rows)
        check_ends_in_seal(shard, rows[-1])
        return reached

    def publish(self) -> list[Signed]:
        """Keep, then into the store whatever may not be there yet. If we crash after it, the same rows are written again, and collapse."""
        signed = list(self.state.pending)
        if signed:
            self.kept.append(rounds_of(self.state, self._settings))
            # If we crash here, nobody has seen the round, and the state still has it as pending.
            self._store.publish(self.state.leaves, signed)
            self.state = self._file.save(msgspec.structs.replace(self.state, pending=[], leaves=[]))
        return signed


def newest_stored(store: SealStore, notes: Notes, origin: str, least: int) -> Iterator[Checkpoint]:
    """The signed checkpoints of a log of the greatest size that the store has, from size `least` on; more than one where they differ."""
    top: Checkpoint | None = None
    for note in store.newest_notes(origin, least):
        found = notes.open(note)
        if found is None or found.origin != origin:
            continue
        if top is not None and found.size < top.size:
            return
        top = found
        yield found


def _batches(rounds: Iterator[Round]) -> Iterator[list[Round]]:
    while batch := list(islice(rounds, _ROUNDS)):
        yield batch


def _lacking(store: SealStore, rounds: Sequence[Round]) -> tuple[list[RootLeaf], list[Signed]]:
    """Of these rounds, what the store does not hold."""
    both = [signed_of(one) for one in rounds]
    leaves, signed = [leaf for its, _ in both for leaf in its], [one for _, its in both for one in its]
    stored = set(store.root_leaves(rounds[0].first, rounds[-1].end))
    notes: set[bytes] = set()
    for origin in {one.origin for one in signed}:
        sizes = [one.size for one in signed if one.origin == origin]
        notes |= {one.note for one in store.notes(origin, min(sizes), max(sizes))}
    return [leaf for leaf in leaves if leaf not in stored], [one for one in signed if one.note not in notes]


def _up_to(rows: Iterator[StoredEntry], last: int) -> Iterator[StoredEntry]:
    for row in rows:
        yield row
        if row.index >= last:
            return

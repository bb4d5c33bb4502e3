"""The whole path in memory, made of the real parts: spool, writer, sending half, notary, ledger rows, sealer. Faults strike where a test says.

A durable step goes through `Faults.do`. LOST: it does not happen and fails. UNSURE: it happens and is reported as failed.
KILLED: it happens, and the process that did it is gone before it learns of it.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from tests.support.history import History, private_key, public_bytes
from tests.support.recorder import agent_settings, public_key
from tests.support.signing import SNAPSHOTS

from tallystick_producers.errors import SpoolFailed
from tallystick_producers.keyfile import load_key
from tallystick_producers.sending import Sending
from tallystick_producers.spool import Spool
from tallystick_producers.writer import Writer
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.events import parse_event
from tallystick_schemas.fold import Parameters
from tallystick_schemas.headers import Enrol, Generation, Kind, SegmentHeader, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import leaf_hash
from tallystick_schemas.segments import SignedSegment
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_stream_jobs.notary.core import Batch, ShardNotary
from tallystick_stream_jobs.notary.events_topic import Appended, Bounds
from tallystick_stream_jobs.notary.keeping import MINUTE_MS, SIGNED, Kept
from tallystick_stream_jobs.notary.ledger import Rows, StoredEntry
from tallystick_stream_jobs.notary.restore import restore
from tallystick_stream_jobs.sealer.core import RootLeaf, SealerState, Signed
from tallystick_stream_jobs.sealer.rounds import StoredNote
from tallystick_stream_jobs.sealer.sealer import Keyring, Sealer
from tallystick_stream_jobs.sealer.state import StateFile

SHARD = 0


class Fault(Enum):
    LOST = "lost"
    UNSURE = "done but reported failed"
    KILLED = "killed right after"


class Failed(Exception):
    """The step says that it failed."""


class Killed(BaseException):
    """The process is gone."""


class Faults:
    """Strikes the `at`-th time that a step is done; `struck` tells that it happened."""

    def __init__(self, step: str = "", fault: Fault = Fault.LOST, at: int = 1) -> None:
        self._step, self._fault, self._left = step, fault, at
        self.struck = False

    def do(self, step: str, action: Callable[[], None]) -> None:
        strikes = False
        if step == self._step and not self.struck:
            self._left -= 1
            strikes = self._left == 0
        if strikes:
            self.struck = True
            if self._fault is Fault.LOST:
                raise Failed(step)
        action()
        if strikes:
            raise Killed(step) if self._fault is Fault.KILLED else Failed(step)


class FaultySpool(Spool):
    def __init__(self, directory: Path, faults: Faults) -> None:
        super().__init__(directory, durable=False)
        self._faults = faults
        self.killed = False

    def put(self, run: str, segments: Sequence[SignedSegment], places: Mapping[str, str]) -> None:
        try:
            self._faults.do("spool write", lambda: super(FaultySpool, self).put(run, segments, places))
        except Failed as error:
            raise SpoolFailed(str(self.path), str(error)) from error
        except Killed:
            self.killed = True
            raise


class MemoryLedger:
    """The notary's port over dictionaries; rows come as RowBinary, as ClickHouse gets them. Equal rows collapse."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.events: dict[tuple[int, int, int, bytes], bytes] = {}
        self.refused: dict[tuple[int, int, bytes], None] = {}
        self.stored: dict[tuple[int, int, bytes], StoredEntry] = {}
        self.snapshots: dict[int, tuple[int, bytes]] = {}

    def _of(self, shard: int) -> list[StoredEntry]:
        return [row for (at, _, _), row in sorted(self.stored.items()) if at == shard]

    def tip(self, shard: int) -> StoredEntry | None:
        return (self._of(shard) or [None])[-1]

    def snapshot(self, shard: int) -> bytes | None:
        return self.snapshots[shard][1] if shard in self.snapshots else None

    def entry(self, shard: int, index: int) -> StoredEntry | None:
        return next((row for row in self._of(shard) if row.index == index), None)

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        return iter([row for row in self._of(shard) if row.index >= first])

    def lowest_gap(self, shard: int) -> int | None:
        held = {row.index for row in self._of(shard)}
        return next((index for index in range(max(held, default=-1)) if index not in held), None)

    def accepted_header(self, shard: int, agent: str, run: str, n: int) -> bytes | None:
        for row in self._of(shard):
            entry = parse_entry(row.entry)
            if entry.kind == Kind.SEGMENT and entry.verdict.accepted:
                header = parse_header(Kind.SEGMENT, entry.header)
                if isinstance(header, SegmentHeader) and (header.agent, header.run, header.n) == (agent, run, n):
                    return entry.header
        return None

    def newest_generation(self, shard: int) -> bytes | None:
        found = [row.entry for row in self._of(shard) if parse_entry(row.entry).kind == Kind.GENERATION]
        return found[-1] if found else None

    def kept(self, shard: int, up_to: int) -> list[Kept]:
        entries = {row.index: parse_entry(row.entry) for row in self._of(shard)}
        rows = [(entries[index], raw) for at, index, raw in self.refused if at == shard and index <= up_to]
        return [Kept(entry.append_ms // MINUTE_MS, entry.verdict in SIGNED, len(raw)) for entry, raw in rows]

    def drop_orphans(self, shard: int, above: int) -> None:
        self.events = {key: raw for key, raw in self.events.items() if key[0] != shard or key[1] <= above}
        self.refused = {key: None for key in self.refused if key[0] != shard or key[1] <= above}

    def insert(self, rows: Rows) -> None:
        for name, pieces, insert in (
            ("insert events", rows.events, self._events),
            ("insert rejected", rows.rejected, self._rejected),
            ("insert entries", rows.entries, self._entries),
            ("insert snapshots", rows.snapshots, self._snapshots),
        ):
            if pieces:
                self._faults.do(name, functools.partial(insert, b"".join(pieces)))

    def _events(self, data: bytes) -> None:
        read = _Reader(data)
        while read.left:
            shard, index, pos, raw = read.number(4), read.number(8), read.number(2), read.text()
            self.events[shard, index, pos, leaf_hash(raw)] = raw

    def _rejected(self, data: bytes) -> None:
        read = _Reader(data)
        while read.left:
            self.refused[read.number(4), read.number(8), read.text()] = None

    def _entries(self, data: bytes) -> None:
        read = _Reader(data)
        while read.left:
            shard, index, entry, leaf, chain = read.number(4), read.number(8), read.text(), read.take(32), read.take(32)
            self.stored[shard, index, leaf] = StoredEntry(index, entry, leaf, chain)

    def _snapshots(self, data: bytes) -> None:
        read = _Reader(data)
        while read.left:
            shard, index, _, state = read.number(4), read.number(8), read.number(8), read.text()
            self.snapshots[shard] = (index, state)


class MemoryTopic:
    """The notary's port on Kafka over lists: (record, append time in ms) of each partition, of which the first may be gone."""

    def __init__(self, records: Mapping[int, Sequence[tuple[bytes, int]]], name: str = "topic-0") -> None:
        self.records = {shard: list(some) for shard, some in records.items()}
        self.name, self.first = name, dict.fromkeys(records, 0)

    def id(self) -> str:
        return self.name

    def bounds(self) -> Mapping[int, Bounds]:
        return {shard: Bounds(self.first[shard], len(some)) for shard, some in self.records.items()}

    def record(self, shard: int, offset: int) -> Appended:
        assert self.first[shard] <= offset < len(self.records[shard])
        raw, append_ms = self.records[shard][offset]
        return Appended(append_ms, raw)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def text(self) -> bytes:
        length = shift = 0
        while True:
            byte = self.take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return self.take(length)


class MemorySealStore:
    def __init__(self, ledger: MemoryLedger, faults: Faults) -> None:
        self._ledger, self._faults = ledger, faults
        self.leaves: dict[tuple[int, bytes], None] = {}
        self.checkpoints: dict[tuple[str, int, bytes, bytes], None] = {}
        self.now = wire_time(time.time())

    def newest_seal(self, shard: int) -> int | None:
        entries = [(row.index, parse_entry(row.entry)) for row in self._ledger.entries(shard, 0)]
        return max((index for index, entry in entries if entry.kind == Kind.SEAL and entry.verdict.accepted), default=None)

    def entries(self, shard: int, first: int) -> Iterator[StoredEntry]:
        return self._ledger.entries(shard, first)

    def root_leaves(self, first: int, end: int | None) -> Iterator[RootLeaf]:
        return iter([RootLeaf(index, data) for index, data in sorted(self.leaves) if first <= index and (end is None or index < end)])

    def notes(self, origin: str, least: int, most: int) -> Iterator[StoredNote]:
        found = sorted((size, note) for of, size, _, note in self.checkpoints if of == origin and least <= size <= most)
        return iter([StoredNote(note, self.now) for _, note in found])

    def newest_notes(self, origin: str, least: int) -> Iterator[bytes]:
        found = sorted((-size, note) for of, size, _, note in self.checkpoints if of == origin and least <= size)
        return iter([note for _, note in found])

    def directives(self) -> Iterator[bytes]:
        entries = [row.entry for row in self._ledger.stored.values()]
        return iter([raw for raw in entries if (entry := parse_entry(raw)).kind == Kind.DIRECTIVE and entry.verdict.accepted])

    def publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None:
        self._faults.do("publish", lambda: self._publish(leaves, signed))

    def _publish(self, leaves: Sequence[RootLeaf], signed: Sequence[Signed]) -> None:
        self.leaves |= {(leaf.index, leaf.data): None for leaf in leaves}
        self.checkpoints |= {(one.origin, one.size, one.root, one.note): None for one in signed}


class FaultyStateFile(StateFile):
    def __init__(self, directory: Path, faults: Faults) -> None:
        super().__init__(directory)
        self._faults = faults

    def save(self, state: SealerState) -> SealerState:
        saved: list[SealerState] = []
        self._faults.do("checkpoint sign", lambda: saved.append(super(FaultyStateFile, self).save(state)))
        return saved[0]


class World:
    """One agent, one shard. `round` lets every part work once; parts that were killed start again from what is durable."""

    def __init__(self, directory: Path, faults: Faults) -> None:
        self.directory, self.faults = directory, faults
        self.operator, sealer_key = private_key("operator"), private_key("sealer")
        self.log = LogSettings("test", 1, (public_bytes(self.operator),), (public_bytes(sealer_key),), seal_interval_s=0.0)
        self.settings = agent_settings(directory, log=self.log, resend_s=0.01, linger_ms=1)
        self._keyring = Keyring(sealer_key)
        self.topic: list[tuple[int, bytes]] = []
        self.ledger = MemoryLedger(faults)
        self.seals = MemorySealStore(self.ledger, faults)
        self.published: list[StoredNote] = []
        """What topic `checkpoints` holds; tests put it there."""
        self._now = wire_time(time.time())
        operator_id = key_id(public_bytes(self.operator))
        self._append(sign_record(Generation(1, operator_id, self._now, 0, "topic-0", SHARD, -1), self.operator))
        enrol = Enrol(1, operator_id, self._now, self.settings.agent, to_base64(public_key(self.settings)), "team")
        self._append(sign_record(enrol, self.operator))
        self.start_notary()
        self.start_agent()
        self._file: FaultyStateFile | None = None
        self.start_sealer()

    def _append(self, record: bytes) -> None:
        self.topic.append((int(time.time() * 1000), record))

    def start_agent(self) -> None:
        """A process of the agent; the one before is gone, and its locks with it."""
        self.spool = FaultySpool(Path(self.settings.spool_dir), self.faults)
        self.sending = Sending(self.settings, self.spool, self._freed)
        key = load_key(Path(self.settings.key_file))
        self.writer = Writer(self.settings, self.spool, key, lambda: None, self.sending.added)
        self.sending.own(self.writer.run, self.writer.key)
        self.sending.adopt(time.monotonic())
        self.writer.start()

    def _freed(self) -> None:
        self.writer.freed()

    def kill_agent(self) -> None:
        """What the kernel does: locks are free, memory is gone."""
        self.writer.forget()
        self.sending.forget()
        self.spool.close()

    def start_notary(self) -> None:
        fold = restore(
            self.ledger, Parameters.of(SHARD, self.log.origin(SHARD), self.log.operator_keys, self.log.sealer_keys), SNAPSHOTS.open
        )
        self._notary = ShardNotary(
            fold, self.ledger.accepted_header, SNAPSHOTS.sign, self.ledger.kept(fold.parameters.shard, fold.state.index)
        )
        self._position = fold.state.offset + 1
        self._batch: Batch | None = None

    def start_sealer(self) -> None:
        if self._file is not None:
            self._file.__exit__(None, None, None)
        self._file = FaultyStateFile(self.directory / "sealer", self.faults)
        self.sealer = Sealer(self.log, self._keyring, self._file, self.seals)
        kept = self.sealer.kept
        append = kept.append
        kept.append = lambda rounds: self.faults.do("keep notes", lambda: append(rounds))  # type: ignore[method-assign]
        self.sealer.check(self.published)

    def room(self) -> int:
        return 1 << 30

    def send(self, record: bytes, done: Callable[[Exception | None], None]) -> None:
        """The outlet of the sending half: the broker."""
        try:
            self.faults.do("produce", lambda: self._append(record))
        except Failed as error:
            done(error)
            return
        done(None)

    def round(self) -> None:
        """Everybody once."""
        try:
            self.sending.send_due(self)
        except Killed:
            self.kill_agent()
            self.start_agent()
        try:
            self._notarise()
        except Killed:
            self.start_notary()
        except Failed:
            pass  # tried again in the next round, as the shell does

    def _notarise(self) -> None:
        if self._batch is None:
            records = [(at, *self.topic[at]) for at in range(self._position, len(self.topic))]
            self._position = len(self.topic)
            if not records:
                return
            self._batch = self._notary.process(records)
        batch = self._batch
        self.ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))
        self._batch = None
        receipts = [receipt for receipt in batch.receipts if receipt.agent == self.settings.agent and receipt.n >= 0]
        if receipts:
            self.faults.do("receipt", lambda: self.sending.take_receipts(receipts))
        self.faults.do("ack", lambda: None)

    def seal(self) -> None:
        """A tick with all that belongs to it; a sealer that failed or was killed starts again."""
        while True:
            try:
                return self._seal()
            except (Killed, Failed):
                self.start_sealer()

    def _seal(self) -> None:
        epochs = list(self.sealer.state.epochs)
        record = self.sealer.seal_record(epochs[SHARD], time.time())
        self.faults.do("seal", lambda: self._append(record))
        self.round()
        self.round()
        epochs[SHARD] += 1
        self.sealer.advance({SHARD}, epochs, time.time())

    def settle(self, rounds: int = 400) -> None:
        """Until the agent's spool is empty."""
        for _ in range(rounds):
            self.round()
            if self.sending.waiting == 0 and self.spool.usage()[0] == 0:
                return
            time.sleep(0.005)
        raise AssertionError(f"{self.sending.waiting} segments still wait: {self.sending.last_error}")

    def history(self) -> History:
        """What the store holds now, for the verifier."""
        history = History(self.log)
        history.entries = [(shard, row.index, row.entry, row.leaf, row.chain) for (shard, _, _), row in self.ledger.stored.items()]
        history.events = [(shard, index, pos, raw, leaf) for (shard, index, pos, leaf), raw in self.ledger.events.items()]
        history.rejected = list(self.ledger.refused)
        history.checkpoints = list(self.seals.checkpoints)
        history.root_leaves = list(self.seals.leaves)
        history.now = time.time()
        return history

    def close(self) -> None:
        self.writer.close(5)
        self.kill_agent()
        if self._file is not None:
            self._file.__exit__(None, None, None)


def ids_of(history: History) -> list[Any]:
    """`attrs["id"]` of every stored event."""
    events = [parse_event(row[3]) for row in history.events]
    return [event.attrs["id"] for event in events if event.attrs and "id" in event.attrs]

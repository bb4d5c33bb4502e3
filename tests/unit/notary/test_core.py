"""The notary's core: the same partition gives the same rows, however it was read, and whatever was lost of the process."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signing import SNAPSHOTS
from tests.support.world import Faults, MemoryLedger

from tallystick_schemas.entries import parse_entry
from tallystick_schemas.fold import Parameters
from tallystick_schemas.headers import Kind
from tallystick_schemas.messages import Signal, VerifiedBatch, parse_batch
from tallystick_schemas.state import State
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.errors import LedgerDisagrees
from tallystick_stream_jobs.notary.core import Batch, ShardNotary
from tallystick_stream_jobs.notary.ledger import Rows, StoredEntry
from tallystick_stream_jobs.notary.restore import restore
from tallystick_stream_jobs.notary.snapshots import Snapshots

VECTOR: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "history-1.json").read_text())
SHARD = VECTOR["shards"][0]
RECORDS = [(one["offset"], one["append_ms"], bytes.fromhex(one["record"])) for one in SHARD["records"]]
PARAMETERS = Parameters.of(
    0, SHARD["origin"], (bytes.fromhex(VECTOR["keys"]["operator"]["public"]),), (bytes.fromhex(VECTOR["keys"]["sealer"]["public"]),)
)
GENERATIONS = [at for at, (offset, _, _) in enumerate(RECORDS) if offset == 0]


def insert(ledger: MemoryLedger, batch: Batch) -> None:
    ledger.insert(Rows(batch.events, batch.rejected, batch.entries, batch.snapshots))


def notary_on(ledger: MemoryLedger) -> ShardNotary:
    fold = restore(ledger, PARAMETERS, SNAPSHOTS.open)
    return ShardNotary(fold, ledger.accepted_header, SNAPSHOTS.sign, ledger.kept(0, fold.state.index))


def restored(ledger: MemoryLedger, snapshots: Snapshots = SNAPSHOTS) -> State:
    return restore(ledger, PARAMETERS, snapshots.open).state


def read(cuts: Sequence[int], *, restart: bool = False) -> tuple[MemoryLedger, list[Batch]]:
    """The partition in pieces; with `restart` a new process for each."""
    ledger, batches = MemoryLedger(Faults()), []
    notary = notary_on(ledger)
    places = [0, *sorted(set(cuts)), len(RECORDS)]
    for first, end in itertools.pairwise(places):
        if restart:
            notary = notary_on(ledger)
        batches.append(notary.process(RECORDS[first:end]))
        insert(ledger, batches[-1])
    return ledger, batches


def signals_of(batches: Sequence[Batch]) -> list[Signal]:
    messages: list[VerifiedBatch] = [parse_batch(value) for batch in batches for _, value in batch.outbound.messages(0)]
    return sorted((signal for message in messages for signal in message.signals), key=lambda signal: signal.index)


WHOLE, WHOLE_BATCHES = read([])


def test_the_entries_are_the_vectors() -> None:
    assert [row.entry.hex() for row in WHOLE.entries(0, 0)] == [one["entry"] for one in SHARD["records"]]


@given(st.sets(st.integers(1, len(RECORDS) - 1)), st.booleans())
def test_any_cutting_and_any_restart_give_the_same_rows(cuts: set[int], restart: bool) -> None:
    ledger, batches = read(sorted(cuts), restart=restart)
    assert ledger.stored == WHOLE.stored
    assert ledger.events == WHOLE.events
    assert ledger.refused == WHOLE.refused
    assert [receipt for batch in batches for receipt in batch.receipts] == [
        receipt for batch in WHOLE_BATCHES for receipt in batch.receipts
    ]


@given(at=st.integers(0, len(RECORDS)), back=st.integers(0, 5))
def test_rows_that_were_inserted_and_not_acked_are_inserted_again_and_collapse(at: int, back: int) -> None:
    ledger = MemoryLedger(Faults())
    insert(ledger, notary_on(ledger).process(RECORDS[:at]))
    # Kafka hands out records again that are in the ledger: the shell goes on after the last of them.
    notary = notary_on(ledger)
    assert notary.fold.state.index == at - 1
    insert(ledger, notary.process(RECORDS[at:]))
    insert(ledger, read([max(1, at - back)])[1][-1])
    assert ledger.stored == WHOLE.stored


def test_what_is_not_plain_acceptance_of_a_known_agents_segment_is_told_with_its_reason() -> None:
    told = {signal.index: Verdict(signal.verdict) for signal in signals_of(WHOLE_BATCHES)}
    entries = {index: parse_entry(row.entry) for index, row in enumerate(WHOLE.entries(0, 0))}
    loud = {Verdict.FORK, Verdict.BAD_SIGNATURE, Verdict.REVOKED_KEY, Verdict.BODY_MISMATCH, Verdict.MALFORMED_EVENT}
    expected = {index: entry.verdict for index, entry in entries.items() if entry.verdict in loud and entry.kind == Kind.SEGMENT}
    assert expected.items() <= told.items()
    assert loud == set(expected.values())
    assert all(signal.reason and signal.agent for signal in signals_of(WHOLE_BATCHES))


def test_what_names_no_known_agent_has_its_entry_and_nobody_is_told() -> None:
    told = {signal.index for signal in signals_of(WHOLE_BATCHES)}
    nobody = {Verdict.MALFORMED, Verdict.UNSUPPORTED_VERSION, Verdict.UNKNOWN_KEY}
    found = {index: entry for index, row in enumerate(WHOLE.entries(0, 0)) if (entry := parse_entry(row.entry)).verdict in nobody}
    assert {entry.verdict for entry in found.values()} == nobody
    assert not told & found.keys()
    garbage = notary_on(MemoryLedger(Faults())).process([(offset, 0, b"TSG1" + bytes(60)) for offset in range(64)])
    assert len(garbage.entries) == len(garbage.rejected) == 64
    assert list(garbage.outbound.messages(0)) == []


def test_honest_repeats_are_not_worth_a_word() -> None:
    verdicts = [parse_entry(row.entry).verdict for row in WHOLE.entries(0, 0)]
    told = {signal.index for signal in signals_of(WHOLE_BATCHES)}
    quiet = [index for index, verdict in enumerate(verdicts) if verdict == Verdict.SEEN and index not in told]
    assert quiet, "the vector has a segment that was sent twice"


def test_only_accepted_events_leave_the_notary() -> None:
    accepted = {index for index, row in enumerate(WHOLE.entries(0, 0)) if parse_entry(row.entry).verdict.accepted}
    sent = [
        (segment.index, pos, raw)
        for batch in WHOLE_BATCHES
        for _, value in batch.outbound.messages(0)
        for segment in parse_batch(value).segments
        for pos, raw in segment.events
    ]
    assert {index for index, _, _ in sent} <= accepted
    assert sorted(sent) == sorted((index, pos, raw) for (_, index, pos, _), raw in WHOLE.events.items())


@pytest.mark.parametrize("index", [0, 7, len(RECORDS) - 1])
def test_a_ledger_that_was_touched_stops_the_notary_at_the_place(index: int) -> None:
    ledger, _ = read([])
    ledger.snapshots.clear()
    [(key, row)] = [(key, row) for key, row in ledger.stored.items() if row.index == index]
    changed = bytearray(row.entry)
    changed[20] ^= 1
    ledger.stored[key] = StoredEntry(row.index, bytes(changed), row.leaf, row.chain)
    with pytest.raises(LedgerDisagrees, match=rf"\b{index}\b"):
        restore(ledger, PARAMETERS, SNAPSHOTS.open)


def test_a_snapshot_that_was_touched_is_not_used() -> None:
    ledger, _ = read([])
    index, raw = ledger.snapshots[0]
    ledger.snapshots[0] = (index, raw.replace(b'"active":true', b'"active":null'))
    assert ledger.snapshots[0][1] != raw
    assert restored(ledger) == restored(WHOLE)

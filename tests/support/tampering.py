"""What an insider with full rights in the store may do to a history; each case with the step, shard and index where it must be found.

The history is `make_history()`: shard 0 has the generation at 0, enrolments at 1 and 2, segments of 4 events at 3 to 6, 8 to 11 and
13 to 16, and seals at 7, 12 and 17; shard 1 one agent, with segments at 2 and 3, 5 and 6, 8 and 9, seals at 4, 7 and 10. The root log has
the topology and two notes for each of three rounds: leaves 0 to 6.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.history import History, make_event, private_key, rewrite_tail

from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.entries import encode_entry, entry_leaf, genesis_chain, next_chain, parse_entry
from tallystick_schemas.merkle import Frontier, leaf_hash

Change = Callable[[History], None]


@dataclass(frozen=True)
class Tampering:
    """A change, one failure (step, shard, index) that must be among those found, and the exit code.

    3 where all checkpoints were replaced: to whoever has the keys alone, a mistyped key looks the same. Integrity fails with either code.
    """

    name: str
    change: Change
    found: tuple[int, int | None, int | None]
    exit_code: int = 1


def flip(data: bytes, at: int = -1) -> bytes:
    """One bit of one byte the other way."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _entry_at(history: History, shard: int, index: int) -> int:
    return next(number for number, row in enumerate(history.entries) if row[:2] == (shard, index))


def _event_at(history: History, shard: int, index: int, pos: int) -> int:
    return next(number for number, row in enumerate(history.events) if row[:3] == (shard, index, pos))


def change_raw(history: History) -> None:
    at = _event_at(history, 0, 4, 2)
    shard, index, pos, raw, leaf = history.events[at]
    history.events[at] = (shard, index, pos, flip(raw, 40), leaf)


def change_raw_and_leaf(history: History) -> None:
    at = _event_at(history, 0, 4, 2)
    shard, index, pos, _, _ = history.events[at]
    other = make_event(4711)
    history.events[at] = (shard, index, pos, other, leaf_hash(other))


def change_event_leaf(history: History) -> None:
    at = _event_at(history, 1, 2, 0)
    history.events[at] = (*history.events[at][:4], flip(history.events[at][4]))


def empty_raw(history: History) -> None:
    at = _event_at(history, 1, 8, 3)
    shard, index, pos, _, leaf = history.events[at]
    history.events[at] = (shard, index, pos, b"", leaf)


def _change_entry(history: History, shard: int, index: int, entry: bytes) -> None:
    at = _entry_at(history, shard, index)
    history.entries[at] = (shard, index, entry, *history.entries[at][3:])


def change_entry(history: History) -> None:
    _change_entry(history, 0, 9, flip(history.entries[_entry_at(history, 0, 9)][2], 60))


def change_entry_and_leaf(history: History) -> None:
    at = _entry_at(history, 0, 9)
    entry = flip(history.entries[at][2], 25)
    history.entries[at] = (0, 9, entry, entry_leaf(entry), history.entries[at][4])


def change_append_time_and_all_hashes(history: History) -> None:
    at = _entry_at(history, 0, 9)
    _change_entry(history, 0, 9, flip(history.entries[at][2], 25))
    recompute_hashes(history, 0)


def change_verdict_and_all_hashes(history: History) -> None:
    at = _entry_at(history, 0, 9)
    _change_entry(history, 0, 9, encode_entry(parse_entry(history.entries[at][2])._replace(verdict=4)))  # type: ignore[arg-type]
    history.events = [row for row in history.events if row[:2] != (0, 9)]
    recompute_hashes(history, 0)


def change_seal_facts_and_all_hashes(history: History) -> None:
    entry = parse_entry(history.entries[_entry_at(history, 0, 12)][2])
    facts = entry.facts.replace(b'"entries":4', b'"entries":3')
    assert facts != entry.facts
    _change_entry(history, 0, 12, encode_entry(entry._replace(facts=facts)))
    recompute_hashes(history, 0)


def recompute_hashes(history: History, shard: int) -> None:
    """Leaves and chain values made to fit the entries again."""
    chain = genesis_chain(history.log.origin(shard))
    for number, row in enumerate(history.entries):
        if row[0] == shard:
            leaf = entry_leaf(row[2])
            chain = next_chain(chain, row[1], leaf)
            history.entries[number] = (shard, row[1], row[2], leaf, chain)


def change_chain(history: History) -> None:
    at = _entry_at(history, 1, 5)
    history.entries[at] = (*history.entries[at][:4], flip(history.entries[at][4]))


def change_leaf(history: History) -> None:
    at = _entry_at(history, 1, 5)
    shard, index, entry, leaf, chain = history.entries[at]
    history.entries[at] = (shard, index, entry, flip(leaf), chain)


def delete_entry(history: History) -> None:
    del history.entries[_entry_at(history, 0, 8)]


def delete_event(history: History) -> None:
    del history.events[_event_at(history, 0, 8, 1)]


def delete_segment_events(history: History) -> None:
    history.events = [row for row in history.events if row[:2] != (0, 8)]


def insert_event_after_segment(history: History) -> None:
    raw = make_event(4711)
    history.events.append((1, 3, 4, raw, leaf_hash(raw)))


def insert_event_without_entry(history: History) -> None:
    raw = make_event(4711)
    history.events.append((1, 4, 0, raw, leaf_hash(raw)))


def insert_second_event(history: History) -> None:
    raw = make_event(4711)
    history.events.append((1, 3, 0, raw, leaf_hash(raw)))


def insert_second_entry(history: History) -> None:
    entry = flip(history.entries[_entry_at(history, 0, 5)][2], 25)
    history.entries.append((0, 5, entry, entry_leaf(entry), history.entries[_entry_at(history, 0, 5)][4]))


def insert_second_entry_behind(history: History) -> None:
    """One that the table sorts behind the true one: the first row alone would look right."""
    number = _entry_at(history, 0, 5)
    entry, leaf, chain = history.entries[number][2:]
    others = (entry[:18] + number.to_bytes(8, "big") + entry[26:] for number in range(10_000))
    other = next(o for o in others if entry_leaf(o) > leaf)
    history.entries.append((0, 5, other, entry_leaf(other), chain))


def insert_event_above_the_seal(history: History) -> None:
    shard, _, pos, raw, leaf = history.events[_event_at(history, 0, 4, 2)]
    history.events.append((shard, 999, pos, raw, leaf))


def insert_entry_above_the_seal(history: History) -> None:
    shard, _, *rest = history.entries[_entry_at(history, 0, 4)]
    history.entries.append((shard, 999, *rest))


def insert_foreign_shard(history: History) -> None:
    history.entries += [(7, *row[1:]) for row in history.entries if row[0] == 1]


def insert_rejected(history: History) -> None:
    history.rejected.append((0, 4, b"never sent"))


def swap_events(history: History) -> None:
    first, second = _event_at(history, 0, 13, 0), _event_at(history, 0, 13, 1)
    a, b = history.events[first], history.events[second]
    history.events[first], history.events[second] = (*a[:3], *b[3:]), (*b[:3], *a[3:])


def swap_entries(history: History) -> None:
    first, second = _entry_at(history, 0, 13), _entry_at(history, 0, 14)
    a, b = history.entries[first], history.entries[second]
    history.entries[first], history.entries[second] = (*a[:2], *b[2:]), (*b[:2], *a[2:])


def swap_entries_consistently(history: History) -> None:
    swap_entries(history)
    recompute_hashes(history, 0)
    for pos in range(4):
        first, second = _event_at(history, 0, 13, pos), _event_at(history, 0, 14, pos)
        a, b = history.events[first], history.events[second]
        history.events[first], history.events[second] = (*a[:3], *b[3:]), (*b[:3], *a[3:])


def truncate_entries(history: History) -> None:
    for table in (history.entries, history.events):
        table[:] = [row for row in table if row[0] != 0 or row[1] < 13]  # type: ignore[index]


def truncate_events(history: History) -> None:
    history.events = [row for row in history.events if row[0] != 0 or row[1] < 16]


def drop_a_record_and_rewrite(history: History) -> None:
    rewrite_tail(history, 0, 10)


def rewrite_and_sign_with_another_key(history: History) -> None:
    rewrite_tail(history, 0, 10)
    sign_again(history, private_key("thief"))


def sign_again(history: History, key: Ed25519PrivateKey) -> None:
    """Checkpoints and root log made to fit the rows, under somebody else's key."""
    sizes = {log: [row[1] for row in history.checkpoints if row[0] == log] for log in {row[0] for row in history.checkpoints}}
    history.checkpoints, leaves, root = [], [history.root_leaves[0][1]], Frontier()
    for shard in range(history.log.shards):
        origin, tree = history.log.origin(shard), Frontier()
        for row in [row for row in history.entries if row[0] == shard]:
            tree.append(row[3])
            if tree.size in sizes[origin]:
                note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root), key)
                history.checkpoints.append((origin, tree.size, tree.root, note))
                leaves.append(note)
    root.extend([leaf_hash(leaf) for leaf in leaves])
    note = sign_checkpoint(Checkpoint(history.log.root_origin, root.size, root.root), key)
    history.checkpoints.append((history.log.root_origin, root.size, root.root, note))
    history.root_leaves = list(enumerate(leaves))


def drop_shard(history: History) -> None:
    history.drop_shard(1)


def drop_shard_with_its_notes(history: History) -> None:
    """And the root log closed over the gap."""
    history.drop_shard(1)
    origin = history.log.origin(1).encode() + b"\n"
    history.checkpoints = [row for row in history.checkpoints if row[0] != history.log.origin(1)]
    history.root_leaves = list(enumerate(data for _, data in history.root_leaves if not data.startswith(origin)))


def drop_shard_from_the_topology(history: History) -> None:
    drop_shard_with_its_notes(history)
    one = replace(history.log, shards=1)
    history.root_leaves[0] = (0, history.root_leaves[0][1].replace(b',"%s"' % history.log.origin(1).encode(), b""))
    assert one.origin(0).encode() in history.root_leaves[0][1]


def drop_checkpoint(history: History) -> None:
    history.checkpoints = [row for row in history.checkpoints if row[:2] != (history.log.origin(1), 8)]


def drop_newest_root_checkpoint(history: History) -> None:
    history.checkpoints = [row for row in history.checkpoints if row[:2] != (history.log.root_origin, 7)]


def drop_all_checkpoints(history: History) -> None:
    history.checkpoints = []


def drop_root_checkpoints(history: History) -> None:
    history.checkpoints = [row for row in history.checkpoints if row[0] != history.log.root_origin]


def drop_everything_signed(history: History) -> None:
    history.checkpoints, history.root_leaves = [], []


def insert_rejected_above_the_seal(history: History) -> None:
    history.rejected.append((0, 999, b"never sent"))


def drop_root_leaf(history: History) -> None:
    del history.root_leaves[3]


def drop_last_root_leaf(history: History) -> None:
    del history.root_leaves[6]


def change_root_leaf(history: History) -> None:
    history.root_leaves[4] = (4, flip(history.root_leaves[4][1]))


def swap_root_leaves(history: History) -> None:
    history.root_leaves[3], history.root_leaves[5] = (3, history.root_leaves[5][1]), (5, history.root_leaves[3][1])


def change_checkpoint_root(history: History) -> None:
    number = next(n for n, row in enumerate(history.checkpoints) if row[:2] == (history.log.origin(0), 13))
    origin, size, root, note = history.checkpoints[number]
    history.checkpoints[number] = (origin, size, flip(root), note)


def change_root_note(history: History) -> None:
    number = next(n for n, row in enumerate(history.checkpoints) if row[:2] == (history.log.root_origin, 7))
    origin, size, root, note = history.checkpoints[number]
    history.checkpoints[number] = (origin, size, root, note.replace(b"\n7\n", b"\n6\n"))


def insert_forged_checkpoint(history: History) -> None:
    tree = Frontier()
    tree.extend([row[3] for row in history.entries if row[0] == 0][:10])
    note = sign_checkpoint(Checkpoint(history.log.origin(0), tree.size, tree.root), private_key("thief"))
    history.checkpoints.append((history.log.origin(0), tree.size, tree.root, note))


def rename_a_principal(history: History) -> None:
    history.columns[0, 4, 2] = {"principal": "somebody-else@example.org"}


def change_a_count_and_a_time(history: History) -> None:
    history.columns[1, 8, 0] = {"bytes": "1", "time": "2026-01-01 00:00:00.000000"}


def rename_in_one_of_two_equal_rows(history: History) -> None:
    """Rows that repeat one another are one, and each is shown by searches."""
    history.events.append(history.events[_event_at(history, 0, 4, 2)])
    rename_a_principal(history)


def keep_columns_of_an_erased_event(history: History) -> None:
    empty_raw(history)
    history.columns[1, 8, 3] = {"principal": "reader-1@example.org"}


def change_the_agent_of_an_entry(history: History) -> None:
    history.columns[0, 9, None] = {"agent": "detectors"}


def change_the_verdict_of_an_entry(history: History) -> None:
    history.columns[1, 5, None] = {"verdict": "4"}


CASES = (
    Tampering("a byte of an event", change_raw, (6, 0, 4)),
    Tampering("an event and its leaf", change_raw_and_leaf, (6, 0, 4)),
    Tampering("an event's leaf", change_event_leaf, (6, 1, 2)),
    Tampering("an event's bytes emptied without a record", empty_raw, (8, 1, 8)),
    Tampering("a byte of an entry", change_entry, (3, 0, 9)),
    Tampering("an entry and its leaf", change_entry_and_leaf, (3, 0, 9)),
    Tampering("an append time, and all hashes after it", change_append_time_and_all_hashes, (3, 0, 12)),
    Tampering("a verdict, and all hashes after it", change_verdict_and_all_hashes, (5, 0, 9)),
    Tampering("facts of a seal, and all hashes after it", change_seal_facts_and_all_hashes, (4, 0, 12)),
    Tampering("a chain value", change_chain, (3, 1, 5)),
    Tampering("an entry's leaf", change_leaf, (3, 1, 5)),
    Tampering("an entry deleted", delete_entry, (3, 0, 8)),
    Tampering("an event deleted", delete_event, (6, 0, 8)),
    Tampering("a segment's events deleted", delete_segment_events, (6, 0, 8)),
    Tampering("an event inserted after a segment's last", insert_event_after_segment, (6, 1, 3)),
    Tampering("an event inserted where no segment is", insert_event_without_entry, (6, 1, 4)),
    Tampering("a second event at a place", insert_second_event, (6, 1, 3)),
    Tampering("a second entry at a place", insert_second_entry, (3, 0, 5)),
    Tampering("a second entry at a place, sorted behind", insert_second_entry_behind, (3, 0, 5)),
    Tampering("an event inserted above the newest seal", insert_event_above_the_seal, (6, 0, 999), exit_code=2),
    Tampering("an entry inserted above the newest seal", insert_entry_above_the_seal, (3, 0, 999)),
    Tampering("a shard that does not exist", insert_foreign_shard, (3, 7, 0)),
    Tampering("a rejected record that never was", insert_rejected, (5, 0, 4)),
    Tampering("two events swapped", swap_events, (6, 0, 13)),
    Tampering("two entries swapped", swap_entries, (3, 0, 13)),
    Tampering("two entries swapped, and all hashes after them", swap_entries_consistently, (3, 0, 17)),
    Tampering("a shard cut off", truncate_entries, (3, 0, 13)),
    Tampering("events cut off", truncate_events, (6, 0, 16)),
    Tampering("a tail rewritten", drop_a_record_and_rewrite, (3, 0, 12)),
    Tampering("a tail rewritten and signed with another key", rewrite_and_sign_with_another_key, (1, None, 6)),
    Tampering("a shard dropped", drop_shard, (3, 1, 0)),
    Tampering("a shard dropped with its checkpoints", drop_shard_with_its_notes, (2, None, 2)),
    Tampering("a shard dropped from the topology too", drop_shard_from_the_topology, (2, None, 0)),
    Tampering("a shard's checkpoint dropped", drop_checkpoint, (2, 1, 4)),
    Tampering("the newest root checkpoint dropped", drop_newest_root_checkpoint, (2, 0, 5)),
    Tampering("all checkpoints dropped", drop_all_checkpoints, (2, 0, 1)),
    Tampering("all root checkpoints dropped", drop_root_checkpoints, (1, None, None)),
    Tampering("all checkpoints and the root log dropped", drop_everything_signed, (1, None, None), exit_code=2),
    Tampering("a rejected record inserted above the newest seal", insert_rejected_above_the_seal, (5, 0, 999), exit_code=2),
    Tampering("a leaf of the root log dropped", drop_root_leaf, (2, None, 3)),
    Tampering("the last leaf of the root log dropped", drop_last_root_leaf, (2, None, 6)),
    Tampering("a byte of a leaf of the root log", change_root_leaf, (2, 1, 4)),
    Tampering("two leaves of the root log swapped", swap_root_leaves, (2, 0, 5)),
    Tampering("a checkpoint's root", change_checkpoint_root, (2, 0, 13)),
    Tampering("the root checkpoint's note", change_root_note, (1, None, 7)),
    Tampering("a checkpoint signed with another key", insert_forged_checkpoint, (2, 0, 10)),
    Tampering("a principal in the column of an event", rename_a_principal, (7, 0, 4)),
    Tampering("a count and a time in columns of an event", change_a_count_and_a_time, (7, 1, 8)),
    Tampering("a principal in one of two equal rows", rename_in_one_of_two_equal_rows, (7, 0, 4)),
    Tampering("columns of an event whose bytes are gone", keep_columns_of_an_erased_event, (7, 1, 8)),
    Tampering("an agent in the column of an entry", change_the_agent_of_an_entry, (7, 0, 9)),
    Tampering("a verdict in the column of an entry", change_the_verdict_of_an_entry, (7, 1, 5)),
)

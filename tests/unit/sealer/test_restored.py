"""What becomes of a sealer, and of its store, after a restore: never two histories; the operator's recorded word alone lets it go on."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.history import private_key, public_bytes
from tests.support.history_source import MemorySource
from tests.support.world import Failed, Fault, Faults, Killed, World

from tallystick_audit.verify.history import verify_source
from tallystick_schemas.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint, verifiers_of
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.headers import Directive, Kind
from tallystick_schemas.keys import key_id
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_stream_jobs.errors import RootLogLost, SealerBehind, SealerSplit, SealerStateBroken, SealRefused, StoreForgot
from tallystick_stream_jobs.sealer.recovery import Seen, adoption, check_adopted
from tallystick_stream_jobs.sealer.rounds import StoredNote

ROUNDS_BEFORE, ROUNDS_AFTER = 2, 3


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two rounds, a copy of the sealer's directory, three more."""
    made = World(tmp_path, Faults())
    say(made, "rules", "", {"level": 2})
    for _ in range(ROUNDS_BEFORE):
        made.seal()
    shutil.copytree(tmp_path / "sealer", tmp_path / "copy")
    for _ in range(ROUNDS_AFTER):
        made.seal()
    yield made
    made.close()


def say(world: World, about: str, subject: str, value: dict, n: int = 0, signer: str = "operator") -> None:
    """A directive, folded into the ledger."""
    key = private_key(signer)
    header = Directive(1, key_id(public_bytes(key)), wire_time(time.time()), about, subject, n, value)
    world._append(sign_record(header, key))
    world.round()


def newest(world: World) -> Checkpoint:
    roots = [Checkpoint(origin, size, root) for origin, size, root, _ in world.seals.checkpoints if origin == world.log.root_origin]
    return max(roots, key=lambda one: one.size)


def adopt(world: World, checkpoint: Checkpoint, n: int = 0, signer: str = "operator") -> None:
    say(world, "adopt", "sealer", adoption(checkpoint, "restored"), n, signer)


def check_whole(world: World) -> None:
    """The auditor's verdict, and that no two checkpoints of one size differ."""
    report = verify_source(MemorySource(world.history()), world.log, time.time())
    assert (report.failures, report.integrity.value, report.completeness.value) == ((), "pass", "pass")


def publish_on_topic(world: World, sizes: range) -> None:
    """As the sealer does: a round's shard note, then the root's."""
    rows = sorted(world.seals.checkpoints, key=lambda row: (row[1], row[0]))
    shard = [row for row in rows if row[0] == world.log.origin(0)]
    root = [row for row in rows if row[0] == world.log.root_origin]
    for one, over in list(zip(shard, root, strict=True))[sizes.start : sizes.stop]:
        world.published += [StoredNote(one[3], wire_time(time.time())), StoredNote(over[3], wire_time(time.time()))]


def older_state(sealer: Path) -> None:
    shutil.copy(sealer.parent / "copy" / "state.json", sealer / "state.json")


def no_state(sealer: Path) -> None:
    (sealer / "state.json").unlink()


def older_directory(sealer: Path) -> None:
    shutil.copytree(sealer.parent / "copy", sealer, dirs_exist_ok=True)


def no_directory(sealer: Path) -> None:
    for path in sealer.iterdir():
        path.unlink()


LOSSES = [older_state, no_state, older_directory, no_directory]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_sealer_that_forgot_signs_nothing_until_the_operator_says_what_it_goes_on_from(
    world: World, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    before = dict(world.seals.checkpoints)
    lose(tmp_path / "sealer")
    with pytest.raises(SealerBehind, match="tallystick sealer adopt"):
        world.start_sealer()
    adopt(world, newest(world)._replace(root=bytes(32)))
    adopt(world, newest(world), signer="stranger")
    adopt(world, newest(world)._replace(size=newest(world).size - 1), 1)
    with pytest.raises(SealerBehind):
        world.start_sealer()
    assert world.seals.checkpoints == before
    adopt(world, newest(world), 2)
    world.start_sealer()
    world.seal()
    world.seal()
    assert len(world.seals.checkpoints) == len(before) + 4
    assert before.items() <= world.seals.checkpoints.items()
    check_whole(world)
    world.start_sealer()
    world.seal()
    check_whole(world)


def test_an_adoption_is_for_what_it_names_and_not_for_the_next_restore(world: World, tmp_path: Path) -> None:
    older_directory(tmp_path / "sealer")
    adopt(world, newest(world))
    world.start_sealer()
    world.seal()
    older_directory(tmp_path / "sealer")
    with pytest.raises(SealerBehind):
        world.start_sealer()


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("step", ["keep notes", "checkpoint sign"])
def test_an_adoption_that_was_cut_off_is_done_at_the_next_start(world: World, tmp_path: Path, step: str, fault: Fault) -> None:
    no_directory(tmp_path / "sealer")
    before = dict(world.seals.checkpoints)
    adopt(world, newest(world))
    world.faults = faults = Faults(step, fault)
    with pytest.raises((Failed, Killed)):
        world.start_sealer()
    assert faults.struck
    assert world.seals.checkpoints == before
    world.start_sealer()
    world.seal()
    check_whole(world)


def roll_back_seals(world: World, rounds: int = ROUNDS_BEFORE) -> None:
    """The store's tables of the sealer as they were after so many rounds."""
    world.seals.leaves = {leaf: None for leaf in world.seals.leaves if leaf[0] <= rounds}
    sizes = sorted({row[1] for row in world.seals.checkpoints if row[0] == world.log.origin(0)})[:rounds]
    kept = [row for row in world.seals.checkpoints if (row[1] <= rounds + 1 if row[0] == world.log.root_origin else row[1] in sizes)]
    world.seals.checkpoints = dict.fromkeys(kept)


def test_a_store_of_before_gets_back_what_the_sealer_kept_byte_for_byte(world: World) -> None:
    checkpoints, leaves, entries = dict(world.seals.checkpoints), dict(world.seals.leaves), dict(world.ledger.stored)
    roll_back_seals(world)
    world.ledger.stored = {key: row for key, row in entries.items() if row.index < 4}
    with pytest.raises(SealRefused, match="does not hold this one"):
        world.start_sealer()
    assert len(world.seals.checkpoints) < len(checkpoints), "nothing is published over entries that are not there"
    world.start_notary()
    world.round()
    assert world.ledger.stored == entries
    world.start_sealer()
    assert (world.seals.checkpoints, world.seals.leaves) == (checkpoints, leaves)
    world.seal()
    check_whole(world)


def test_what_the_sealer_kept_alone_is_enough(world: World, tmp_path: Path) -> None:
    """The store and `state.json` are of before, and the topic has nothing: two copies of one moment."""
    target, checkpoints, leaves = newest(world), dict(world.seals.checkpoints), dict(world.seals.leaves)
    roll_back_seals(world)
    older_state(tmp_path / "sealer")
    with pytest.raises(SealerBehind, match="kept notes"):
        world.start_sealer()
    adopt(world, target)
    world.start_sealer()
    assert (world.seals.checkpoints, world.seals.leaves) == (checkpoints, leaves)
    world.seal()
    check_whole(world)


def test_a_word_that_no_operator_signed_adopts_nothing_though_the_store_calls_it_accepted(world: World) -> None:
    target = Seen("the store", newest(world))
    adopt(world, target.checkpoint, signer="stranger")
    entries = [row.entry for row in world.ledger.stored.values() if parse_entry(row.entry).kind == Kind.DIRECTIVE]
    with pytest.raises(SealerBehind):
        check_adopted(target, 0, entries, world.log)
    adopt(world, target.checkpoint)
    check_adopted(target, 0, world.seals.directives(), world.log)


def test_a_store_that_is_restored_under_the_sealer_is_seen_before_the_next_round(world: World) -> None:
    checkpoints, leaves = dict(world.seals.checkpoints), dict(world.seals.leaves)
    roll_back_seals(world)
    with pytest.raises(StoreForgot):
        world.seal()
    world.start_sealer()
    assert (world.seals.checkpoints, world.seals.leaves) == (checkpoints, leaves)
    world.seal()
    check_whole(world)


@pytest.mark.parametrize("replayed", [False, True])
def test_what_topic_checkpoints_still_has_is_enough(world: World, tmp_path: Path, replayed: bool) -> None:
    """Store and sealer are both older; the rounds since stand on the topic. Old notes that somebody put there again do no harm."""
    target, checkpoints, leaves = newest(world), dict(world.seals.checkpoints), dict(world.seals.leaves)
    publish_on_topic(world, range(1, 5))
    if replayed:
        old, world.published = world.published[:2], world.published[2:]
        for at in (1, 1, 4):
            world.published[at:at] = old
    roll_back_seals(world)
    older_directory(tmp_path / "sealer")
    with pytest.raises(SealerBehind, match="topic checkpoints"):
        world.start_sealer()
    adopt(world, target)
    world.start_sealer()
    assert (world.seals.checkpoints, world.seals.leaves) == (checkpoints, leaves)
    world.seal()
    check_whole(world)


def test_leaves_that_nobody_has_are_named(world: World, tmp_path: Path) -> None:
    """The topic was compacted: the newest note of each log, and nothing between."""
    target = newest(world)
    publish_on_topic(world, range(4, 5))
    roll_back_seals(world)
    older_directory(tmp_path / "sealer")
    adopt(world, target)
    with pytest.raises(RootLogLost, match=rf"size {target.size} is signed, and its leaves from {ROUNDS_BEFORE + 1} on"):
        world.start_sealer()


@pytest.mark.parametrize("origin", ["test/root", "test/shard/0"])
def test_a_strangers_notes_and_rows_stop_nothing(world: World, tmp_path: Path, origin: str) -> None:
    stranger = private_key("stranger")
    note = sign_checkpoint(Checkpoint(origin, 999, bytes(32)), stranger)
    world.published.append(StoredNote(note, wire_time(time.time())))
    world.seals.checkpoints[origin, 999, bytes(32), note] = None
    world.seals.leaves[4, note] = None
    world.start_sealer()
    world.seal()
    no_directory(tmp_path / "sealer")
    with pytest.raises(SealerBehind):
        world.start_sealer()
    adopt(world, newest_signed(world))
    world.start_sealer()
    world.seal()
    roots = [(size, root) for at, size, root, note in world.seals.checkpoints if at == world.log.root_origin and signed(world, at, note)]
    assert len(roots) == len(dict(roots)) == 7


def signed(world: World, origin: str, note: bytes) -> bool:
    try:
        open_checkpoint(note, verifiers_of(world.log, origin), origin)
    except Exception:  # noqa: BLE001 - whatever it says, it is not ours
        return False
    return True


def newest_signed(world: World) -> Checkpoint:
    rows = [row for row in world.seals.checkpoints if row[0] == world.log.root_origin and signed(world, row[0], row[3])]
    return max((Checkpoint(*row[:3]) for row in rows), key=lambda one: one.size)


@pytest.mark.parametrize("where", ["store", "topic"])
def test_two_roots_of_one_size_are_told_and_no_word_helps(world: World, where: str) -> None:
    size = newest(world).size
    other = Checkpoint(world.log.root_origin, size, bytes(32))
    note = sign_checkpoint(other, private_key("sealer"))
    if where == "store":
        world.seals.checkpoints[(*other, note)] = None
    else:
        world.published.append(StoredNote(note, wire_time(time.time())))
    adopt(world, other)
    with pytest.raises(SealerSplit, match=f"different root checkpoints of size {size}"):
        world.start_sealer()


def test_another_sealer_with_the_key_is_seen_while_this_one_runs(world: World) -> None:
    other = Checkpoint(world.log.root_origin, newest(world).size + 5, bytes(32))
    world.seals.checkpoints[(*other, sign_checkpoint(other, private_key("sealer")))] = None
    before = dict(world.seals.checkpoints)
    with pytest.raises(SealerBehind):
        world.seal()
    assert world.seals.checkpoints == before


def test_a_sealer_of_before_takes_its_notes_over_from_the_store(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "sealer" / "notes.jsonl"
    before = kept.read_bytes().splitlines()
    kept.unlink()
    world.start_sealer()
    after = kept.read_bytes().splitlines()
    assert len(after) == len(before) == ROUNDS_BEFORE + ROUNDS_AFTER
    roll_back_seals(world)
    world.start_sealer()
    world.seal()
    check_whole(world)


def test_a_line_that_a_crash_cut_off_is_written_again(world: World, tmp_path: Path) -> None:
    kept = tmp_path / "sealer" / "notes.jsonl"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-20])
    world.start_sealer()
    assert len(kept.read_bytes().splitlines()) == ROUNDS_BEFORE + ROUNDS_AFTER, "from the store"
    world.seal()
    check_whole(world)


@pytest.mark.parametrize("line", [0, 2, 4])
def test_kept_notes_that_changed_are_refused(world: World, tmp_path: Path, line: int) -> None:
    kept = tmp_path / "sealer" / "notes.jsonl"
    lines = kept.read_bytes().splitlines(keepends=True)
    at = lines[line].index(b"test/") + 40
    lines[line] = lines[line][:at] + (b"A" if lines[line][at : at + 1] != b"A" else b"B") + lines[line][at + 1 :]
    kept.write_bytes(b"".join(lines))
    with pytest.raises(SealerStateBroken, match=r"notes\.jsonl"):
        world.start_sealer()
    kept.rename(kept.with_suffix(".aside"))
    world.start_sealer()
    world.seal()
    check_whole(world)

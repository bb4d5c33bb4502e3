"""The sealer: it signs what extends what it signed, refuses the rest and says where they part, and never signs two histories."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.history import private_key, public_bytes
from tests.support.world import Faults, MemorySealStore, World

from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.settings import LogSettings
from tallystick_stream_jobs.errors import SealerBehind, SealerBusy, SealerStateBroken, SealRefused
from tallystick_stream_jobs.notary.ledger import StoredEntry
from tallystick_stream_jobs.sealer.core import first_state
from tallystick_stream_jobs.sealer.sealer import Keyring, Sealer
from tallystick_stream_jobs.sealer.state import StateFile
from tallystick_stream_jobs.sealer.ticks import Ticks


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, Faults())
    for _ in range(3):
        made.seal()
    yield made
    made.close()


def change(world: World, index: int, **columns: bytes) -> None:
    [(key, row)] = [(key, row) for key, row in world.ledger.stored.items() if row.index == index]
    changed = StoredEntry(row.index, columns.get("entry", row.entry), columns.get("leaf", row.leaf), columns.get("chain", row.chain))
    del world.ledger.stored[key]
    world.ledger.stored[(key[0], changed.index, changed.leaf)] = changed


def test_each_checkpoint_verifies_and_the_root_log_holds_them(world: World) -> None:
    notes = list(world.seals.checkpoints)
    for origin, size, root, note in notes:
        checkpoint = open_checkpoint(note, verifiers_of(world.log, origin), origin)
        assert (checkpoint.size, checkpoint.root) == (size, root)
    shard = [note for origin, _, _, note in notes if origin == world.log.origin(0)]
    assert [data for _, data in world.seals.leaves][1:] == shard
    assert len(shard) == 3


@pytest.mark.parametrize("index", [0, 1, 3])
def test_a_signed_row_that_changed_is_refused_at_the_next_start_with_its_place(world: World, index: int) -> None:
    [row] = [row for row in world.ledger.entries(0, 0) if row.index == index]
    change(world, index, entry=row.entry[:-1] + bytes([row.entry[-1] ^ 1]))
    with pytest.raises(SealRefused, match=rf"shard 0.* {index}\b"):
        world.start_sealer()


def test_a_signed_row_that_was_rewritten_consistently_is_refused(world: World) -> None:
    """With its leaf: only the tree that was signed knows."""
    from tallystick_schemas.entries import entry_leaf

    [row] = [row for row in world.ledger.entries(0, 0) if row.index == 2]
    entry = bytearray(row.entry)
    entry[25] ^= 1  # the append time
    change(world, 2, entry=bytes(entry), leaf=entry_leaf(bytes(entry)))
    with pytest.raises(SealRefused, match="are not the ones that were signed"):
        world.start_sealer()


def test_a_store_that_lost_its_end_is_refused(world: World) -> None:
    [key] = [key for key in world.ledger.stored if key[1] == 4]
    del world.ledger.stored[key]
    with pytest.raises(SealRefused, match="does not hold this one"):
        world.start_sealer()


def test_new_rows_that_do_not_follow_are_refused_and_nothing_is_signed(world: World) -> None:
    before, version = dict(world.seals.checkpoints), world.sealer.state.version
    record = world.sealer.seal_record(world.sealer.state.epochs[0], time.time())
    world._append(record)
    world.round()
    newest = max(row.index for row in world.ledger.entries(0, 0))
    change(world, newest, chain=bytes(32))
    with pytest.raises(SealRefused, match=rf"{newest}.*chain value"):
        world.sealer.advance({0}, [9], time.time())
    assert world.seals.checkpoints == before
    assert world.sealer.state.version == version


def test_of_two_sealers_one_is_told(world: World, tmp_path: Path) -> None:
    with pytest.raises(SealerBusy, match="sealer"):
        StateFile(tmp_path / "sealer")


def test_a_state_that_somebody_else_saved_is_not_overwritten(tmp_path: Path) -> None:
    log = LogSettings("test", 1, (), (public_bytes(private_key("sealer")),))
    with StateFile(tmp_path) as file:
        first = file.save(first_state(log))
        file.save(first)
        with pytest.raises(SealerStateBroken, match="version 2 over 1"):
            file.save(first)
        (tmp_path / "state.json").write_text("{")
        with pytest.raises(SealerStateBroken):
            file.load()


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("anew", [False, True])
def test_a_state_that_knows_less_than_was_signed_signs_nothing(world: World, tmp_path: Path, anew: bool, rounds: int) -> None:
    """Restored from an older copy, or made anew; `test_restored` has what lets it go on."""
    path = tmp_path / "sealer" / "state.json"
    old = path.read_bytes()
    for _ in range(rounds):
        world.seal()
    before = dict(world.seals.checkpoints)
    path.unlink() if anew else path.write_bytes(old)
    with pytest.raises(SealerBehind, match="signed"):
        world.start_sealer()
    assert world.seals.checkpoints == before


def test_another_deployments_state_is_refused(world: World, tmp_path: Path) -> None:
    other = LogSettings("other", 1, world.log.operator_keys, world.log.sealer_keys)
    with StateFile(tmp_path / "copy") as file:
        file.save(msgspec.structs.replace(first_state(other), version=0))
        with pytest.raises(SealerStateBroken, match="'other'"):
            Sealer(world.log, Keyring(private_key("sealer")), file, MemorySealStore(world.ledger, Faults()))


def receipt(epoch: int, verdict: int = 0, shard: int = 0) -> Receipt:
    return Receipt("sealer", "0" * 32, epoch, verdict, shard, 1, "", "")


def test_ticks_go_out_in_time_one_at_a_time_and_again_without_a_receipt() -> None:
    ticks = Ticks([0, 5], interval_s=2.0, resend_s=5.0)
    assert ticks.to_send(100.0) == [0, 1]
    ticks.sent(0, b"a", 100.0)
    ticks.sent(1, b"b", 100.0)
    assert ticks.to_send(104.9) == []
    assert ticks.receipt(receipt(0), 100.5)
    assert not ticks.receipt(receipt(0), 100.6), "once"
    assert not ticks.receipt(receipt(4, shard=1), 100.6), "another epoch"
    assert not ticks.receipt(receipt(5, 4, shard=1), 100.6), "refused"
    assert ticks.to_send(101.9) == []
    assert ticks.to_send(102.0) == [0]
    assert ticks.to_send(105.0) == [0, 1], "shard 1 never had its receipt"
    assert ticks.epochs == [1, 5]
    ticks.sent(1, b"b", 105.0)
    assert ticks.receipt(receipt(5, 2, shard=1), 106.0), "it was there already: as good as sent"
    assert ticks.epochs == [1, 6]

"""A spool on a disk that is full: it says so, keeps nothing it could not let go again, and goes on by itself once there is room."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.small_disk import BYTES

from tallystick_producers.disk_room import PAGE, Room, log_limit, room_of
from tallystick_producers.errors import SpoolFailed
from tallystick_producers.spool import Spool
from tallystick_schemas.segments import SignedSegment

ALONE = ["unshare", "-Urm"]
"""A mount namespace of one's own, where everybody may mount."""
ROUNDS = 3
MIB = 1 << 20


def may_mount() -> bool:
    if shutil.which(ALONE[0]) is None:
        return False
    return subprocess.run([*ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="nobody may mount here, so there is no small disk")
def test_a_spool_that_has_a_small_disk_to_itself_is_never_wedged(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.support.small_disk", str(tmp_path), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [one["again"] for one in told["rounds"]] == [True] * ROUNDS
    for one in told["rounds"]:
        assert "its disk is full" in one["said"]
        assert "free some space or mend the disk, it is tried again" in one["said"]
        # Of 3 MiB about half holds events; a durable event of 2 KB takes a page.
        assert one["waiting"] > BYTES // PAGE // 4
    assert (told["burst"] * 2_000 > 2 * BYTES, told["left"]) == (True, "")
    assert told["free"] > 0


def segment(n: int, size: int = 1_000) -> SignedSegment:
    return SignedSegment(n=n, first=n, count=1, record=b"x" * size)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def test_a_disk_without_room_refuses_and_takes_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the file and unused counts as room: a disk that nobody else frees goes on with what was confirmed."""
    run, lock = spool.begin_run(0, bytes(8), "k")
    spool.put(run, [segment(0)], {})
    full = Room(total=64 * MIB, free=MIB, log=0, spare=0)
    monkeypatch.setattr("tallystick_producers.spool.room_of", lambda *_: full)
    with pytest.raises(SpoolFailed, match="its disk is full: 1,048,576 bytes are left"):
        spool.put(run, [segment(1)], {})
    assert (spool.has(run, 0), spool.has(run, 1)) == (True, False)
    spool.finish([(run, 0)], [])
    monkeypatch.setattr("tallystick_producers.spool.room_of", lambda _, spare: Room(64 * MIB, MIB, 8 * MIB, 8 * MIB + spare))
    spool.put(run, [segment(1)], {})
    assert spool.has(run, 1)
    lock.close(remove=True)
    spool.close()


def test_the_room_is_that_of_the_disk_and_of_the_file(spool: Spool) -> None:
    run, lock = spool.begin_run(0, bytes(8), "k")
    spool.put(run, [segment(n, 40_000) for n in range(50)], {})
    before = room_of(spool.path, 0)
    assert before.log == spool.path.with_name("spool.sqlite-wal").stat().st_size > 0
    assert before.total > before.free > 0
    assert spool.no_room() is None
    lock.close(remove=True)
    spool.close()


sizes = st.lists(st.integers(1, 300_000), max_size=16)
bytes_ = st.integers(0, 200 * MIB)


@given(st.integers(1, 1 << 45), bytes_, bytes_, bytes_, sizes)
def test_more_to_keep_or_less_room_never_makes_it_fit(total: int, free: int, log: int, spare: int, some: list[int]) -> None:
    missing = Room(total, free, log, spare).missing(some)
    assert Room(total, free, log, spare).missing([*some, 1]) >= missing
    assert Room(total, free + 1, log, spare).missing(some) <= missing
    assert Room(total, free + missing, log, spare).missing(some) == 0
    # Whatever is taken, the log's own limit and what it takes to forget stay free, in the log's file or beside it.
    assert missing or free + log >= log_limit(total)


@given(st.integers(0, 1 << 45))
def test_the_log_is_a_small_part_of_a_small_disk(total: int) -> None:
    assert 8 * PAGE <= log_limit(total) <= 16 * MIB
    assert log_limit(total) <= max(8 * PAGE, total // 16) or total == 0


def test_a_file_system_that_says_nothing_holds_nothing_back() -> None:
    assert Room(0, 0, 0, 0).missing([1 << 20]) == 0

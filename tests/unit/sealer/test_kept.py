"""The file of kept notes: read line by line, in time that grows with its length; and the loop that stays while nothing may be signed."""

from pathlib import Path

import msgspec
import pytest
from tests.support.growth import QUADRATIC, TIMES, growth
from tests.support.history import private_key, public_bytes
from tests.support.logs import ours

from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_stream_jobs.errors import SealerBehind, SealerStateBroken
from tallystick_stream_jobs.sealer import job, kept
from tallystick_stream_jobs.sealer.kept import KeptNotes
from tallystick_stream_jobs.sealer.refusal import Refusal, read_refusal
from tallystick_stream_jobs.sealer.rounds import Notes, Round

KEY = private_key("sealer")
LOG = LogSettings("test", 1, (), (public_bytes(KEY),))
NOTES = Notes(LOG, public_bytes(KEY))


def rounds(count: int) -> list[Round]:
    tree, made = Frontier(), []
    for number in range(count):
        leaf = f"leaf {number}\n"
        tree.append(leaf_hash(leaf.encode()))
        note = sign_checkpoint(Checkpoint(LOG.root_origin, tree.size, tree.root), KEY)
        made.append(Round(number, [leaf], note.decode(), "2026-11-23T04:00:00.000000Z"))
    return made


def file_of(path: Path, count: int) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in rounds(count)))
    return path


def test_opening_it_costs_what_it_is_long(tmp_path: Path) -> None:
    ratio = growth(lambda path: KeptNotes(path, NOTES), lambda count: file_of(tmp_path / f"{count}", count), 200)
    assert ratio < QUADRATIC / 3, f"{TIMES} times the lines cost {ratio:.0f} times as much"


def test_one_line_is_in_memory_at_a_time(tmp_path: Path) -> None:
    made = KeptNotes(file_of(tmp_path / "notes", 5), NOTES)
    lines = made.lines()
    first = next(lines)
    assert isinstance(first, Round)
    assert [line.first for line in lines if isinstance(line, Round)] == [1, 2, 3, 4]


def test_a_line_of_any_length_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path / "notes", 2)
    monkeypatch.setattr(kept, "MAX_LINE", 100)
    with pytest.raises(SealerStateBroken, match="line 1: it has more than 100 bytes"):
        KeptNotes(path, NOTES)


def test_a_newest_note_of_another_key_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "notes", 3)
    with pytest.raises(SealerStateBroken, match="not signed by this deployment's sealer"):
        KeptNotes(path, Notes(LogSettings("test", 1, (), ()), public_bytes(private_key("stranger"))))


def test_who_only_reads_leaves_a_line_that_is_being_written(tmp_path: Path) -> None:
    path = file_of(tmp_path / "notes", 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert KeptNotes(path, NOTES, mend=False).size == 2
    assert path.read_bytes() == whole[:-10]


def test_the_file_is_appended_to_and_nothing_of_it_is_written_again(tmp_path: Path) -> None:
    made, before = KeptNotes(tmp_path / "notes", NOTES), b""
    for one in rounds(4):
        made.append([one])
        after = made.path.read_bytes()
        assert after.startswith(before)
        before = after
    made.append(rounds(4)[2:])
    assert made.path.read_bytes() == before
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_a_sealer_that_may_not_sign_stays_and_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is anew; the sentence lies beside the state as long as it holds."""
    looks, seen = [], []

    class Behind:
        def __init__(self, *_: object) -> None:
            looks.append(None)

        def check(self, _: object) -> None:
            seen.append(read_refusal(tmp_path))
            if len(looks) < 3:
                raise SealerBehind("the store", "test/root", 9, 4)

    stops: list[object] = []
    monkeypatch.setattr(job.signal, "signal", lambda number, stop: stops.append(stop))
    monkeypatch.setattr(job, "Sealer", Behind)
    monkeypatch.setattr(job, "read_published", lambda *_: [])
    monkeypatch.setattr(job.clickhouse_connect, "get_client", lambda **_: None)
    monkeypatch.setattr(job, "_LOOK_S", 0.0)
    monkeypatch.setattr(job, "_run", lambda *_: stops[0](0, None))  # type: ignore[operator]
    job.run_sealer(JobSettings(KafkaSettings(), ClickHouseSettings(), LOG, ""), KEY, tmp_path)
    assert len(looks) == 3
    assert (seen[0], "tallystick sealer adopt" in seen[1], seen[1] == seen[2]) == ("", True, True)
    assert read_refusal(tmp_path) == ""


def test_a_sentence_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refusal = Refusal(tmp_path)
    for _ in range(3):
        refusal.tell("no")
    assert [record.message for record in ours(caplog)] == ["no"]

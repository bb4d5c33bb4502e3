"""Files that grow, move, shrink and vanish, read by the real recorder while Kafka is away: its spool says what was recorded."""

import gzip
import io
import shutil
import tarfile

import msgspec
import pytest
from tests.support.collectors import Machine, line, lines, numbered

from tallystick_producers.collectors import RejectedFile, log_format, tail


@pytest.fixture(params=["same process", "new process"])
def machine(request, tmp_path, monkeypatch):
    """A collector of `app.log`. As a new process at each pass it knows only what is in the spool."""
    monkeypatch.setattr(tail, "BATCH", 3)
    with Machine(tmp_path, numbered(), tmp_path / "app.log") as one:
        if request.param == "new process":
            same = one.collect
            monkeypatch.setattr(one, "collect", lambda: (one.restart(), same())[1])
        yield one


@pytest.fixture
def log(tmp_path):
    return tmp_path / "app.log"


def add(path, raw):
    with path.open("ab") as file:
        file.write(raw)


def counts(report):
    return report.read, report.recorded, report.refused


def test_a_growing_file_is_recorded_as_it_grows(machine, log):
    for first in (0, 10, 20):
        add(log, lines(*range(first, first + 10)))
        assert counts(machine.collect()) == (10, 10, 0)
        assert counts(machine.collect()) == (0, 0, 0)
    assert machine.recorded() == [str(n) for n in range(30)]


def test_half_a_line_waits_for_its_other_half(machine, log):
    add(log, lines(1) + line(2)[:-4])
    assert counts(machine.collect()) == (1, 1, 0)
    add(log, line(2)[-4:-1])
    assert counts(machine.collect()) == (0, 0, 0)
    add(log, b"\n")
    assert counts(machine.collect()) == (1, 1, 0)
    assert machine.recorded() == ["1", "2"]


def test_a_renamed_file_is_finished_before_its_successor(machine, log):
    add(log, lines(1, 2))
    machine.collect()
    add(log, lines(3, 4))
    log.rename(log.with_name("app.log.1"))
    add(log, lines(5))
    assert counts(machine.collect()) == (3, 3, 0)
    assert counts(machine.collect()) == (0, 0, 0)
    assert machine.recorded() == ["1", "2", "3", "4", "5"]


def test_files_that_came_and_went_between_two_passes_are_read_oldest_first(machine, log):
    add(log, lines(1))
    machine.collect()
    add(log, lines(2))
    log.rename(log.with_name("app.log.3"))
    add(log.with_name("app.log.2"), lines(3))
    log.with_name("app.log.1.gz").write_bytes(gzip.compress(lines(4)))
    add(log, lines(5))
    assert machine.collect().recorded == 4
    assert machine.recorded() == ["1", "2", "3", "4", "5"]


def test_dated_names_are_rotations_as_well(machine, log):
    add(log, lines(1))
    machine.collect()
    add(log, lines(2))
    log.rename(log.with_name("app.log-20261123"))
    add(log, lines(3))
    machine.collect()
    assert machine.recorded() == ["1", "2", "3"]


def test_a_file_that_was_copied_and_truncated(machine, log):
    add(log, lines(1, 2))
    machine.collect()
    add(log, lines(3))
    shutil.copy(log, log.with_name("app.log.1"))
    assert counts(machine.collect()) == (1, 1, 0)
    log.write_bytes(b"")
    assert counts(machine.collect()) == (0, 0, 0)
    add(log, lines(4, 5, 6, 7))
    assert counts(machine.collect()) == (4, 4, 0)
    assert machine.recorded() == [str(n) for n in range(1, 8)]


def test_what_was_not_read_before_the_truncation_is_in_the_copy(machine, log):
    add(log, lines(1))
    machine.collect()
    add(log, lines(2))
    shutil.copy(log, log.with_name("app.log.1"))
    log.write_bytes(lines(3))
    machine.collect()
    assert machine.recorded() == ["1", "2", "3"]


def test_a_file_that_was_truncated_without_a_copy_is_read_from_its_beginning(machine, log, caplog):
    add(log, lines(1, 2))
    machine.collect()
    log.write_bytes(lines(3))
    assert counts(machine.collect()) == (1, 1, 0)
    assert machine.recorded() == ["1", "2", "3"]
    assert "is not the file that was read up to byte" in caplog.text


def test_a_packed_file_is_the_one_that_was_read_plain(machine, log):
    machine.paths = [str(log) + "*"]
    add(log, lines(1, 2))
    machine.collect()
    log.rename(log.with_name("app.log.1"))
    machine.collect()
    packed = log.with_name("app.log.1.gz")
    packed.write_bytes(gzip.compress(lines(1, 2)))
    log.with_name("app.log.1").unlink()
    add(log, lines(3))
    assert counts(machine.collect()) == (1, 1, 0)
    packed.rename(log.with_name("app.log.2.gz"))
    assert counts(machine.collect()) == (0, 0, 0)
    assert machine.recorded() == ["1", "2", "3"]


def test_the_last_line_of_a_packed_file_needs_no_end(machine, log):
    packed = log.with_name("old.log.gz")
    packed.write_bytes(gzip.compress(lines(1, 2)[:-1]))
    machine.paths = [str(packed)]
    assert counts(machine.collect()) == (2, 2, 0)
    assert counts(machine.collect()) == (0, 0, 0)


def test_a_packed_file_that_is_cut_off_gives_what_it_has_and_is_named(machine, log):
    whole = gzip.compress(lines(*range(5000)))
    packed = log.with_name("old.log.gz")
    packed.write_bytes(whole[: len(whole) // 2])
    machine.paths = [str(packed)]
    report = machine.collect()
    assert 0 < report.recorded < 5000
    assert [one["place"] for one in report.unreadable] == [str(packed)]
    packed.write_bytes(whole)
    machine.collect()
    assert machine.recorded() == [str(n) for n in range(5000)]


def test_a_file_that_vanishes_is_named_and_goes_on_when_it_returns(machine, log):
    add(log, lines(1))
    machine.collect()
    log.rename(log.with_name("away"))
    for _ in range(2):
        report = machine.collect()
        assert [(one["place"], one["reason"]) for one in report.unreadable] == [(str(log), "No such file or directory")]
    log.with_name("away").rename(log)
    assert counts(machine.collect()) == (0, 0, 0)
    add(log, lines(2))
    assert counts(machine.collect()) == (1, 1, 0)
    assert machine.recorded() == ["1", "2"]


def test_a_broken_source_stops_no_other(machine, log):
    bad = log.with_name("a.gz")
    bad.write_bytes(b"no gzip at all")
    add(log, lines(1))
    machine.paths = [str(bad), str(log.parent / "missing"), str(log)]
    report = machine.collect()
    assert [one["place"] for one in report.unreadable] == [str(bad), str(log.parent / "missing")]
    assert machine.recorded() == ["1"]


def archive(path, **members):
    with tarfile.open(path, "w:gz") as tar:
        for name, raw in members.items():
            entry = tarfile.TarInfo(f"logs/{name.replace('__', '.')}")
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))


def test_an_archives_members_are_sources_and_a_broken_one_is_named_at_every_pass(machine, log):
    path = log.with_name("logs.tar.gz")
    archive(path, a__jsonl=lines(1, 2), b__jsonl__gz=b"broken", c__jsonl__gz=gzip.compress(lines(3)), README__md=b"no log")
    machine.paths = [str(path)]
    for recorded in (3, 0):
        report = machine.collect()
        assert report.recorded == recorded
        assert [one["place"] for one in report.unreadable] == [f"{path}!logs/b.jsonl.gz"]
    assert machine.recorded() == ["1", "2", "3"]


def test_a_header_is_waited_for_and_read_again_at_each_start(tmp_path, machine, log):
    machine.reading = log_format("csv", machine.reading.parser(b"")._mapping)
    machine.restart()
    add(log, b"x,id")
    assert counts(machine.collect()) == (0, 0, 0)
    add(log, b"\na,1\n")
    assert counts(machine.collect()) == (1, 1, 0)
    add(log, b"b,2\nc\n")
    report = machine.collect()
    assert counts(report) == (2, 1, 1)
    assert report.skipped[0]["place"] == f"{log}:4"
    assert machine.recorded() == ["1", "2"]


def test_bad_lines_are_counted_named_and_kept_and_stop_nothing(machine, log):
    add(log, line(1) + b"nonsense\n\n" + b'{"id":"\xff"}\n' + line("x" * 20_000) + line(2) + b"\r\n" + b'{"id":"\\u0000"}\n')
    report = machine.collect()
    assert counts(report) == (6, 2, 4)
    assert [one["place"] for one in report.skipped] == [f"{log}:{n}" for n in (2, 4, 5, 8)]
    assert "at most 16384 are allowed" in report.skipped[2]["reason"]
    kept = [msgspec.json.decode(one) for one in machine.rejected.path.read_bytes().splitlines()]
    assert [one["place"] for one in kept] == [one["place"] for one in report.skipped]
    assert [one["line"] for one in kept[:2]] == ["nonsense\n", '{"id":"\\xff"}\n']
    assert kept[2]["bytes"] == 20_010
    assert machine.rejected.path.stat().st_mode & 0o777 == 0o600
    assert machine.recorded() == ["1", "2"]


def test_a_line_without_bound_is_passed_over(machine, log, monkeypatch):
    monkeypatch.setattr(tail, "MAX_LINE", 1024)
    add(log, line(1) + b"x" * 10_000 + b"\n" + line(2))
    report = machine.collect()
    assert counts(report) == (3, 2, 1)
    assert report.skipped[0]["reason"] == "the line has 10001 bytes, at most 1024 are read"
    add(log, line(3))
    machine.collect()
    assert machine.recorded() == ["1", "2", "3"]


def test_what_is_kept_of_bad_lines_is_bounded_but_all_are_counted(machine, log):
    machine.rejected = RejectedFile(machine.rejected.path.parent, limit=200)
    machine.restart()
    add(log, b"nonsense\n" * 50)
    assert machine.collect().refused == 50
    assert machine.rejected.path.stat().st_size <= 200
    assert 0 < machine.rejected.left_out < 50


def test_a_disk_that_takes_no_bad_lines_holds_up_no_good_ones(machine, log):
    machine.rejected.path.mkdir()
    add(log, b"nonsense\n" + line(1))
    assert counts(machine.collect()) == (2, 1, 1)
    assert machine.rejected.left_out == 1


class Died(Exception):
    """What kill -9 would be, at a place that a test chooses."""


@pytest.mark.parametrize("committed", [False, True])
def test_a_crash_at_any_batch_loses_and_doubles_nothing(machine, log, monkeypatch, committed):
    """Each process commits one batch, and dies before or after the commit of its second one; the next goes on."""
    add(log, lines(*range(20)))
    deaths = 0
    for _ in range(7):
        machine.restart()
        real, calls = machine.recorder.record_batch_at, []

        def commit(source, place, events, real=real, calls=calls):
            calls.append(place)
            if len(calls) == 1 or committed:
                real(source, place, events)
            if len(calls) == 2:
                raise Died

        monkeypatch.setattr(machine.recorder, "record_batch_at", commit)
        try:
            machine.collector.collect(machine.paths)
        except Died:
            deaths += 1
    assert deaths == (3 if committed else 6)
    assert machine.recorded() == [str(n) for n in range(20)]


def test_a_crash_between_keeping_a_bad_line_and_the_place_keeps_it_twice(machine, log, monkeypatch):
    add(log, b"nonsense\n" + line(1))

    def die(*_):
        raise Died

    monkeypatch.setattr(machine.recorder, "record_batch_at", die)
    with pytest.raises(Died):
        machine.collector.collect(machine.paths)
    machine.restart()
    assert machine.collector.collect(machine.paths).refused == 1
    assert len(machine.rejected.path.read_bytes().splitlines()) == 2
    assert machine.recorded() == ["1"]


def test_a_pattern_finds_what_a_writer_still_adds_to_the_renamed_file(machine, log):
    machine.paths = [str(log) + "*"]
    add(log, lines(1))
    machine.collect()
    log.rename(log.with_name("app.log.1"))
    add(log, lines(2))
    machine.collect()
    add(log.with_name("app.log.1"), lines(3))
    assert counts(machine.collect()) == (1, 1, 0)
    assert machine.recorded() == ["1", "2", "3"]


@pytest.mark.parametrize("other", [0, 199], ids=["its first bytes", "its last bytes"])
def test_a_file_of_the_same_size_is_another_one_by(machine, log, other):
    numbers = list(range(1000, 1200))
    log.write_bytes(lines(*numbers))
    machine.collect()
    numbers[other] = 9999
    log.write_bytes(lines(*numbers, 5555))
    assert machine.collect().recorded == 201

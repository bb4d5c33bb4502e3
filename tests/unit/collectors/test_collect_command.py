"""`tallystick collect`: its options, exit codes, JSON and lock. The deployment is reduced to the agent's settings; nobody confirms."""

import json
import os
import signal
import threading
from types import SimpleNamespace

import pytest
from tests.support.collectors import TABLE, line, lines
from tests.support.recorder import agent_settings, recorded_ids, wait_for

from tallystick_infra.cli import collect as command
from tallystick_infra.cli import main
from tallystick_producers import Recorder
from tallystick_producers.errors import ReceiptTimeout


@pytest.fixture
def settings(tmp_path, monkeypatch):
    given = agent_settings(tmp_path)
    monkeypatch.setattr(command, "open_deployment", lambda _: SimpleNamespace(agent=lambda _: given))
    monkeypatch.setattr(command, "_enrol", lambda *_: None)
    monkeypatch.setattr(Recorder, "wait_receipts", lambda *_: None)
    return given


@pytest.fixture
def mapping(tmp_path):
    file = tmp_path / "mapping.toml"
    texts = [f'{name} = "{TABLE[name]}"' for name in ("time", "action", "principal")]
    file.write_text("\n".join([*texts, 'resource = {kind = "model", id = "m"}', 'attrs = {id = "{id}"}']))
    return str(file)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["collect", *map(str, arguments)])
    return ended.value.code, capsys.readouterr()


def test_the_last_line_is_the_report_and_a_second_run_records_nothing(settings, mapping, tmp_path, capsys):
    log = tmp_path / "app.log"
    log.write_bytes(lines(1, 2) + b"nonsense\n")
    code, shown = run(capsys, "jsonl", log, "--mapping", mapping, "--json")
    report = json.loads(shown.out.splitlines()[-1])
    assert code == 0
    assert (report["read"], report["recorded"], report["skipped_count"]) == (3, 2, 1)
    assert [one["place"] for one in report["skipped"]] == [f"{log}:3"]
    assert report["rejected"] == str(tmp_path / "spool" / "agent-1" / "rejected.jsonl")
    code, shown = run(capsys, "jsonl", log, "--mapping", mapping, "--json")
    again = json.loads(shown.out.splitlines()[-1])
    assert (code, again) == (0, {"read": 0, "recorded": 0, "skipped": [], "skipped_count": 0, "rejected": None})
    assert recorded_ids(settings) == ["1", "2"]


def test_a_history_that_confirms_late_takes_nothing_from_the_report(settings, mapping, tmp_path, capsys, monkeypatch):
    def late(*_):
        raise ReceiptTimeout(3, 0.5)

    monkeypatch.setattr(Recorder, "wait_receipts", late)
    log = tmp_path / "app.log"
    log.write_bytes(lines(1, 2))
    code, shown = run(capsys, "jsonl", log, "--mapping", mapping, "--json")
    assert code == 1
    said = json.loads(shown.out.splitlines()[-1])
    assert (said["recorded"], said["exit"]) == (2, 1)
    assert "3 segments have no receipt" in said["error"]
    assert "3 segments have no receipt" in shown.err


def test_people_read_the_same(settings, mapping, tmp_path, capsys):
    log = tmp_path / "app.log"
    log.write_bytes(lines(1) + b"nonsense\n")
    code, shown = run(capsys, "jsonl", log, tmp_path / "missing", "--mapping", mapping)
    assert code == 1
    assert "2 lines read, 1 recorded, 1 refused." in shown.out
    assert f"{log}:2: not JSON" in shown.out
    assert "rejected.jsonl" in shown.out
    assert f"not read: {tmp_path / 'missing'}: No such file or directory" in shown.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("csv", "x"), "csv needs --mapping"),
        (("combined", "x", "--mapping", "edgar"), "combined needs none"),
        (("xml", "x"), "is not one of"),
        (("combined",), "Missing argument"),
    ],
)
def test_mistakes_of_the_caller_are_told(settings, capsys, arguments, told):
    code, shown = run(capsys, *arguments)
    assert code != 0
    assert told in shown.err


def test_a_mapping_that_cannot_be_used_is_told_before_anything_is_read(settings, tmp_path, capsys):
    code, shown = run(capsys, "csv", tmp_path, "--mapping", tmp_path / "none.toml")
    assert code == 1
    assert "there is no such file, and none of that name ships with us" in shown.err
    assert not (tmp_path / "spool").exists()


def test_two_collectors_of_one_agent_do_not_run_at_once(settings, mapping, tmp_path, capsys):
    log = tmp_path / "app.log"
    log.write_bytes(line(1))
    with command._alone(tmp_path / "spool" / "agent-1", "agent-1"):
        code, shown = run(capsys, "jsonl", log, "--mapping", mapping)
        assert code == 3
        assert "another collect of agent collector is running" in shown.err
    assert run(capsys, "jsonl", log, "--mapping", mapping)[0] == 0
    assert recorded_ids(settings) == ["1"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_follow_records_what_is_added_until_it_is_stopped(settings, mapping, tmp_path, capsys, ending):
    log = tmp_path / "app.log"
    log.write_bytes(line(1))
    found = []

    def write():
        try:
            wait_for(lambda: signal.getsignal(ending) is not signal.default_int_handler, "the first pass")
            with log.open("ab") as file:
                file.write(line(2))
            wait_for(lambda: recorded_ids(settings) == ["1", "2"], "the second line")
            found.append(True)
        finally:
            os.kill(os.getpid(), ending)

    writer = threading.Thread(target=write)
    # Both: a shell starts what it puts into the background with SIGINT ignored.
    before = {name: signal.signal(name, signal.default_int_handler) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        writer.start()
        code, shown = run(capsys, "jsonl", log, "--mapping", mapping, "--follow", "--json")
        writer.join()
        assert [signal.getsignal(name) for name in before] == [signal.default_int_handler] * 2
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    assert found
    assert code == 0
    assert json.loads(shown.out.splitlines()[-1])["recorded"] == 2

"""With --json the last line of standard output is one object, also where a command ends with an error; standard error says what it said before."""

import json
from pathlib import Path

import click
import clickhouse_connect.driver.exceptions
import pytest
from tests.unit.infra.test_nothing_runs import free_port

import tallystick_infra.cli as command_line
from tallystick_infra.cli import main
from tallystick_infra.cli.telling import wants_json
from tallystick_infra.deployment import Deployment
from tallystick_schemas.errors import SettingsError


def run(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    with pytest.raises(SystemExit) as left:
        main([*command])
    said = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, said.out, said.err


@pytest.fixture
def still(tmp_path: Path) -> str:
    """A deployment of which nothing runs."""
    ports = {"kafka_port": free_port(), "controller_port": 0, "clickhouse_port": free_port()}
    return str(Deployment.create(tmp_path / "data", {"embedded": ports}).path)


@pytest.mark.parametrize(
    "command",
    [
        ["audit", "verify"],
        ["locks"],
        ["findings"],
        ["outbox", "list"],
        ["lock", "ann", "--plan"],
        ["detect", "quality"],
    ],
    ids=" ".join,
)
def test_nothing_runs(command: list[str], still: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout, stderr = run(capsys, *command, "--json", "--data", still)
    [line] = stdout.splitlines()
    assert json.loads(line).keys() == {"error", "exit"}
    assert json.loads(line)["exit"] == code == 3
    assert "nothing answers at" in json.loads(line)["error"]
    assert json.loads(line)["error"] in stderr
    assert run(capsys, *command, "--data", still)[1] == ""


@pytest.mark.parametrize("command", [["audit", "verify"], ["doctor"], ["locks"], ["agent", "list"], ["token", "list"]], ids=" ".join)
def test_no_deployment(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout, stderr = run(capsys, *command, "--json", "--data", str(tmp_path / "none"))
    assert json.loads(stdout.splitlines()[-1])["exit"] == code == 3
    assert "there is no deployment in" in json.loads(stdout.splitlines()[-1])["error"]
    assert "there is no deployment in" in stderr
    assert "--data names yours" in stderr


def test_no_pinned_key(still: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TALLYSTICK_LOG_SEALER_KEYS", "")
    note = tmp_path / "root.note"
    note.write_text("x")
    code, stdout, stderr = run(capsys, "audit", "verify", "--json", "--data", still, "--seen", str(note))
    assert json.loads(stdout)["exit"] == code == 3
    assert "these settings cannot be used: [log] sealer_keys pins no key" in json.loads(stdout)["error"]
    assert "  - [log] sealer_keys pins no key" in stderr


def test_a_command_line_with_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout, stderr = run(capsys, "audit", "verify", "--no-such-option", "--json")
    assert "--no-such-option" in json.loads(stdout)["error"]
    assert (code, json.loads(stdout)["exit"], "Usage:" in stderr) == (2, 2, True)


def test_a_name_that_is_not_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, "no-such-command-\udcff", "--json")[1])["exit"] == 2


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (clickhouse_connect.driver.exceptions.OperationalError("gone"), 1, "ClickHouse: OperationalError: gone; `tallystick doctor`"),
        (SettingsError(["one", "two"]), 3, "these settings cannot be used: one; two"),
        (click.exceptions.Abort(), 130, "stopped"),
        (click.ClickException("no\n\N{SNOWMAN}"), 3, "no\n\N{SNOWMAN}"),
    ],
)
def test_each_family_of_errors(
    error: Exception, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "cli", click.Command("tallystick", callback=fail, params=[click.Option(["--json"], is_flag=True)]))
    left, stdout, _ = run(capsys, "--json")
    [line] = stdout.splitlines()
    assert (left, json.loads(line)["exit"]) == (code, code)
    assert json.loads(line)["error"].startswith(sentence)


def test_what_stands_after_two_dashes_is_no_option() -> None:
    assert wants_json(["locks", "--json"])
    assert not wants_json(["lock", "--", "--json"])
    assert not wants_json(["locks"])

"""What `keys` and `doctor` show people: what is to be copied stands on a line of its own, and a line has one name, whether it could be looked at or not."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick_infra.cli import cli, keys
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.kafka.broker import free_port
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring


@pytest.fixture
def still(tmp_path: Path) -> Deployment:
    ports = {"kafka_port": free_port(), "controller_port": 0, "clickhouse_port": free_port()}
    return Deployment.create(tmp_path / "data", {"embedded": ports})


def shown(deployment: Deployment, *words: str) -> list[str]:
    done = CliRunner().invoke(cli, [*words, "--data", str(deployment.path)], standalone_mode=False, env={"COLUMNS": "80"})
    assert done.exception is None, done.exception
    return [line.rstrip() for line in done.stdout.splitlines()]


def test_the_next_key_is_a_line_that_can_be_copied(still: Deployment) -> None:
    public = read_key_of(shown(still, "keys", "next", "operator"), still, "operator.next")
    assert len(public) == 64


def read_key_of(lines: list[str], deployment: Deployment, name: str) -> str:
    """The one line that is the key's public half."""
    public = read_key(deployment.keys / f"{name}.key").public_key().public_bytes_raw().hex()
    assert f"  {public}" in lines, lines
    return public


def test_the_list_says_which_key_signs_here(still: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "open_running", lambda *_, **__: still)
    monkeypatch.setattr(keys, "known_roles", lambda _: Keyring.of(()))
    lines = shown(still, "keys", "list")
    for whose in ("operator", "sealer"):
        id_ = key_id(read_key(still.keys / f"{whose}.key").public_key().public_bytes_raw())
        assert [line.split(maxsplit=2) for line in lines if id_ in line] == [[whose, id_, f"active, signs here (keys/{whose}.key)"]]


def test_doctor_calls_a_line_the_same_whether_it_could_be_looked_at(still: Deployment) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--data", str(still.path)], standalone_mode=False)
    names = {one["name"] for one in json.loads(done.stdout)["checks"]}
    assert {"notary", "detectors", "sealer", "shown roots", "tables"} <= names
    assert not {"behind", "detection", "sealed", "shown", "definitions"} & names


def test_doctor_ends_with_how_many_want_attention(still: Deployment) -> None:
    lines = shown(still, "doctor")
    wrong = sum(line.startswith("!!") for line in lines)
    assert wrong > 5
    assert lines[-1].startswith("Of ")
    assert lines[-1].endswith(f" checks, {wrong} want attention.")

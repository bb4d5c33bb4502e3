"""Commands on a deployment of which nothing runs: one sentence that names the part, its address and the mend, without a client library's patience."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import clickhouse_connect.driver.exceptions
import kafka.errors
import pytest
from click.testing import CliRunner
from tests.support.silent import answering

import tallystick_infra.cli as command_line
from tallystick_infra.cli import cli, main
from tallystick_infra.deployment import Deployment
from tallystick_infra.errors import NothingAnswers
from tallystick_infra.knocking import knock


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def still(tmp_path: Path) -> Deployment:
    """Nothing runs. Whoever makes a client all the same ends with its error, whose exit code is 1."""
    ports = {"kafka_port": free_port(), "controller_port": 0, "clickhouse_port": free_port()}
    return Deployment.create(tmp_path / "data", {"embedded": ports})


ORDER = ["--reason", "seen twice", "--by", "ana"]
NEED_KAFKA = (
    ["locks"],
    ["findings"],
    ["findings", "close", "F-1", "--disposition", "other", *ORDER],
    ["lock", "ann", *ORDER],
    ["unlock", "ann", *ORDER],
    ["revoke", "ann", *ORDER],
    ["outbox"],
    ["outbox", "list"],
    ["outbox", "proofs"],
    ["outbox", "retry", "d-1", *ORDER],
    ["detect", "explain", "F-1"],
    ["topics", "check"],
    ["agent", "list"],
    ["agent", "enrol", "trainer"],
    ["agent", "scope", "trainer", "--may-action", "*"],
    ["agent", "rotate", "trainer"],
)
NEED_CLICKHOUSE = (["lock", "ann", "--plan"], ["detect", "quality"], ["audit", "verify"], ["migrate"])


def fails(command: list[str], deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        main([*command, "--data", str(deployment.path)])
    assert left.value.code == 3
    return capsys.readouterr().err


@pytest.mark.parametrize("command", NEED_KAFKA, ids=" ".join)
def test_a_command_that_needs_kafka_says_that_it_does_not_answer(
    command: list[str], still: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(command, still, capsys)
    assert f"Kafka: nothing answers at {still.kafka().bootstrap}; `tallystick up` starts everything" in said
    assert len(said.splitlines()) == 1
    if command[0] in ("lock", "unlock", "revoke"):
        assert "No order was recorded." in said
        assert not (still.path / "spool").exists() or not list((still.path / "spool").iterdir())


@pytest.mark.parametrize("command", NEED_CLICKHOUSE, ids=" ".join)
def test_a_command_that_needs_clickhouse_says_that_it_does_not_answer(
    command: list[str], still: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(command, still, capsys)
    assert f"ClickHouse: nothing answers at 127.0.0.1:{still.clickhouse().port}; `tallystick up`" in said
    assert len(said.splitlines()) == 1


def test_doctor_does_not_look_at_what_depends_on_a_dead_part(still: Deployment) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--data", str(still.path)], standalone_mode=False)
    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.return_value == 1
    assert "nothing answers at" in checks["kafka"]["seen"]
    assert "nothing answers at" in checks["clickhouse"]["seen"]
    assert checks["notary"]["seen"] == "not looked at: no answer from kafka and clickhouse"
    assert checks["sealer"]["seen"] == "not looked at: no answer from clickhouse"
    for name in ("responder", "points", "outbox"):
        assert checks[name]["seen"] == "not looked at: no answer from kafka"


@pytest.fixture
def speaking() -> Iterator[int]:
    with answering() as port:
        yield port


def test_one_broker_of_several_is_enough(still: Deployment, speaking: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NothingAnswers):
        knock(still, "Kafka")
    several = still.kafka().__class__(f"127.0.0.1:{free_port()}, localhost:{speaking}")
    monkeypatch.setattr(Deployment, "kafka", lambda _self: several)
    knock(still, "Kafka")


@pytest.mark.parametrize(
    ("error", "store"),
    [
        (kafka.errors.KafkaTimeoutError("Failed to\nupdate metadata"), "Kafka: KafkaTimeoutError"),
        (clickhouse_connect.driver.exceptions.OperationalError("gone"), "ClickHouse: OperationalError: gone"),
    ],
)
def test_what_a_client_library_raises_is_a_sentence(
    error: Exception, store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "cli", click.Command("tallystick", callback=fail))
    with pytest.raises(SystemExit) as left:
        main([])
    said = capsys.readouterr().err
    assert (left.value.code, len(said.splitlines())) == (1, 1)
    assert store in said


def test_a_mistake_of_ours_stays_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command_line, "cli", click.Command("tallystick", callback=fail))
    with pytest.raises(ZeroDivisionError):
        main([])

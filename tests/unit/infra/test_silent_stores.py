"""Every command behind a Kafka or a ClickHouse that takes connections and says nothing: a sentence that names the part and the mend, and an exit code.

The client libraries would wait for minutes. No command is left out: one that this file does not know fails it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from tests.support.silent import answering, full, silent

from tallystick_infra import knocking
from tallystick_infra.cli import cli, main
from tallystick_infra.deployment import Deployment

WHY = ["--reason", "seen twice", "--by", "ana"]
KEY = "0123456789abcdef"
ASKS: dict[str, list[str]] = {
    "lock": ["ann", *WHY],
    "unlock": ["ann", *WHY],
    "revoke": ["ann", *WHY],
    "locks": [],
    "outbox": [],
    "outbox list": [],
    "outbox proofs": [],
    "outbox retry": ["d-1", *WHY],
    "outbox cancel": ["d-1", *WHY],
    "findings": [],
    "findings close": ["F-1", "--disposition", "other", *WHY],
    "detect explain": ["F-1"],
    "detect policy set": ["FILE", *WHY],
    "detect policy restore": ["D01", *WHY],
    "collect": ["combined", "FILE"],
    "agent list": [],
    "agent enrol": ["trainer"],
    "agent scope": ["trainer", "--may-action", "*"],
    "agent rotate": ["trainer"],
    "agent revoke": ["trainer", "--key", KEY, "--reason", "lost", "--yes"],
    "topics check": [],
    "topics announce": [],
    "drill clean": [],
    "keys list": [],
    "keys retire": [KEY, "--reason", "stolen", "--yes"],
    "sealer adopt": ["--reason", "restored"],
}
"""What asks Kafka, or both."""
ASKS_CLICKHOUSE: dict[str, list[str]] = {
    "lock": ["ann", "--plan"],
    "detect backtest": ["D01", "--from", "2026-01-01"],
    "detect quality": [],
    "audit verify": [],
    "migrate": [],
    "collect": ["combined", "FILE"],
    "agent list": [],
    "agent enrol": ["trainer"],
    "agent scope": ["trainer", "--may-action", "*"],
    "agent rotate": ["trainer"],
    "agent revoke": ["trainer", "--key", KEY, "--reason", "lost", "--yes"],
    "detect explain": ["F-1"],
    "topics announce": [],
    "keys list": [],
    "keys retire": [KEY, "--reason", "stolen", "--yes"],
    "sealer adopt": ["--reason", "restored"],
}
"""What ends when ClickHouse alone is silent."""
ASKS_NOBODY = {
    **dict.fromkeys(
        ["signals keys list", "signals keys rotate", "signals status", "signals streams", "signals token"], "the part's own files"
    ),
    "signals verify": "the part's own files; waits for a receiver, --timeout at the most",
    **dict.fromkeys(["keys next", "rules list", "rules test", "detect list", "detect policy", "topics acls"], "files"),
    **dict.fromkeys(["token add", "token list", "token revoke", "console link", "drill list", "drill report", "evaluate"], "files"),
    **dict.fromkeys(
        ["demo", "bench", "bench detect", "bench ingest", "bench orders", "bench respond", "bench signing", "bench verify"],
        "parts of its own",
    ),
}
ELSEWHERE = {
    "doctor": "test_doctor_tells_both",
    "up": "test_up_with_stores_of_somebody_elses",
    "drill run": "test_a_drill_asks_the_stores_after_the_gateway",
    "detect policy edit": "goes through `_put` as `detect policy set`, after an editor",
}
PROCESSES = {"gateway", "console", "sealer", "jobs notary", "jobs detectors", "jobs responder", "jobs outbox", "jobs signals"}
"""They are started once, and wait for their stores."""


def commands(command: click.Command, path: str = "") -> Iterator[str]:
    """Each command that can be called, by its words."""
    if isinstance(command, click.Group):
        if command.invoke_without_command and path:
            yield path
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from commands(found, f"{path} {name}".strip())
    else:
        yield path


def takes_json(words: str) -> bool:
    command: click.Command = cli
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return any("--json" in one.opts for one in command.params)


def test_every_command_is_known() -> None:
    assert set(commands(cli)) == {*ASKS, *ASKS_CLICKHOUSE, *ASKS_NOBODY, *ELSEWHERE, *PROCESSES}


def deployment_at(path: Path, kafka: int, clickhouse: int) -> Deployment:
    made = Deployment.create(path, {"embedded": {"kafka_port": kafka, "controller_port": 0, "clickhouse_port": clickhouse}})
    made.broker_users.admit("trainer", point=False)
    return made


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is told as soon as it can be: what these tests hold is that and how it is told."""
    monkeypatch.setattr(knocking, "LOOK_S", 0.2)
    monkeypatch.setattr(knocking, "ORDER_S", 0.2)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Deployment]:
    """Both processes are there and say nothing."""
    with silent() as kafka, silent() as clickhouse:
        yield deployment_at(tmp_path / "data", kafka, clickhouse)


@pytest.fixture
def half_stopped(tmp_path: Path) -> Iterator[Deployment]:
    """ClickHouse says nothing. Whoever asks this Kafka for more than whether it is there waits as well."""
    with answering() as kafka, silent() as clickhouse:
        yield deployment_at(tmp_path / "data", kafka, clickhouse)


def ended(words: str, arguments: list[str], deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """(standard output, standard error) of a command that ends with an error."""
    file = deployment.path / "given.yaml"
    file.write_text("version: 1\n")
    given = [str(file) if one == "FILE" else one for one in arguments]
    with pytest.raises(SystemExit) as left:
        main([*words.split(), *given, "--data", str(deployment.path)])
    assert left.value.code not in (0, None)
    said = capsys.readouterr()
    return said.out, said.err


def tells(said: str, part: str, port: int) -> bool:
    return f"{part}: nothing answers at 127.0.0.1:{port}; it takes connections and says nothing: let its process go on" in said


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", ASKS)
def test_a_stopped_kafka_is_told(words: str, stopped: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    port = stopped.embedded().kafka_port
    stdout, stderr = ended(words, ASKS[words], stopped, capsys)
    if words == "drill clean":
        assert tells(stdout, "Kafka", port)
        return
    assert tells(stderr, "Kafka", port)
    assert len(stderr.splitlines()) == 1
    if takes_json(words):
        stdout, _ = ended(words, [*ASKS[words], "--json"], stopped, capsys)
        assert tells(json.loads(stdout.splitlines()[-1])["error"], "Kafka", port)


def has_orders() -> set[str]:
    """Commands whose refusal ends with what was therefore not done."""
    return {"lock", "unlock", "revoke", "findings close", "outbox retry", "outbox cancel", "agent enrol", "keys retire"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", sorted(has_orders() | {"locks"}))
def test_who_has_an_order_is_told_what_it_waits_for_when_others_would_be_refused(
    words: str, stopped: Deployment, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocking, "ORDER_S", 0.6)
    port = stopped.embedded().kafka_port
    with pytest.raises(SystemExit):
        main([*words.split(), *ASKS[words], "--data", str(stopped.path)])
    *waits, refused = capfd.readouterr().err.splitlines()
    assert tells(refused, "Kafka", port)
    told = f"hint: Kafka: nothing has answered yet at 127.0.0.1:{port}; waiting for it 0.4 s more; if its process was stopped, let it go on"
    assert waits == ([told] if words in has_orders() else [])


@pytest.mark.timeout(60)
def test_who_has_an_order_hears_nothing_of_a_kafka_that_answers(
    half_stopped: Deployment, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocking, "ORDER_S", 0.6)
    knocking.knock(half_stopped, "Kafka", "Nothing was ordered.")
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer) and not one.finished.is_set()]
    assert capfd.readouterr().err == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", ASKS_CLICKHOUSE)
def test_a_stopped_clickhouse_is_told(words: str, half_stopped: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    port = half_stopped.embedded().clickhouse_port
    _, stderr = ended(words, ASKS_CLICKHOUSE[words], half_stopped, capsys)
    assert tells(stderr, "ClickHouse", port)
    if takes_json(words):
        stdout, _ = ended(words, [*ASKS_CLICKHOUSE[words], "--json"], half_stopped, capsys)
        assert tells(json.loads(stdout.splitlines()[-1])["error"], "ClickHouse", port)


@pytest.mark.timeout(60)
def test_doctor_tells_both(stopped: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    stdout, stderr = ended("doctor", ["--json"], stopped, capsys)
    kafka, clickhouse = stderr.splitlines()
    assert tells(kafka, "Kafka", stopped.embedded().kafka_port)
    assert tells(clickhouse, "ClickHouse", stopped.embedded().clickhouse_port)
    checks = {one["name"]: one for one in json.loads(stdout.splitlines()[-1])["checks"]}
    assert tells(checks["kafka"]["seen"], "Kafka", stopped.embedded().kafka_port)
    assert tells(checks["clickhouse"]["seen"], "ClickHouse", stopped.embedded().clickhouse_port)
    assert checks["notary"]["seen"] == "not looked at: no answer from kafka and clickhouse"
    stdout, _ = ended("doctor", [], stopped, capsys)
    assert "not looked at: no answer from kafka" in " ".join(stdout.split())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("option", ["--kafka", "--clickhouse"])
def test_up_with_stores_of_somebody_elses(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with silent() as port:
        with pytest.raises(SystemExit) as left:
            main(["up", "--data", str(tmp_path / "new"), option, f"127.0.0.1:{port}"])
        assert (left.value.code, (tmp_path / "new").exists()) == (2, False)
        assert f"nothing answers at 127.0.0.1:{port}" in " ".join(capsys.readouterr().err.split())
        theirs = {
            "embedded": {"kafka": False, "clickhouse": False},
            "kafka": {"bootstrap": f"127.0.0.1:{port}"},
            "clickhouse": {"port": port},
        }
        Deployment.create(tmp_path / "kept", theirs)
        with pytest.raises(SystemExit) as left:
            main(["up", "--data", str(tmp_path / "kept")])
        said = " ".join(capsys.readouterr().err.split())
        assert left.value.code == 3
        assert "start Kafka there, or mend [kafka] bootstrap" in said
        assert "start ClickHouse there, or mend [clickhouse] host and port" in said


@pytest.mark.timeout(60)
def test_a_drill_asks_the_stores_after_the_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    health = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with ExitStack() as ports:
        gateway, kafka, clickhouse = (ports.enter_context(one) for one in (answering(lambda _: health), silent(), silent()))
        tables = {"embedded": {"kafka_port": kafka, "clickhouse_port": clickhouse}, "gateway": {"port": gateway}}
        deployment = Deployment.create(tmp_path / "data", tables)
        _, stderr = ended("drill run", ["model-extraction"], deployment, capsys)
    assert "this deployment cannot be drilled: Kafka at" in stderr
    assert tells(stderr, "Kafka", kafka)


@pytest.mark.timeout(60)
def test_one_that_takes_no_connection_is_told_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with full() as kafka, full() as clickhouse:
        deployment = deployment_at(tmp_path / "data", kafka, clickhouse)
        for words, part, port in (("locks", "Kafka", kafka), ("audit verify", "ClickHouse", clickhouse)):
            _, stderr = ended(words, [], deployment, capsys)
            told = f"{part}: nothing answers at 127.0.0.1:{port}; it takes no connection and refuses none, as one that was stopped a while ago: let"
            assert told in stderr
            assert "`tallystick up`" not in stderr

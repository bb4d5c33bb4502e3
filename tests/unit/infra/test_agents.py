"""`tallystick agent enrol / revoke`: what the format does not allow is refused before a key is made or a record is sent."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.signing import OPERATORS

from tallystick_infra.cli import agent_enrol, agents, collect, main
from tallystick_infra.deployment import Deployment
from tallystick_infra.errors import BadOrder
from tallystick_infra.operator import Operator
from tallystick_schemas.roles import Keyring

KEY = "0" * 16


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to Kafka: nothing ever is here, for a sender fails the test by its name in this list."""
    opened: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        opened.append("sender")
        raise BadOrder("the test's Kafka", "there is none")

    monkeypatch.setattr(agent_enrol, "enrol_agents", refuse)
    monkeypatch.setattr(agents, "revoke_keys", refuse)
    monkeypatch.setattr(agent_enrol, "admit", lambda *_, **__: None)
    monkeypatch.setattr(agent_enrol, "known_roles", lambda _: Keyring.of(OPERATORS))
    monkeypatch.setattr(agent_enrol, "agents_of", lambda _: [])
    return opened


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["bad name!"],
        [""],
        ["x" * 129],
        ["ü"],
        ["good", "--owner", ""],
        ["good", "--owner", "o" * 5000],
        ["good", "--may-action", "a\nb"],
        ["good", "--may-action", ""],
        ["good", *(f"--may-action={number}" for number in range(65))],
        ["good", *(f"--may-principal={number}{'p' * 200}" for number in range(20))],
        ["good", "--role", "king"],
    ],
)
def test_enrolling_what_the_format_forbids_leaves_nothing_behind(
    tmp_path: Path, sent: list[str], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    code, said = ended(["agent", "enrol", "--data", str(deployment.path), *more], capsys)
    assert (code, sent) == (2 if "Usage:" in said else 3, []), said
    assert "Usage:" in said or ("nothing was sent" in said and said.count("\n") == 1)
    assert list(deployment.keys.glob("agents/*" + "good*")) == []
    assert not deployment.agent_key(more[0]).exists()


def test_collecting_under_a_name_that_the_format_forbids_makes_no_key(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    with pytest.raises(BadOrder, match="bad name!"):
        collect._enrol(deployment, "bad name!", 1.0)
    assert not deployment.agent_key("bad name!").exists()


def test_a_good_name_goes_on_to_the_history(
    tmp_path: Path, sent: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick_infra.knocking.ask", lambda *_: None)
    deployment = Deployment.create(tmp_path / "d", {})
    ended(["agent", "enrol", "--data", str(deployment.path), "team/trainer@example.org:1"], capsys)
    assert sent == ["sender"]
    assert deployment.agent_key("team/trainer@example.org:1").exists()


@pytest.mark.parametrize(("name", "key", "reason"), [("bad name!", KEY, "lost"), ("good", "xyz", "lost"), ("good", KEY, " ")])
def test_revoking_what_the_format_forbids_sends_nothing(
    tmp_path: Path, sent: list[str], capsys: pytest.CaptureFixture[str], name: str, key: str, reason: str
) -> None:
    deployment = Deployment.create(tmp_path / "d", {"clickhouse": {"port": 1}, "embedded": {"clickhouse": False}})
    code, _ = ended(["agent", "revoke", "--yes", "--data", str(deployment.path), name, "--key", key, "--reason", reason], capsys)
    assert (code, sent) == (3, [])


def test_the_operator_signs_no_name_that_the_format_forbids() -> None:
    operator = Operator(Ed25519PrivateKey.generate())
    with pytest.raises(BadOrder, match="1 to 128"):
        operator.enrol("bad name!", bytes(32), "ann", 0.0)
    assert operator.enrol("good", bytes(32), "ann", 0.0)

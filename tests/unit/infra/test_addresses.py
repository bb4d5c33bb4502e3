"""`tallystick up` with stores of somebody else's: an address that is none, or where nothing answers, is told at once and kept nowhere."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.silent import answering

from tallystick_infra.cli import main
from tallystick_infra.cli.addresses import Address, Addresses, away
from tallystick_infra.deployment import Deployment


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def speaking() -> Iterator[int]:
    with answering() as port:
        yield port


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, " ".join(capsys.readouterr().err.split())


NO_ADDRESS = ["nonsense", "", ":9092", "a:", "a:0", "a:65536", "a:b", "a b:1", "http://a:1", "a:1:2", "::1:9092", "a:1,", "a:1,nonsense"]


@pytest.mark.parametrize("text", NO_ADDRESS)
@pytest.mark.parametrize("option", ["--kafka", "--clickhouse"])
def test_what_is_no_address_is_told_at_once_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str
) -> None:
    code, said = ended(["up", "--data", str(tmp_path / "d"), option, text], capsys)
    assert code == 2
    assert "is not host:port, as in 127.0.0.1:9092; nothing was made" in said
    assert option in said
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("option", ["--kafka", "--clickhouse"])
def test_an_address_where_nothing_answers_is_told_and_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, said = ended(["up", "--data", str(tmp_path / "d"), option, address], capsys)
    assert code == 2
    assert f"nothing answers at {address}; start" in said
    assert f"leave {option} out" in said
    assert not (tmp_path / "d").exists()


def test_an_option_that_an_existing_deployment_contradicts_is_told_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], speaking: int
) -> None:
    deployment = Deployment.create(tmp_path / "d", {"kafka": {"bootstrap": "127.0.0.1:1"}, "embedded": {"kafka": False}})
    before = (deployment.path / "tallystick.toml").read_bytes()
    code, said = ended(["up", "--data", str(deployment.path), "--kafka", f"127.0.0.1:{speaking}"], capsys)
    assert code == 2
    assert "is there already and says something else about bootstrap in [kafka]: change it there" in said
    assert (deployment.path / "tallystick.toml").read_bytes() == before


def test_a_kept_address_where_nothing_answers_names_its_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = {"embedded": {"kafka": False, "clickhouse": False}, "kafka": {"bootstrap": "nonsense"}, "clickhouse": {"port": free_port()}}
    Deployment.create(tmp_path / "d", tables)
    code, said = ended(["up", "--data", str(tmp_path / "d")], capsys)
    assert code == 3
    assert f"nothing answers at nonsense; start Kafka there, or mend [kafka] bootstrap in {tmp_path / 'd' / 'tallystick.toml'}" in said
    assert "mend [clickhouse] host and port" in said


def test_one_broker_of_several_is_enough(tmp_path: Path, speaking: int) -> None:
    several = f"127.0.0.1:{free_port()},127.0.0.1:{speaking}"
    tables = {"embedded": {"kafka": False}, "kafka": {"bootstrap": several}}
    assert away(Deployment.create(tmp_path / "d", tables)) == []
    assert away(Deployment.create(tmp_path / "own", {})) == []


@pytest.mark.parametrize("option", ["--kafka", "--clickhouse"])
def test_an_address_that_hangs_up_on_a_plain_word_may_speak_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    deployment = Deployment.create(tmp_path / "d", {"kafka": {"bootstrap": "127.0.0.1:1"}, "embedded": {"kafka": False}})
    with answering(lambda _: b"") as port:
        code, said = ended(["up", "--data", str(deployment.path), option, f"127.0.0.1:{port}"], capsys)
    assert (code, "nothing answers" in said) == (2, False)
    assert "is there already and says something else" in said


@pytest.mark.parametrize("text", ["a:1", "broker-1.example.org:9092", "[::1]:9092", " 127.0.0.1:65535 "])
def test_addresses_are_kept_as_they_were_given(text: str) -> None:
    assert Address().convert(text, None, None) == text.strip()
    assert Addresses().convert(f"{text}, {text}", None, None) == f"{text.strip()},{text.strip()}"


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_the_one_error(text: str) -> None:
    try:
        host, _, port = Address().convert(text, None, None).rpartition(":")
    except click.BadParameter:
        return
    assert host
    assert 0 < int(port) < 65_536

"""What counts as an answer of Kafka or a store, and what is said where there is none."""

import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.false_broker import API_VERSIONS, false_broker
from tests.support.silent import answering, full, silent

from tallystick_producers.answering import Unanswered, ask, of_clickhouse, of_kafka
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import ClickHouseSettings, KafkaSettings

QUICK = 0.2


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


def kafka_at(*ports: int, **more: Any) -> KafkaSettings:
    return KafkaSettings(", ".join(f"127.0.0.1:{port}" for port in ports), **more)


def test_a_broker_is_asked_for_its_versions_and_shown_no_password() -> None:
    with false_broker() as broker:
        ask(of_kafka(kafka_at(broker.port, security_protocol="SASL_PLAINTEXT", sasl_username="a", sasl_password="s3cret")))
    assert broker.asked == [API_VERSIONS]
    assert not any(b"s3cret" in one for one in broker.heard)


def test_a_store_is_asked_for_its_ping() -> None:
    heard: list[bytes] = []
    with answering(lambda said: heard.append(said) or b"HTTP/1.1 200 OK") as port:  # type: ignore[func-returns-value]  # append says nothing
        ask(of_clickhouse(ClickHouseSettings(port=port, password="s3cret")))
    assert heard[0].startswith(b"GET /ping HTTP/1.1\r\n")
    assert b"s3cret" not in heard[0]


@pytest.mark.parametrize("tls", [False, True])
def test_who_takes_a_connection_and_says_nothing_is_silent(tls: bool) -> None:
    with silent() as port:
        for question in (
            of_kafka(kafka_at(port, security_protocol="SSL" if tls else "PLAINTEXT")),
            of_clickhouse(ClickHouseSettings(port=port, secure=tls)),
        ):
            with pytest.raises(Unanswered, match=f"127.0.0.1:{port} takes connections and says nothing") as told:
                ask(question, QUICK)
            assert told.value.silent


def test_nobody_a_full_port_and_one_that_hangs_up_are_told_apart() -> None:
    with full() as closed, answering(lambda _: b"") as short:
        for port, said, hung_up in (
            (free_port(), "nobody answers at", False),
            (closed, "takes no connection and refuses none", False),
            (short, "hangs up without a word", True),
        ):
            with pytest.raises(Unanswered, match=said) as told:
                ask(of_kafka(kafka_at(port)), QUICK)
            assert (told.value.silent, told.value.full, told.value.hung_up) == (False, port == closed, hung_up)


def test_one_of_several_is_enough_and_the_silent_ones_hold_up_nobody() -> None:
    with silent() as quiet, full() as closed, answering() as port:
        ask(of_kafka(kafka_at(quiet, closed, free_port(), port)), 20.0)


def test_a_handshake_that_fails_is_an_answer() -> None:
    """A certificate that is not trusted is the client's to tell; so is a broker without TLS."""
    with answering(lambda _: b"no TLS here") as port:
        ask(of_kafka(kafka_at(port, security_protocol="SSL")))


def test_a_name_whose_look_up_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(50) and [])
    try:
        with pytest.raises(Unanswered, match=r"nobody answers at kafka\.example\.org:9092 within 0\.2 s"):
            ask(of_kafka(KafkaSettings("kafka.example.org:9092")), QUICK)
        assert not over.is_set()
    finally:
        over.set()


@pytest.mark.parametrize("text", ["nonsense", "a:b", ":1", "127.0.0.1:70000"])
def test_what_is_no_address_is_nobody(text: str) -> None:
    with pytest.raises(Unanswered):
        ask(of_kafka(KafkaSettings(text)), QUICK)


def test_certificates_that_cannot_be_used_are_a_mistake_of_the_settings(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "none.pem"):
        with pytest.raises(SettingsError, match="cannot be used"):
            of_kafka(kafka_at(1, security_protocol="SSL", ssl_cafile=str(path)))
        with pytest.raises(SettingsError, match="cannot be used"):
            of_clickhouse(ClickHouseSettings(secure=True, ca_cert=str(path)))

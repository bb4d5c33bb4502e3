"""Kafka over TLS without a file of authorities: its certificate has to come from those that this machine trusts, and from no others."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from kafka.errors import KafkaError
from tests.support.silent import answering

from tallystick_infra.deployment.certificate import make_certificate
from tallystick_producers.kafka_link import Producer
from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell import faust_app
from tallystick_stream_jobs.shell.outlet import Outlet

PROTOCOLS: dict[str, dict[str, Any]] = {
    "SSL": {"security_protocol": "SSL"},
    "SASL_SSL": {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "us", "sasl_password": "theirs"},
}


async def send(kafka: KafkaSettings) -> None:
    await Outlet(kafka).send("locks", b"principal:ann", None)


def with_aiokafka(kafka: KafkaSettings) -> None:
    with suppress(KafkaConnectionError):
        asyncio.run(send(kafka))


def with_kafka_python(kafka: KafkaSettings) -> None:
    with suppress(KafkaError):
        Producer(kafka)


CLIENTS: dict[str, Callable[[KafkaSettings], None]] = {"aiokafka": with_aiokafka, "kafka-python": with_kafka_python}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


@contextmanager
def broker(certificate: Path) -> Iterator[tuple[int, list[bytes]]]:
    """(port, what was said to it after a handshake that the client was content with). It hangs up on every word."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
    heard: list[bytes] = []

    def hear(said: bytes) -> bytes:
        heard.append(said)
        return b""

    with answering(hear, context) as port:
        yield port, heard


@pytest.mark.timeout(60)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_this_machine_trusts_is_enough(client: str, protocol: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "server.crt"))
    with broker(certificate) as (port, heard):
        CLIENTS[client](KafkaSettings(f"127.0.0.1:{port}", **PROTOCOLS[protocol]))
    assert heard


@pytest.mark.timeout(60)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_certificate_of_others_is_spoken_to_by_nobody(client: str, certificate: Path) -> None:
    with broker(certificate) as (port, heard):
        CLIENTS[client](KafkaSettings(f"127.0.0.1:{port}", **PROTOCOLS["SASL_SSL"]))
    assert heard == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_jobs_read_with_what_this_machine_trusts(protocol: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "server.crt"))
    found = faust_app._credentials(KafkaSettings("127.0.0.1:1", **PROTOCOLS[protocol]))
    context = found.context if protocol == "SSL" else found.ssl_context
    assert (found.protocol.value, context.verify_mode, context.check_hostname) == (protocol, ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509"] == 1

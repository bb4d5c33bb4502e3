"""Whoever takes the port of a stopped broker learns no password, and is believed by no client: kafka-python, aiokafka and Faust's consumer."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError as AioKafkaError
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from tests.support.false_broker import API_VERSIONS, AUTHENTICATE, HANDSHAKE, FalseBroker, false_broker

from tallystick_producers.kafka_link import Producer
from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell.outlet import Outlet, aiokafka_kwargs

PASSWORD = "correct-horse-battery-staple-correct-horse"


def settings(broker: FalseBroker) -> KafkaSettings:
    return KafkaSettings(
        f"127.0.0.1:{broker.port}",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="responder",
        sasl_password=PASSWORD,
    )


def consumer(kafka: KafkaSettings) -> None:
    KafkaConsumer(**kafka.client_kwargs(), group_id=None, bootstrap_timeout_ms=2_000).close()


def agent(kafka: KafkaSettings) -> None:
    Producer(kafka).close(0)


def outlet(kafka: KafkaSettings) -> None:
    async def send() -> None:
        await Outlet(kafka).send("locks", b"principal:mallory", None)

    asyncio.run(send())


def job(kafka: KafkaSettings) -> None:
    """As Faust's driver connects: aiokafka's consumer with the same arguments."""

    async def start() -> None:
        one = AIOKafkaConsumer("events", **aiokafka_kwargs(kafka))
        try:
            await one.start()
        finally:
            await one.stop()

    asyncio.run(start())


REFUSED = (KafkaError, AioKafkaError, ValueError)
CLIENTS = (consumer, agent, outlet, job)


@pytest.mark.parametrize("client", CLIENTS)
def test_it_hears_no_password_and_is_not_believed(client: Callable[[KafkaSettings], None]) -> None:
    with false_broker() as broker:
        with pytest.raises(REFUSED):
            client(settings(broker))
        assert broker.ended.wait(20), "the client was not shown a signature, so nothing was tried"
    assert broker.proofs, "the client did not go as far as the proof"
    assert not [request for request in broker.heard if PASSWORD.encode() in request]
    # Whoever believes it goes on to ask for metadata.
    assert set(broker.asked) == {API_VERSIONS, HANDSHAKE, AUTHENTICATE}


@pytest.mark.parametrize("client", CLIENTS)
def test_one_that_knows_the_password_would_be_believed(client: Callable[[KafkaSettings], None]) -> None:
    """The same server with the right signature: so it was the signature that the test before refused."""
    with false_broker(password=PASSWORD) as broker, pytest.raises(REFUSED):
        client(settings(broker))
    assert set(broker.asked) > {API_VERSIONS, HANDSHAKE, AUTHENTICATE}


@pytest.mark.parametrize("client", CLIENTS)
def test_it_cannot_ask_for_the_password_in_the_clear(client: Callable[[KafkaSettings], None]) -> None:
    with false_broker(mechanisms=("PLAIN",)) as broker, pytest.raises(REFUSED):
        client(settings(broker))
    assert HANDSHAKE in broker.asked
    assert AUTHENTICATE not in broker.asked
    assert not [request for request in broker.heard if PASSWORD.encode() in request]

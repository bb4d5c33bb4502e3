"""The console's feed on a real broker: a console that starts anew shows what the one before it showed, with the rights that a console has."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer
from tests.support.console import LOG, Simulator, theft_finding
from tests.support.recorder import wait_for
from tests.support.recorder_kafka import Broker, broker, give_roles
from tests.support.signing import Speaker, directive, role_key

from tallystick_dashboard.hub import Hub
from tallystick_dashboard.kafka_feed import KafkaFeed
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_schemas.messages import encode_json
from tallystick_schemas.topics import FINDINGS, LOCKS

pytestmark = pytest.mark.embedded
MANY = 150


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


def put(one: Broker, topic: str, values: Mapping[bytes, bytes]) -> None:
    with closing(KafkaProducer(**one.kafka.client_kwargs(), acks="all")) as producer:
        for key, value in values.items():
            producer.send(topic, key=key, value=value)
        producer.flush(30)


def find(one: Broker, detectors: Speaker, first: int, last: int) -> set[str]:
    """Findings on the topic; their ids."""
    ids = [f"F-{n}" for n in range(first, last)]
    bodies = {name.encode(): encode_json(msgspec.structs.replace(theft_finding(0.0, []), id=name)) for name in ids}
    put(one, FINDINGS, {key: detectors.says(FINDINGS, key, body) for key, body in bodies.items()})
    return set(ids)


def started(one: Broker, folder: Path) -> tuple[Hub, KafkaFeed]:
    hub = Hub(ConsoleSettings(secret_file="", state_dir=str(folder)), LOG, Simulator(), Simulator())
    feed = KafkaFeed(hub, one.role("console"))
    feed.start()
    return hub, feed


def known(hub: Hub) -> set[str]:
    return {finding.id for finding in hub.findings.newest()}


def test_findings_are_shown_by_every_start_and_those_of_a_key_that_gets_its_role_later(one: Broker, tmp_path: Path) -> None:
    detectors, rotated = (Speaker("detectors", deployment=LOG.deployment, key=key) for key in ("", "rotated"))
    give_roles(one.kafka, detectors=["detectors"])
    ids = find(one, detectors, 0, MANY)
    for _ in range(3):
        hub, feed = started(one, tmp_path)
        with closing(feed):
            wait_for(lambda hub=hub: known(hub) == ids, "all findings are shown", 20)
            assert (hub.seen.unheard, feed.refused[FINDINGS].count) == (0, 0)
    hub, feed = started(one, tmp_path)
    with closing(feed):
        wait_for(lambda: known(hub) == ids, "all findings are shown", 20)
        more = find(one, rotated, MANY, MANY + 2)
        wait_for(lambda: hub.seen.unheard == 2, "nobody knows that key yet", 20)
        put(one, LOCKS, {role_key("detectors", "rotated"): directive("detectors", key="rotated")})
        wait_for(lambda: known(hub) == ids | more and hub.seen.unheard == 0, "the new key is believed", 20)

"""What the keeper needs of topic `detector-state`: the same of a broker in memory and of Kafka."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.detector_job import Broker, Nothing
from tests.support.recorder_kafka import broker
from tests.support.signing import Speaker, opener

from tallystick_schemas.topics import DETECTOR_STATE
from tallystick_stream_jobs.detectors.keeper import Keeper
from tallystick_stream_jobs.detectors.state import OWNER, place
from tallystick_stream_jobs.detectors.state_topic import StatePort, StateTopic
from tallystick_stream_jobs.errors import SnapshotFenced

KINDS = ["memory", pytest.param("embedded", marks=pytest.mark.embedded)]


@pytest.fixture(scope="module", params=KINDS)
def topic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StatePort]:
    if request.param == "memory":
        yield Broker()
        return
    with broker(Path(tmp_path_factory.mktemp("kafka"))) as kafka, closing(StateTopic(kafka.kafka)) as made:
        yield made


def test_values_are_read_from_any_place_on_in_their_order(topic: StatePort) -> None:
    assert topic.read(0, 0) == ([], 0)
    for n in range(4):
        topic.claim(0, b"%d" % (n % 2), b"value %d" % n)
    assert topic.read(0, 0) == ([(b"0", b"value 0"), (b"1", b"value 1"), (b"0", b"value 2"), (b"1", b"value 3")], 4)
    assert topic.read(0, 3) == ([(b"1", b"value 3")], 4)
    assert topic.read(0, 4) == ([], 4)
    assert dict(topic.ends([0, 1])) == {0: 4, 1: 0}


def test_a_large_value_is_read_whole(topic: StatePort) -> None:
    voice = Speaker("detectors").voice()
    value = voice.says(DETECTOR_STATE, place(2, b"17"), bytes(900_000))
    topic.claim(2, b"17", value)
    assert topic.read(2, 0) == ([(b"17", value)], 1)


def test_of_two_owners_the_former_sees_the_newer(topic: StatePort) -> None:
    former, newer = (Keeper(topic, Speaker("detectors", fence).voice(), opener(), lambda above: above + 1, Nothing()) for fence in (10, 11))
    former.take_up([3])
    former.check([3])
    newer.take_up([3])
    newer.check([3])
    with pytest.raises(SnapshotFenced, match="partition 3"):
        former.check([3])
    assert [key for key, _ in topic.read(3, 0)[0]] == [OWNER, OWNER]

"""Where the feed begins to read decisions, and what it does with what is none."""

from types import SimpleNamespace

import pytest
from kafka.errors import KafkaError
from tests.support.signals import decision, settings_in, until
from tests.support.signing import Speaker, opener

from tallystick_schemas.messages import encode_json
from tallystick_schemas.topics import DECISIONS
from tallystick_stream_jobs.shared_signals.feed import PARTITION, DecisionFeed
from tallystick_stream_jobs.shared_signals.store import Store
from tallystick_stream_jobs.shared_signals.streams import created
from tallystick_stream_jobs.shared_signals.transmitter import Transmitter

KEY = b"principal:ann"


class Topic:
    """A consumer on a list of values, `first` the offset of the oldest one; fails as often as it is told."""

    def __init__(self, values, first=0, failures=0):
        self.values, self.first, self.failures, self.at, self.closed = values, first, failures, None, 0

    def assign(self, partitions):
        assert partitions == [PARTITION]

    def beginning_offsets(self, _):
        return {PARTITION: self.first}

    def end_offsets(self, _):
        return {PARTITION: self.first + len(self.values)}

    def seek(self, _, offset):
        self.at = offset

    def poll(self, timeout_ms):
        if self.failures:
            self.failures -= 1
            raise KafkaError("away")
        found = [SimpleNamespace(offset=self.first + n, key=KEY, value=v) for n, v in enumerate(self.values) if self.first + n >= self.at]
        self.at = self.first + len(self.values)
        return {PARTITION: found}

    def close(self):
        self.closed += 1


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path / "signals.db")
    one.put_stream(created("s1", "okta", {}))
    yield one
    one.close()


def read(tmp_path, store, topic):
    feed = DecisionFeed(Transmitter(settings_in(tmp_path), store), store, lambda: topic, opener())
    try:
        until(lambda: store.position("decisions") == topic.first + len(topic.values), "the topic is read")
    finally:
        feed.close()
    return [one.claims["txn"] for one in store.waiting("s1", 100)][::2]


def values(*names, speaker=None):
    responder = speaker or Speaker("responder")
    return [responder.says(DECISIONS, KEY, encode_json(decision(name))) for name in names]


def test_the_first_time_it_begins_at_the_end(tmp_path, store):
    assert read(tmp_path, store, Topic(values("a", "b"))) == []
    assert read(tmp_path, store, Topic(values("a", "b", "c"))) == ["c"]


def test_it_goes_on_where_it_was(tmp_path, store):
    store.enqueue([], ("decisions", 1))
    assert read(tmp_path, store, Topic(values("a", "b", "c"))) == ["b", "c"]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(tmp_path, store):
    store.enqueue([], ("decisions", 70))
    assert read(tmp_path, store, Topic(values("a"))) == ["a"]


def test_what_is_gone_is_skipped(tmp_path, store):
    store.enqueue([], ("decisions", 3))
    assert read(tmp_path, store, Topic(values("y", "z"), first=40)) == ["y", "z"]


def test_a_broker_that_is_away_is_asked_again_and_nothing_is_told_twice(tmp_path, store):
    store.enqueue([], ("decisions", 0))
    topic = Topic(values("a", "b"), failures=2)
    assert read(tmp_path, store, topic) == ["a", "b"]
    assert topic.closed == 3


def test_garbage_stops_nothing(tmp_path, store):
    store.enqueue([], ("decisions", 0))
    garbage = [None, b"", b"{", b"[" * 5000, b"\xff", b'{"id":1}', encode_json(decision("lock only").lock)]
    responder = Speaker("responder")
    signed = [responder.says(DECISIONS, KEY, one or b"") for one in garbage]
    assert read(tmp_path, store, Topic([*garbage, *signed, *values("a", speaker=responder)])) == ["a"]


@pytest.mark.parametrize("by", ["gateway", "notary", "mallory"])
def test_no_receiver_is_told_what_no_responder_signed(tmp_path, store, by):
    store.enqueue([], ("decisions", 0))
    forged = values("evil", speaker=Speaker(by, fence=99))
    assert read(tmp_path, store, Topic([encode_json(decision("plain")), *forged, *values("a")])) == ["a"]


def test_a_decision_that_is_said_again_is_not_told_again(tmp_path, store):
    store.enqueue([], ("decisions", 0))
    first, second = values("a", "b")
    assert read(tmp_path, store, Topic([first, second, first])) == ["a", "b"]

"""Principals of one hash: who is held as objects, who rests as bytes, and who is forgotten."""

import msgspec
import pytest
from tests.support.detecting import batch, findings, read, segment

from tallystick_schemas.errors import ParseError
from tallystick_stream_jobs.detectors.bucket import Bucket
from tallystick_stream_jobs.detectors.d12_telemetry import Telemetry
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine, bucket_of
from tallystick_stream_jobs.detectors.kept import FORM, decode_kept


def filled(names: str, most: int = 10, hot: int = 2) -> Bucket:
    """Each of them spoke once, in this order, on day 5."""
    bucket = Bucket(most, hot)
    for name in names:
        bucket.states(name, 5)["D01"] = {"n": ord(name)}
        bucket.rest()
    return bucket


def names_of(bucket: Bucket) -> str:
    return "".join(decode_kept(bucket.encoded(), "it").principals)


def test_only_those_that_spoke_last_are_held_as_objects():
    bucket = filled("abcde")
    assert (len(bucket), list(bucket._awake), list(bucket._resting)) == (5, ["d", "e"], ["a", "b", "c"])
    assert not bucket.crowded


def test_one_that_speaks_again_wakes_with_its_states_and_is_the_last_to_go():
    bucket = filled("abcde")
    assert bucket.states("a", 6) == {"D01": {"n": ord("a")}, "day": 6}
    assert bucket.crowded
    bucket.rest()
    assert names_of(bucket) == "bcdea"
    assert list(bucket._awake) == ["e", "a"]


@pytest.mark.parametrize("hot", [0, 1, 2, 9])
def test_the_one_that_was_silent_longest_is_forgotten_whether_it_rests_or_not(hot):
    bucket = filled("abcde", most=3, hot=hot)
    assert names_of(bucket) == "cde"


@pytest.mark.parametrize("hot", [0, 9])
def test_after_ninety_days_of_silence_a_newcomer_takes_the_place(hot):
    bucket = filled("ab", hot=hot)
    bucket.states("c", 95)
    assert names_of(bucket) == "abc"
    bucket.states("d", 96)
    assert names_of(bucket) == "cd"


@pytest.mark.parametrize("hot", [0, 9])
def test_a_state_can_be_read_and_put_back_where_it_is(hot):
    bucket = filled("abc", hot=hot)
    state = bucket.state("b", "D01")
    state["told"] = 1
    bucket.put("b", "D01", state)
    assert bucket.state("b", "D01") == {"n": ord("b"), "told": 1}
    assert names_of(bucket) == "abc"
    assert bucket.state("b", "D02") == bucket.state("z", "D01") == {}
    assert bucket.having("D01", "told") == ["b"]


def test_a_bucket_that_no_message_holds_forgets_the_silent_ones_first():
    bucket = Bucket(100, 50)
    for number in range(100):
        bucket.states(f"user-{number:02d}", 5)["D01"] = {"n": number}
        bucket.rest()
    assert len(bucket.encoded()) > 600
    assert len(bucket) == 100, "to look at it changes nothing"
    raw = bucket.fitted(600)
    assert len(raw) <= 600
    assert 10 < len(bucket) < 40
    assert list(decode_kept(raw, "it").principals) == [f"user-{number:02d}" for number in range(100 - len(bucket), 100)]


def test_what_is_read_does_not_hold_on_to_the_message_that_it_came_in():
    raw = filled("abc").encoded()
    kept = decode_kept(raw, "it")
    assert all(len(memoryview(packed).obj) < len(raw) for packed in kept.principals.values())


@pytest.mark.parametrize("states", [b"\xc1", b"\x90", b"\x81\xa1a", b"\x81\x01\x02"])
def test_states_that_cannot_be_read_are_seen_when_they_are_taken_up(states):
    """And not when the principal speaks, in the middle of a message."""
    head = msgspec.msgpack.encode({"seen": {}, "form": FORM, "principals": {"ann": 0}})
    with pytest.raises(ParseError, match="bucket 3"):
        Engine().restore(3, head[:-1] + states)


def test_an_agent_that_rests_is_missed_all_the_same():
    """Its heartbeats stop while its states are bytes; it is told once, and then not waited for."""
    engine = Engine((Telemetry(),), hot=0)
    beat = read(0.0, "", "gateway-1", action="agent.heartbeat").replace(
        b'"kind":"model","id":"acme/atlas-7b"', b'"kind":"agent","id":"gateway-1"'
    )
    assert b'"kind":"agent"' in beat
    messages = [batch(segment(0, [beat], 0.0)), *(batch(segment(n, [read(20.0 * n, "x", f"u{n}")], 20.0 * n)) for n in range(1, 12))]
    told = findings(messages, engine)
    assert [(one.detector, one.principal) for one in told] == [("D12", "gateway-1")]
    assert engine._buckets[bucket_of("gateway-1")].having("D12", "beat") == []
    again = Engine((Telemetry(),))
    for number in range(BUCKETS):
        again.restore(number, engine.snapshot(number))
    assert findings([batch(segment(12, [read(999.0, "x", "u")], 999.0))], again) == []

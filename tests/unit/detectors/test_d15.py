"""D15 at its line, fast and slow; what counts once; what its state forgets."""

from zlib import crc32

import msgspec
import pytest
from tests.support.detecting import T0, findings, pull, read, timeline

from tallystick_stream_jobs.detectors.d15_hijack import Hijack
from tallystick_stream_jobs.detectors.engine import Engine, bucket_of
from tallystick_stream_jobs.detectors.facts import make_fact
from tallystick_stream_jobs.detectors.reading import decode_event

DAY = 86_400.0


def found(events, **parameters):
    return findings(timeline(events), Engine((Hijack(parameters or None),)))


def facts(events):
    return [make_fact(decode_event(raw), int((T0 + at) * 1000), (0, n, 0), raw=raw) for n, (at, raw) in enumerate(events)]


def highest(events):
    state = {}
    rule = Hijack()
    return max(rule.take(state, fact) for fact in facts(events)), state


def test_the_score_is_the_sum_of_its_two_counts():
    # Two panes of 16 requests: 32 in twelve hours, and 2 x 16^(3/4) = 16.
    events = [*pull(16), *pull(16, first=16, start=600)]
    assert highest(events)[0] == 32 + 16


def test_twelve_hours_are_the_first_count_and_a_day_is_the_second():
    assert highest([*pull(16), *pull(16, first=16, start=11.5 * 3600)])[0] == 32 + 16
    assert highest([*pull(16), *pull(16, first=16, start=13 * 3600)])[0] == 16 + 16


def test_a_thief_in_a_hurry_and_a_patient_one_are_found_and_a_reader_is_not():
    [fast] = found(pull(400, every=2.0))
    slow = found(pull(400, every=DAY / 400))
    assert found(pull(150, every=10.0)) == []
    assert (fast.act, fast.deterministic, fast.threshold) == ("step-up", False, 400)
    assert slow[0].features["requests_24h"] < fast.features["requests_24h"] < 330
    assert slow[0].features["active_spans_24h"] > 80 > fast.features["active_spans_24h"]
    assert "is the line" in fast.text


def test_the_line_is_a_parameter():
    assert found(pull(16)) == []
    [told] = found(pull(16), alarm=24)
    assert (told.value, told.features["requests_12h"], told.features["steady"]) == (24, 16, 8)


def test_pieces_and_retries_of_one_object_are_one_request():
    assert highest([(at, read(at, "one")) for at in range(300)])[0] == 2
    assert highest([(40.0 * at, read(40.0 * at, "one")) for at in range(15)])[0] == pytest.approx(15 + 15**0.75, abs=0.001)


def test_a_decision_and_the_download_after_it_are_one_request():
    events = [(at, read(at, f"{at}", action=action, objects=None)) for at in range(16) for action in ("access.check", "artifact.download")]
    assert highest(events)[0] == 24


def test_a_decision_alone_is_no_request():
    assert highest(pull(16, action="access.check", objects=None))[0] == 0


def test_what_was_refused_counts():
    assert highest(pull(16, action="access.check", outcome="denied"))[0] == 24


def test_other_actions_are_left_alone():
    assert found(pull(2000, action="artifact.upload")) == []


def test_a_day_later_nothing_is_left():
    score, state = highest([*pull(300), (DAY + 600, read(DAY + 600, "one"))])
    assert state["sums"][1:] == [1, 1000]
    assert len(state["panes"]) == 1
    assert score > 300


def test_what_comes_ten_minutes_late_counts_all_the_same():
    events = pull(200, every=30.0)
    late = sorted(events, key=lambda one: (one[0] + 600 * (crc32(one[1]) % 2), one[0]))
    assert highest(events)[1]["sums"] == highest(late)[1]["sums"]


def test_it_is_told_once_an_hour():
    told = found(pull(1500, every=10.0))
    assert len(told) > 1
    times = [one.time for one in told]
    assert len({time[:13] for time in times}) == len(times)


def test_its_state_is_bounded():
    events = [(n * 7.0, read(n * 7.0, f"part-{n}")) for n in range(15_000)]
    _, state = highest(events)
    assert len(msgspec.msgpack.encode(state)) < 1536


def test_a_snapshot_at_any_place_changes_nothing():
    batches = timeline(pull(400, every=2.0))
    whole = findings(batches, Engine((Hijack(),)))
    engine = Engine((Hijack(),))
    told = findings(batches[:350], engine)
    number = bucket_of("dave@example.org")
    other = Engine((Hijack(),))
    other.restore(number, engine.snapshot(number))
    assert told + findings(batches[350:], other) == whole
    assert len(whole) == 1

"""In what order rules are asked: a message of many principals says the same as its segments one by one, word for word."""

import itertools
import random

import pytest
from tests.support.detecting import T0, batch, findings, read, segment

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, encode_event
from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.asking import in_one_day
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine, bucket_of
from tallystick_stream_jobs.detectors.facts import DAY_S

MIDNIGHT = (T0 // DAY_S + 1) * DAY_S - T0


def beat(at: float, agent: str) -> bytes:
    event = Event(
        1, to_base64url(bytes(16)), wire_time(T0 + at), "agent.heartbeat", Actor(agent, "service"), Resource("agent", agent), "allowed"
    )
    return encode_event(event)


def segments(start: float, seed: int) -> list[VerifiedSegment]:
    """Nine principals in turn, some thieves, and an agent that falls silent in the middle; a minute a segment, clocks up to nine minutes off."""
    chance = random.Random(seed)
    made = []
    for index in range(32):
        at = start + index * 60.0
        events = [beat(at, "gateway-1")] if index in (0, 1, 2, 9, 10) else []
        for pos in range(48):
            who, moment = chance.randrange(9), at + pos / 20 + chance.choice([0, 0, -540, 540])
            action = chance.choice(["artifact.list", "model.infer", "access.check", *["artifact.download"] * 5])
            outcome = "denied" if chance.random() < 0.1 else "allowed"
            part = f"part-{chance.randrange(90 if who < 3 else 6)}"
            events.append(read(moment, part, f"p{who}", f"c{who}", parts=60, action=action, outcome=outcome))
        made.append(segment(index, events, at))
    return made


def both(made: list[VerifiedSegment]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """(findings in their order, all buckets), of messages of eight segments and of one."""

    def run(messages: list[VerifiedBatch]) -> tuple[object, ...]:
        engine = Engine()
        return findings(messages, engine), [engine.snapshot(number) for number in range(BUCKETS)]

    return run([batch(*made[at : at + 8]) for at in range(0, len(made), 8)]), run([batch(one) for one in made])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("start", [0.0, MIDNIGHT - 600.0, 30 * 86_400.0])
def test_a_message_says_the_same_as_its_segments(start: float, seed: int) -> None:
    whole, cut = both(segments(start, seed))
    assert whole[0] == cut[0]
    assert {one.detector for one in whole[0]} >= {"D01", "D05", "D12", "D14"}, "several rules speak, silence among them"
    assert len({one.principal for one in whole[0]}) > 2


def test_the_buckets_of_a_message_are_those_of_its_events() -> None:
    """Principals of other buckets come between: each rule must find the peers of its own."""
    names = [f"p{number}" for number in range(6)]
    assert len({bucket_of(name) for name in names}) == 6
    whole, alone = Engine(), Engine()
    for first in range(0, 64, 8):
        taken = range(first, first + 8)
        events = {index: [read(index * 9.0, f"part-{index % 20}", name) for name in names] for index in taken}
        whole.process(batch(*(segment(index, events[index], index * 9.0) for index in taken)))
        for index, pos in itertools.product(taken, range(len(names))):
            alone.process(batch(segment(index, [events[index][pos]], index * 9.0, first_pos=pos)))
    assert [whole.snapshot(number) for number in range(BUCKETS)] == [alone.snapshot(number) for number in range(BUCKETS)]


@pytest.mark.parametrize(
    ("first", "last", "one"),
    [
        (MIDNIGHT + 1200, MIDNIGHT + 80_000, True),
        (MIDNIGHT + 1199, MIDNIGHT + 1300, False),
        (MIDNIGHT - 1, MIDNIGHT, False),
        (MIDNIGHT - 2, MIDNIGHT - 1, True),
        (MIDNIGHT + 2000, MIDNIGHT + DAY_S, False),
    ],
)
def test_one_day_is_settled_for_all(first: float, last: float, one: bool) -> None:
    assert in_one_day([segment(0, [], last), segment(1, [], first)]) is one

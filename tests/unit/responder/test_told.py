"""Decisions as they are read back: those of a responder that had lost its turn are nobody's any more. And they go out in the order of their numbers."""

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.support.owning import Outbound, Site, responder
from tests.support.receiver import decision
from tests.support.signing import Speaker, opener

from tallystick_schemas.envelope import Number, parse_claim
from tallystick_schemas.messages import Decision, encode_json
from tallystick_schemas.topics import DECISIONS
from tallystick_stream_jobs.responder.job import Judged
from tallystick_stream_jobs.responder.topics import told_in


@dataclass(frozen=True)
class Record:
    offset: int
    key: bytes
    value: bytes


def said(offset: int, made: Decision, number: Number) -> Record:
    key = made.subject.encode()
    return Record(offset, key, Speaker("responder").says(DECISIONS, key, encode_json(made), number))


def test_a_decision_of_a_fence_that_is_over_is_left_out() -> None:
    locked, kept = said(0, decision(number=1), Number(1, 5)), said(1, decision(number=2), Number(2, 0))
    late = said(2, decision("unlocked", number=3), Number(1, 6))
    again = Record(3, locked.key, locked.value)
    later = said(4, decision(number=4), Number(2, 1))
    assert [(one.decision.id, one.offset) for one in told_in([locked, kept, late, again, later], opener())] == [
        ("cmd-1", 0),
        ("cmd-2", 1),
        ("cmd-4", 4),
    ]


@dataclass
class Slow(Outbound):
    """The first value waits for room, as a producer lets it; the others find some."""

    sent: int = 0

    async def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Any:
        self.sent += 1
        if self.sent == 1:
            for _ in range(10):
                await asyncio.sleep(0)
        return await super().send(topic, key, value, partition)


def test_what_both_lanes_tell_at_once_stands_in_the_order_of_its_numbers() -> None:
    site = Site()
    made = responder(site)
    made._outlet = Slow(site)  # type: ignore[assignment]  # as the site's own
    made.load()

    async def both() -> None:
        await asyncio.gather(*(made.tell([Judged(decision(number=number), new=True)]) for number in range(3)))

    asyncio.run(both())
    numbers = [parse_claim(value or b"").number for topic, _, value in site.told if topic == DECISIONS]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)

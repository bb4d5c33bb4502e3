"""Account hijack by splicing: 400 consecutive requests of a real harvester go on under the name of an ordinary user, slower, as fast, or faster."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tallystick_stream_jobs.detectors.facts import Fact

from ..errors import EvaluationRefused
from .log import DAY_S, Log, Row, part_of

REQUESTS: Final = 400
VICTIMS: Final = 60
SPEEDS: Final = (1 / 3, 1.0, 3.0)
_TRIES: Final = 1000
Span = Literal["whole", "one-day"]
"""whole: all 400 requests, past the end of the log if they are slow. one-day: only stretches that fit between midnight and midnight."""


@dataclass(frozen=True)
class Hijack:
    """`facts` are the user's own requests and the thief's, in the order of time; `stolen` says of each whether it is the thief's."""

    victim: str
    donor: str
    speed: float
    facts: list[Fact]
    stolen: list[bool]


def splices(log: Log, seed: int, span: Span, count: int = VICTIMS) -> Iterator[Hijack]:
    """The hijacks of one draw. A victim's harvester is of the victim's part: nobody whom thresholds were frozen on is reported."""
    draw = random.Random(seed)  # noqa: S311 - a fixed draw, not a secret
    users = log.users()
    donors = {part: [name for name in log.harvesters() if part_of(name) == part] for part in (0, 1)}
    if len(users) < 4 or not all(donors.values()):
        raise EvaluationRefused(
            log.path, "it needs ordinary users and, in both halves of the principals, somebody above 500 requests a day"
        )
    for at, victim in enumerate(draw.sample(users, min(count, len(users) // 2))):
        yield _hijack(log, victim, draw, donors[part_of(victim)], SPEEDS[at % len(SPEEDS)], span)


def _hijack(log: Log, victim: str, draw: random.Random, donors: list[str], speed: float, span: Span) -> Hijack:
    day = log.days * DAY_S - 1
    for _ in range(_TRIES):
        donor = draw.choice(donors)
        rows = log.people[donor]
        first = draw.randrange(len(rows) - REQUESTS + 1)
        taken = rows[first : first + REQUESTS]
        length = (taken[-1].time - taken[0].time) / speed
        if span == "whole" or length <= day:
            break
    else:
        raise EvaluationRefused(log.path, f"no harvester makes {REQUESTS} requests within the log at speed {speed:.2f}")
    begin = log.start + draw.uniform(0, max(0.0, day - length))
    thief = [Row(begin + (row.time - taken[0].time) / speed, row.line) for row in taken]
    own = [(row, False) for row in log.people[victim]]
    merged = sorted(own + [(row, True) for row in thief], key=lambda one: one[0].time)
    return Hijack(victim, donor, speed, log.facts(victim, [row for row, _ in merged]), [stolen for _, stolen in merged])

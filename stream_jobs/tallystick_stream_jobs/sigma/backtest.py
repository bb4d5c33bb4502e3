"""What a rule would have found: its window as SQL over the history, read with bounded memory, and what that costs in alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from tallystick_schemas.messages import Place

from .definition import Window
from .matching import Bind
from .sql import crossings_sql, hits_sql

_SLICE: Final = 200_000
"""Hits that are held in memory at once, twelve times over."""
_MAX_SLICES: Final = 1024
MAX_CROSSINGS: Final = 10_000
_SETTINGS: Final = {"max_execution_time": 300, "max_memory_usage": 1 << 30}
ALERT_S: Final = 3600
"""Findings of one rule about one principal that are less than this apart are one alert."""


@dataclass(frozen=True)
class Crossing:
    """A window that reached the line. `time` in seconds since 1970; `value` when it did; the newest 50 places up to it."""

    principal: str
    group: tuple[str, ...]
    pane: int
    time: float
    place: Place
    value: int
    evidence: tuple[Place, ...]
    credential: str | None


@dataclass(frozen=True)
class Cost:
    """What people would have had to look at."""

    findings: int
    alerts: int
    principals: int
    days: float

    @property
    def alerts_a_day(self) -> float:
        return self.alerts / self.days

    @property
    def alerts_a_principal(self) -> float:
        return self.alerts / self.principals if self.principals else 0.0


def crossings(client: Client, window: Window, start: float, end: float) -> list[Crossing]:
    """Crossings from start to end (seconds since 1970, start included, end not) by time, at most MAX_CROSSINGS."""
    start_us, end_us = round(start * 1e6), round(end * 1e6)
    bind = Bind()
    text = f"SELECT count() FROM ({hits_sql(window, bind, start_us - window.span_s * 2_000_000, end_us)})"  # noqa: S608 - values are parameters
    hits = client.query(text, parameters=bind.values, settings=_SETTINGS).result_rows[0][0]
    slices = min(_MAX_SLICES, 1 + hits // _SLICE)
    found: list[Crossing] = []
    for only in range(slices if hits else 0):
        query = crossings_sql(window, start_us, end_us, slices, only, MAX_CROSSINGS)
        rows = client.query(query.text, parameters=query.bind.values, settings=_SETTINGS).result_rows
        found += [_crossing(row) for row in rows]
    return sorted(found, key=lambda one: (one.time, one.place, one.group))[:MAX_CROSSINGS]


def _crossing(row: Sequence[Any]) -> Crossing:
    principal, group, pane, reached, hit, evidence = row
    place = (hit["shard"], hit["index"], hit["pos"])
    return Crossing(
        principal,
        tuple(group),
        pane,
        hit["us"] / 1e6,
        place,
        int(reached),
        tuple(tuple(one) for one in evidence),
        hit["credential"] or None,
    )


def cost(times: Sequence[tuple[str, float]], start: float, end: float) -> Cost:
    """The cost of findings, given as (principal, seconds since 1970) of one rule."""
    open_since: dict[str, float] = {}
    alerts = 0
    for principal, time in sorted(times, key=lambda one: one[1]):
        if time - open_since.get(principal, -ALERT_S) >= ALERT_S:
            alerts += 1
        open_since[principal] = time
    return Cost(len(times), alerts, len(open_since), max(end - start, 1.0) / 86_400)

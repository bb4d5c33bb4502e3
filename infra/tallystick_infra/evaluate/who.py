"""Who the false alarms are: what the log itself says of users that the detector calls harvesters although nobody hijacked them."""

from typing import Any

from .log import Log, part_of
from .run import OURS, Result

_SHARED: int = 4
"""An object is shared when so many principals asked for it: clients that ask for nothing else are doors of one service."""


def false_alarms(log: Log, result: Result, rate: float) -> list[dict[str, Any]]:
    """The reported users above the frozen threshold, the highest first; without their names, which help nobody."""
    line = result.line(OURS, rate)
    untouched = result.scores[OURS].untouched
    alarmed = sorted((user for user in result.users if part_of(user) and untouched[user] > line), key=lambda user: (-untouched[user], user))
    asked = {user: _objects(log, user) for user in alarmed}
    shared = _shared(log, set().union(*asked.values()) if asked else set())
    return [{"score": round(untouched[user], 1), **_told(log, user, asked[user], shared)} for user in alarmed]


def _told(log: Log, user: str, objects: set[str], shared: set[str]) -> dict[str, Any]:
    rows = log.people[user]
    facts = log.facts(user, rows)
    status = [(fact.event.attrs or {}).get("status", "") for fact in facts]
    return {
        "requests": len(rows),
        "objects": len(objects),
        "active_spans": len({int(row.time // 600) for row in rows}),
        "shared": round(len(objects & shared) / len(objects), 2),
        "throttled": any(code[:3] in ("403", "429") for code in status),
        "crawler": any((fact.event.attrs or {}).get("crawler", "").startswith("1") for fact in facts),
    }


def _objects(log: Log, user: str) -> set[str]:
    return {_key(log, row.line) for row in log.people[user]}


def _key(log: Log, line: bytes) -> str:
    resource = log.parse(line).resource
    return f"{resource.id}\0{resource.part or ''}"


def _shared(log: Log, wanted: set[str]) -> set[str]:
    """Which of these objects at least `_SHARED` principals of the whole log asked for."""
    counts = dict.fromkeys(wanted, 0)
    for rows in log.people.values():
        for key in {key for row in rows if (key := _key(log, row.line)) in wanted}:
            counts[key] += 1
    return {key for key, count in counts.items() if count >= _SHARED}

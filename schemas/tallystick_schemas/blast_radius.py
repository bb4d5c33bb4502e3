"""What a lock would hit: one query over the last day's events of a principal or credential, and its answer. Pure: who asks brings the client."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from .errors import ParseError
from .signing import wire_time
from .spellings import spelled

WINDOW_S: Final = 86_400
EXAMPLES: Final = 5
SECONDS: Final = 10
_KINDS: Final = {"principal": "principal", "credential": "credential"}


class Hit(msgspec.Struct, frozen=True):
    """How many distinct ones there are, and some of them."""

    count: int
    examples: list[str]


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What locking `subject` would hit, by what its events of `since` to `until` say (wire times, end not included)."""

    subject: str
    since: str
    until: str
    events: int
    """Events of it in that time, denied ones included."""
    last_seen: str | None
    principals: Hit
    credentials: Hit
    sessions: Hit
    jobs: Hit
    """attrs `job` of its events."""
    agents: Hit
    """Actors of kind agent or service that spoke with the same credentials."""
    addresses: Hit
    artifacts: Hit
    """Resources that it was let to: kind, id and part."""


GROUPS: Final = {
    "principals": "principal",
    "credentials": "credential",
    "sessions": "session",
    "jobs": "job",
    "agents": "agent",
    "addresses": "address",
    "artifacts": "artifact",
}
"""What a lock hits: the fields of a plan, and what one of them is called."""
_JOB: Final = "JSONExtractString(raw, 'attrs', 'job')"
_VALUES: Final = {
    "principals": ("principal", "principal != ''"),
    "credentials": ("credential", "credential != ''"),
    "sessions": ("session", "session != ''"),
    "jobs": (_JOB, f"{_JOB} != ''"),
    "agents": ("principal", "principal_kind != 'human'"),
    "addresses": ("ip", "ip != ''"),
    "artifacts": (
        "concat(resource_kind, ' ', resource_id, if(part = '', '', concat(' ', part)))",
        "outcome = 'allowed' AND action != 'artifact.list' AND resource_kind IN ('model', 'dataset', 'artifact')",
    ),
}


def query(subject: str, now: float) -> tuple[str, dict[str, Any]]:
    """SQL and its parameters; ParseError when `subject` is neither principal nor credential. `now` in seconds since 1970.

    A principal's own events in every spelling, and those of others with one of its credentials: a shared credential is part of what a lock would hit.
    """
    kind, _, name = subject.partition(":")
    if kind not in _KINDS or not name:
        raise ParseError(f"{subject!r} is neither principal:NAME nor credential:ID")
    columns = [f"uniqExactIf({value}, {only}), groupUniqArrayIf({EXAMPLES})({value}, {only})" for value, only in _VALUES.values()]
    in_time = "time >= fromUnixTimestamp64Micro({since:Int64}) AND time < fromUnixTimestamp64Micro({until:Int64})"
    named, given = spelled(name) if kind == "principal" else ("credential = {name:String}", {"name": name})
    shared = f"credential IN (SELECT DISTINCT credential FROM events WHERE {named} AND credential != '' AND {in_time} LIMIT 1000)"  # noqa: S608
    about = f"({named} OR {shared})" if kind == "principal" else named
    # A duplicate row (the table collapses them later) must not count twice: places do.
    sql = (
        f"SELECT uniqExact((shard, index, pos)), toString(max(time)), {', '.join(columns)} FROM events "  # noqa: S608
        f"WHERE {in_time} AND {about} SETTINGS max_execution_time = {SECONDS}, max_threads = 2"
    )
    return sql, {**given, "since": int((now - WINDOW_S) * 1e6), "until": int(now * 1e6)}


def plan_of(subject: str, now: float, row: Sequence[Any]) -> Plan:
    """The plan in the query's one row."""
    events, last, *rest = row
    hits: Mapping[str, Hit] = {
        name: Hit(int(rest[2 * at]), sorted(str(one)[:200] for one in rest[2 * at + 1])) for at, name in enumerate(GROUPS)
    }
    seen = f"{str(last)[:26].replace(' ', 'T')}Z" if events else None
    return Plan(subject=subject, since=wire_time(now - WINDOW_S), until=wire_time(now), events=int(events), last_seen=seen, **hits)

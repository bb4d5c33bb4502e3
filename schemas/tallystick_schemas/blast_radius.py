"""What a lock would hit: the last day's events of a principal or credential, found by columns and read from what agents signed. Pure: who asks brings
the store.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from .errors import ParseError
from .events import Event
from .evidence import Ask
from .messages import Place
from .names import same_principal
from .roles import Keyring
from .signing import wire_time
from .spellings import spelled
from .stored import read_signed
from .words import counted

WINDOW_S: Final = 86_400
EXAMPLES: Final = 5
SECONDS: Final = 10
MOST: Final = 5_000
"""Events that are read and proven, the newest: more than a person does in a day, and about a second's work."""
_AT_ONCE: Final = 200
"""Credentials in one question: parameters stand in the address."""
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
    broken: int = 0
    """Events that columns have of it and no agent signed: they count nowhere."""
    unread: bool = False
    """Only the newest MOST events were read: counts are the least that there is."""
    basis: str = ""
    """How it was looked for, and what may be missing, in a sentence."""


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
_BASIS: Final = "Found by searchable columns and read from what agents signed; what those columns hide is not here, and `tallystick audit verify` tells of it."


def _artifact(event: Event) -> str | None:
    one = event.resource
    if event.outcome != "allowed" or event.action == "artifact.list" or one.kind not in ("model", "dataset", "artifact"):
        return None
    return f"{one.kind} {one.id} {one.part}" if one.part else f"{one.kind} {one.id}"


_VALUES: Final[Mapping[str, Callable[[Event], str | None]]] = {
    "principals": lambda event: event.actor.principal,
    "credentials": lambda event: event.actor.credential,
    "sessions": lambda event: event.actor.session,
    "jobs": lambda event: (event.attrs or {}).get("job"),
    "agents": lambda event: event.actor.principal if event.actor.kind != "human" else None,
    "addresses": lambda event: event.source.ip if event.source is not None else None,
    "artifacts": _artifact,
}


def read_plan(ask: Ask, keyring: Keyring, subject: str, now: float) -> Plan:
    """What a lock would hit; ParseError when `subject` is neither principal nor credential. `now` in seconds since 1970.

    A principal's own events in every spelling, and those of others with one of its credentials: a shared credential is part of what a lock would hit.
    """
    kind, _, name = subject.partition(":")
    if kind not in _KINDS or not name:
        raise ParseError(f"{subject!r} is neither principal:NAME nor credential:ID")
    search = _Search(ask, keyring, now)
    if kind == "credential":
        search.take(*_credentials([name]), lambda event: event.actor.credential == name)
        return search.plan(subject)
    search.take(*spelled(name), lambda event: same_principal(event.actor.principal, name))
    shared = sorted({one.actor.credential for one in search.events() if one.actor.credential})
    for at in range(0, len(shared), _AT_ONCE):
        search.take(*_credentials(shared[at : at + _AT_ONCE]), lambda event: event.actor.credential in shared)
    return search.plan(subject)


def _credentials(names: list[str]) -> tuple[str, dict[str, Any]]:
    return "credential IN {names:Array(String)}", {"names": names}


def query(condition: str) -> str:
    """Places of the newest candidates in a time, one more than are read."""
    in_time = "time >= fromUnixTimestamp64Micro({since:Int64}) AND time < fromUnixTimestamp64Micro({until:Int64})"
    return (
        f"SELECT DISTINCT shard, index, pos FROM (SELECT shard, index, pos FROM events WHERE {in_time} AND {condition} "  # noqa: S608 - words of ours
        f"ORDER BY time DESC LIMIT 1 BY shard, index, pos LIMIT {MOST + 1}) SETTINGS max_execution_time = {SECONDS}, max_threads = 2"
    )


class _Search:
    """The proven events of one plan, by place."""

    def __init__(self, ask: Ask, keyring: Keyring, now: float) -> None:
        self._ask, self._keyring, self._now = ask, keyring, now
        self._since, self._until = wire_time(now - WINDOW_S), wire_time(now)
        self._held: dict[Place, Event] = {}
        self._broken: set[Place] = set()
        self._unread = False

    def events(self) -> Iterable[Event]:
        return self._held.values()

    def take(self, condition: str, given: Mapping[str, Any], wanted: Callable[[Event], bool]) -> None:
        """Candidates by a condition on columns; those count that are `wanted` by their bytes, and of the time."""
        times = {"since": int((self._now - WINDOW_S) * 1e6), "until": int(self._now * 1e6)}
        rows = self._ask(query(condition), {**given, **times})
        self._unread = self._unread or len(rows) > MOST
        places = [(int(shard), int(index), int(pos)) for shard, index, pos in rows[:MOST]]
        read = read_signed(self._ask, self._keyring, [place for place in places if place not in self._held])
        self._broken |= read.broken.keys()
        self._held |= {one.place: one.event for one in read.held if self._since <= one.event.time < self._until and wanted(one.event)}

    def plan(self, subject: str) -> Plan:
        hits = {name: _hit(value(event) for event in self.events()) for name, value in _VALUES.items()}
        seen = max((event.time for event in self.events()), default=None)
        broken = len(self._broken)
        return Plan(
            subject, self._since, self._until, len(self._held), seen, **hits, broken=broken, unread=self._unread, basis=self._basis()
        )

    def _basis(self) -> str:
        said = [_BASIS]
        if self._broken:
            said.append(f"Left out: {counted(len(self._broken), 'event')} that the store has of it and no agent signed.")
        if self._unread:
            said.append(f"Only the newest {MOST:,} events were read; counts are the least that there is.")
        return " ".join(said)


def _hit(values: Iterable[str | None]) -> Hit:
    found = sorted({value for value in values if value})
    return Hit(len(found), [one[:200] for one in found[:EXAMPLES]])

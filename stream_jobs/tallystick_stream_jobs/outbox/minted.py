"""Credentials that a locked principal got in the meantime: between the first evidence and the lock. The store finds candidates, over the history's own
interface; what agents signed says what they are."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from tallystick_schemas.candidates import read_tips
from tallystick_schemas.events import Event
from tallystick_schemas.messages import Decision, Place
from tallystick_schemas.names import canonical
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.stored import Stored, read_signed
from tallystick_schemas.stored_bytes import ACTION, newest

from ..connectors.errors import Retry
from ..connectors.http import Http
from .core import seconds_of

log: Final = logging.getLogger(__name__)
_BACK_S: Final = 3_600.0
"""How far to look back where the decision names no evidence before the lock."""
_ROOM: Final = 40_000
"""Bytes of parameters in one question: they stand in the address, and servers take 64 KiB."""
_PLACE: Final = 100
_MOST: Final = 200
_ROWS: Final = 5_000
"""Candidates of one look."""
_QUERY_S: Final = 20.0
_ANSWER_BYTES: Final = 64 << 20
"""The leaves of 500 segments, each as full as a record can be."""
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})
"""ClickHouse reads parameters as tab-separated text with escapes; within arrays and tuples it is in quotes as well."""
NEWEST: Final = 100_000
"""So many of the newest entries are searched by their bytes: half a second of a store. What is older is searched by columns."""
_FEW: Final = 3
"""Events of each credential that are read, the earliest: one that nobody signed must not hide the next."""
_CANDIDATES: Final = """
SELECT shard, index, pos FROM events WHERE {place} AND {who} AND {which}
ORDER BY {when} LIMIT {few} BY {by} LIMIT {most}
"""
_CAME: Final = "{when} >= {{since:{kind}}} AND {when} <= {{until:{kind}}} AND ({credential} != '' OR {issued} != '')"
_BEFORE: Final = (
    "{when} < {{since:{kind}}} AND ({credential} IN {{credentials:Array(String)}} OR {issued} IN {{credentials:Array(String)}})"
)
_PRINCIPAL: Final = "JSONExtractString(raw, 'actor', 'principal')"
_BY_BYTES: Final = {
    "when": "JSONExtractString(raw, 'time')",
    "kind": "String",
    "credential": "JSONExtractString(raw, 'actor', 'credential')",
    "issued": f"if({ACTION} = 'credential.issue', JSONExtractString(raw, 'resource', 'id'), '')",
    "by": f"{_PRINCIPAL}, JSONExtractString(raw, 'actor', 'credential'), if({ACTION} = 'credential.issue', JSONExtractString(raw, 'resource', 'id'), '')",
}
_BY_COLUMNS: Final = {
    "when": "time",
    "kind": "DateTime64(6, 'UTC')",
    "credential": "credential",
    "issued": "if(action = 'credential.issue', toString(resource_id), '')",
    "by": "principal, credential, if(action = 'credential.issue', resource_id, '')",
}
"""A credential counts from the first time that anything speaks of it: its issue, a logon with it, or any use. All principals in one pass: it reads
columns of the whole history."""
_LIKE: Final = "lowerUTF8({form}) IN (SELECT arrayJoin(arrayMap(x -> lowerUTF8(x), {{names:Array(String)}})))"
SPELLINGS: Final = "SELECT DISTINCT principal FROM events WHERE {like}"
"""Who may be one of the principals under another spelling; which it is, Python says. Normal forms cost ten times as much."""


class Minted(NamedTuple):
    credential: str
    first: str
    place: Place


class History:
    """The store, asked over HTTP with parameters, read-only."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._http: Http | None = None

    def rows(self, query: str, **parameters: object) -> list[list[Any]]:
        """Rows of a SELECT. Retry or Refused when the store does not answer, or says no."""
        if self._http is None:
            self._http = Http(allow_private=True, timeout_s=_QUERY_S, max_bytes=_ANSWER_BYTES, cafile=self._settings.ca_cert or None)
        one = self._settings
        names = {
            "database": one.database,
            "default_format": "JSONCompactEachRow",
            "output_format_json_quote_64bit_integers": "0",
            "max_execution_time": "15",
        }
        given = {f"param_{name}": _parameter(value) for name, value in parameters.items()}
        url = f"{'https' if one.secure else 'http'}://{one.host}:{one.port}/?{urlencode({**names, **given})}"
        headers = {"x-clickhouse-user": one.username, "x-clickhouse-key": one.password}
        answer = self._http.send("POST", url, headers=headers, content=query.encode()).check()
        try:
            return [msgspec.json.decode(line, type=list[object]) for line in answer.body.splitlines() if line]
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise Retry("the store answered with something that are no rows") from error


def principal_of(decision: Decision) -> str | None:
    """Whom it is about, where that is known."""
    kind, _, name = decision.subject.partition(":")
    whose = name if kind == "principal" else decision.principal
    return None if whose is None else canonical(whose)


def together(decisions: Sequence[Decision]) -> int:
    """How many of them, from the first on, go into one question; at least one, so that a monstrous name holds up nobody else."""
    room = _ROOM
    for count, one in enumerate(decisions):
        room -= 2 * len(quote(principal_of(one) or "")) + _PLACE * (len(one.evidence) + 1)
        if room < 0:
            return max(count, 1)
    return len(decisions)


def minted_meanwhile(history: History, keyring: Keyring, decisions: Sequence[Decision]) -> list[list[Minted]]:
    """For each, other credentials of its principal that came up from the first evidence on until the lock; at most 200, the oldest first.

    A principal must not be in two of them, and there must not be more than `together` says.
    """
    about = {name: one for one in decisions if one.lock is not None and (name := principal_of(one))}
    found = _Look(history, keyring, about).found() if about else {}
    return [[new for new in found.get(principal_of(one) or "", []) if f"credential:{new.credential}" != one.subject] for one in decisions]


class _Look:
    """One look, for some decisions by their principals' canonical names."""

    def __init__(self, history: History, keyring: Keyring, about: Mapping[str, Decision]) -> None:
        self._history, self._keyring, self._about = history, keyring, about

    def found(self) -> dict[str, list[Minted]]:
        since, until = self._since(), {name: one.lock.at for name, one in self._about.items() if one.lock is not None}
        came: dict[str, list[Minted]] = {}
        for (who, name), one in sorted(self._firsts(since, until).items(), key=lambda item: item[1].event.time):
            if since[who] <= one.event.time <= until[who]:
                came.setdefault(who, []).append(Minted(name, _plain(one.event.time), one.place))
        return {who: minted[:_MOST] for who, minted in came.items()}

    def _firsts(self, since: Mapping[str, str], until: Mapping[str, str]) -> dict[tuple[str, str], Stored]:
        """(principal, credential) -> the earliest signed event of his own that speaks of it, for those of which one speaks in the time."""
        begin, end = min(since.values()), max(until.values())
        firsts: dict[tuple[str, str], Stored] = {}
        self._fold(firsts, self._places(_CAME, begin, until=end))
        for some in _pieces(sorted({name for _, name in firsts})):
            self._fold(firsts, self._places(_BEFORE, begin, credentials=some))
        return firsts

    def _fold(self, firsts: dict[tuple[str, str], Stored], places: Sequence[Place]) -> None:
        for one in self._read(places):
            who = canonical(one.event.actor.principal)
            for name in _names(one.event):
                known = firsts.get((who, name))
                if who in self._about and (known is None or one.event.time < known.event.time):
                    firsts[who, name] = one

    def _since(self) -> dict[str, str]:
        """From his own first evidence on: the evidence of a person's order is the order. An hour where there is none."""
        places = [place for one in self._about.values() for place in one.evidence]
        found = {one.place: one.event for one in self._read(places)}
        return {name: self._began(name, one, found) for name, one in self._about.items()}

    def _began(self, name: str, decision: Decision, found: Mapping[Place, Event]) -> str:
        events = (found.get((place[0], place[1], place[2])) for place in decision.evidence)
        own = [event.time for event in events if event is not None and canonical(event.actor.principal) == name]
        at = decision.lock.at if decision.lock is not None else decision.at
        return min(own, default=wire_time(seconds_of(at) - _BACK_S))

    def _places(self, which: str, since: str, until: str = "", credentials: Sequence[str] = ()) -> list[Place]:
        """Candidates: by bytes in the newest entries, by columns in all."""
        tips = read_tips(self._ask)
        shards = range(max(tips, default=-1) + 1)
        from_bytes = newest(tips, {}, shards, NEWEST)
        marks = [from_bytes[shard] for shard in shards]
        plain = all(name.isascii() for name in self._about)
        who = _LIKE.format(form=_PRINCIPAL if plain else f"normalizeUTF8NFC({_PRINCIPAL})")
        given: dict[str, object] = {"credentials": list(credentials)} if credentials else {}
        by_bytes = _sql(which, _BY_BYTES, "index > arrayElement({marks:Array(Int64)}, shard + 1)", who)
        times = {"since": since} | ({"until": until} if until else {})
        rows = self._history.rows(by_bytes, names=list(self._about), marks=marks, **times, **given)
        older = _sql(which, _BY_COLUMNS, "1", "principal IN {names:Array(String)}")
        times = {name: _plain(time) for name, time in times.items()}
        rows += self._history.rows(older, names=self._spelled, **times, **given)
        return sorted({_place(row) for row in rows})

    @cached_property
    def _spelled(self) -> list[str]:
        return _spellings(self._history, list(self._about))

    def _read(self, places: Sequence[Place]) -> list[Stored]:
        read = read_signed(self._ask, self._keyring, [(place[0], place[1], place[2]) for place in places])
        for place, reason in read.broken.items():
            log.warning("the event at %d:%d:%d says nothing of anybody's credentials: %s", *place, reason)
        return read.held

    def _ask(self, query: str, parameters: Mapping[str, object]) -> list[list[Any]]:
        return self._history.rows(query, **parameters)


def _sql(which: str, members: Mapping[str, str], place: str, who: str) -> str:
    return _CANDIDATES.format(
        place=place, who=who, which=which.format(**members), few=_FEW, most=_ROWS, when=members["when"], by=members["by"]
    )


def _pieces(names: Sequence[str]) -> Iterator[list[str]]:
    """As many at once as have room in an address, at least one."""
    some: list[str] = []
    room = _ROOM // 2
    for name in names:
        room -= len(quote(name)) + 9
        if some and room < 0:
            yield some
            some, room = [], _ROOM // 2 - len(quote(name)) - 9
        some.append(name)
    if some:
        yield some


def _names(event: Event) -> set[str]:
    """Credentials that an event speaks of."""
    issued = event.action == "credential.issue" and event.resource.kind == "credential" and event.outcome == "allowed"
    return {name for name in (event.actor.credential, event.resource.id if issued else None) if name}


def _spellings(history: History, names: list[str]) -> list[str]:
    """The canonical names, and what else columns have for them."""
    form = "principal" if all(name.isascii() for name in names) else "normalizeUTF8NFC(principal)"
    others = sorted({str(one) for (one,) in history.rows(SPELLINGS.format(like=_LIKE.format(form=form)), names=names)} - set(names))
    return names + [one for one in others if canonical(one) in names][:_MOST]


def _parameter(value: object) -> str:
    return _nested(value) if isinstance(value, list) else str(value).translate(_ESCAPED)


def _nested(value: object) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_nested, value))}]"
    if isinstance(value, tuple):
        return f"({','.join(map(_nested, value))})"
    return "'" + value.translate(_ESCAPED).replace("'", "\\'") + "'" if isinstance(value, str) else str(value)


def _plain(wire: str) -> str:
    """As ClickHouse prints times: they compare as text."""
    return wire.replace("T", " ").removesuffix("Z")


def _place(value: object) -> Place:
    shard, index, pos = msgspec.convert(value, tuple[int, int, int])
    return shard, index, pos

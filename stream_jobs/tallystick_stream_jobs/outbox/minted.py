"""Credentials that a locked principal got in the meantime: between the first evidence and the lock. SQL over the history's own interface."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from tallystick_schemas.messages import Decision, Place
from tallystick_schemas.names import canonical
from tallystick_schemas.settings import ClickHouseSettings
from tallystick_schemas.signing import wire_time

from ..connectors.errors import Retry
from ..connectors.http import Http
from .core import seconds_of

_BACK_S: Final = 3_600.0
"""How far to look back where the decision names no evidence before the lock."""
_ROOM: Final = 40_000
"""Bytes of parameters in one question: they stand in the address, and servers take 64 KiB."""
_PLACE: Final = 100
_MOST: Final = 200
_QUERY_S: Final = 20.0
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})
"""ClickHouse reads parameters as tab-separated text with escapes; within arrays and tuples it is in quotes as well."""
_WHO: Final = (
    "if(has({names:Array(String)}, principal), principal, "
    "{names:Array(String)}[{forms:Array(UInt32)}[indexOf({others:Array(String)}, principal)]]) AS who"
)
"""The canonical name of a row's principal: its own, or that of which it is another spelling."""
FIRST_EVIDENCE: Final = f"""
SELECT {_WHO}, toString(min(time)) FROM events
WHERE (shard, index, pos) IN {{places:Array(Tuple(UInt32, UInt64, UInt16))}}
AND (toUInt32(indexOf({{names:Array(String)}}, who)), shard, index, pos) IN {{own:Array(Tuple(UInt32, UInt32, UInt64, UInt16))}}
GROUP BY who
"""  # noqa: S608 - values are parameters
"""Of the principal's own doing: the evidence of a person's order is the order."""
MINTED: Final = f"""
SELECT who, name, toString(min(time)) AS first, argMin((shard, index, pos), time) AS place
FROM
(
    SELECT {_WHO}, time, shard, index, pos, arrayJoin(arrayFilter(name -> name != '', [
        credential, if(action = 'credential.issue' AND resource_kind = 'credential' AND outcome = 'allowed', toString(resource_id), '')
    ])) AS name
    FROM events WHERE principal IN {{names:Array(String)}} OR principal IN {{others:Array(String)}}
)
GROUP BY who, name
HAVING min(time) >= parseDateTime64BestEffort({{since:Array(String)}}[indexOf({{names:Array(String)}}, who)], 6)
AND min(time) <= parseDateTime64BestEffort({{until:Array(String)}}[indexOf({{names:Array(String)}}, who)], 6)
ORDER BY first
LIMIT {{most:UInt32}} BY who
"""  # noqa: S608 - values are parameters
"""A credential counts from the first time that anything speaks of it: its issue, a logon with it, or any use. All principals in one pass: it reads
a column of the whole history."""
SPELLINGS: Final = """
SELECT DISTINCT principal FROM events WHERE lowerUTF8({form}) IN (SELECT arrayJoin(arrayMap(x -> lowerUTF8(x), {{names:Array(String)}})))
"""
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

    def rows(self, query: str, **parameters: object) -> list[list[object]]:
        """Rows of a SELECT. Retry or Refused when the store does not answer, or says no."""
        if self._http is None:
            self._http = Http(allow_private=True, timeout_s=_QUERY_S, max_bytes=4 << 20, cafile=self._settings.ca_cert or None)
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


def minted_meanwhile(history: History, decisions: Sequence[Decision]) -> list[list[Minted]]:
    """For each, other credentials of its principal that came up from the first evidence on until the lock; at most 200, the oldest first.

    A principal must not be in two of them, and there must not be more than `together` says.
    """
    about = {name: one for one in decisions if one.lock is not None and (name := principal_of(one))}
    found: dict[str, list[Minted]] = {}
    if about:
        spelled = _spellings(history, list(about))
        firsts = _first_evidence(history, spelled, about)
        since = [firsts.get(name) or _plain(wire_time(seconds_of(one.lock.at) - _BACK_S)) for name, one in about.items() if one.lock]
        until = [_plain(one.lock.at) for one in about.values() if one.lock]
        rows = history.rows(MINTED, **spelled, since=since, until=until, most=_MOST)
        for principal, credential, first, place in rows:
            found.setdefault(str(principal), []).append(Minted(str(credential), str(first), _place(place)))
    return [[new for new in found.get(principal_of(one) or "", []) if f"credential:{new.credential}" != one.subject] for one in decisions]


def _spellings(history: History, names: list[str]) -> dict[str, list[str] | list[int]]:
    """Parameters: `names`, the canonical ones; `others`, what events have for them besides; `forms`, the number in `names`, from 1, of each of those."""
    form = "principal" if all(name.isascii() for name in names) else "normalizeUTF8NFC(principal)"
    others = sorted({str(one) for (one,) in history.rows(SPELLINGS.format(form=form), names=names)} - set(names))
    mine = [one for one in others if canonical(one) in names][:_MOST]
    return {"names": names, "others": mine, "forms": [names.index(canonical(one)) + 1 for one in mine]}


def _first_evidence(history: History, spelled: Mapping[str, list[str] | list[int]], about: Mapping[str, Decision]) -> dict[str, str]:
    own = [(number, *place) for number, one in enumerate(about.values(), start=1) for place in one.evidence]
    places = [tuple(place) for one in about.values() for place in one.evidence]
    rows = history.rows(FIRST_EVIDENCE, **spelled, places=places, own=own) if own else []
    return {str(principal): str(first) for principal, first in rows}


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

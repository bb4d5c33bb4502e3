"""Credentials that a locked principal got in the meantime: between the first evidence and the lock. SQL over the history's own interface."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from tallystick_schemas.messages import Decision, Place
from tallystick_schemas.settings import ClickHouseSettings
from tallystick_schemas.signing import wire_time

from ..connectors.errors import Retry
from ..connectors.http import Http
from .core import seconds_of

_BACK_S: Final = 3_600.0
"""How far to look back where the decision names no evidence before the lock."""
_MOST: Final = 200
_QUERY_S: Final = 20.0
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"})
"""ClickHouse reads parameters as tab-separated text with escapes."""
FIRST_EVIDENCE: Final = """
SELECT toString(min(time)) FROM events
WHERE (shard, index, pos) IN {places:Array(Tuple(UInt32, UInt64, UInt16))} AND principal = {principal:String}
"""
"""Of the principal's own doing: the evidence of a person's order is the order."""
MINTED: Final = """
SELECT credential, toString(min(time)) AS first, argMin((shard, index, pos), time) AS place
FROM
(
    SELECT credential, time, shard, index, pos FROM events WHERE principal = {principal:String} AND credential != ''
    UNION ALL
    SELECT resource_id AS credential, time, shard, index, pos FROM events
    WHERE principal = {principal:String} AND action = 'credential.issue' AND resource_kind = 'credential' AND outcome = 'allowed'
)
GROUP BY credential
HAVING min(time) >= parseDateTime64BestEffort({since:String}, 6) AND min(time) <= parseDateTime64BestEffort({until:String}, 6)
ORDER BY first
LIMIT {most:UInt32}
"""
"""A credential counts from the first time that anything speaks of it: its issue, a logon with it, or any use."""


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
            self._http = Http(allow_private=True, timeout_s=_QUERY_S, max_bytes=4 << 20)
        one = self._settings
        names = {
            "database": one.database,
            "default_format": "JSONCompactEachRow",
            "output_format_json_quote_64bit_integers": "0",
            "max_execution_time": "15",
        }
        given = {f"param_{name}": str(value).translate(_ESCAPED) for name, value in parameters.items()}
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
    return name if kind == "principal" else decision.principal


def minted_meanwhile(history: History, decision: Decision) -> list[Minted]:
    """Other credentials of the principal that came up from the first evidence on until the lock; at most 200, the oldest first."""
    lock, principal = decision.lock, principal_of(decision)
    if lock is None or not principal:
        return []
    since = _since(history, principal, decision.evidence, lock.at)
    rows = history.rows(MINTED, principal=principal, since=since, until=_plain(lock.at), most=_MOST)
    found = [Minted(str(name), str(first), _place(place)) for name, first, place in rows]
    return [one for one in found if f"credential:{one.credential}" != lock.subject]


def _since(history: History, principal: str, evidence: Sequence[Place], locked_at: str) -> str:
    if evidence:
        first = str(history.rows(FIRST_EVIDENCE, principal=principal, places=_array(evidence))[0][0])
        # The least of nothing is the beginning of time.
        if not first.startswith("1970"):
            return first
    return _plain(wire_time(seconds_of(locked_at) - _BACK_S))


def _array(places: Iterable[Place]) -> str:
    return "[" + ",".join(f"({shard},{index},{pos})" for shard, index, pos in places) + "]"


def _plain(wire: str) -> str:
    """As ClickHouse prints times: they compare as text."""
    return wire.replace("T", " ").removesuffix("Z")


def _place(value: object) -> Place:
    shard, index, pos = msgspec.convert(value, tuple[int, int, int])
    return shard, index, pos

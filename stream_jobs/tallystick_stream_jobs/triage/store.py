"""What the store says about findings: reads of the views of migration 0004. A client a call: these are asked seldom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tallystick_schemas.errors import ParseError
from tallystick_schemas.evidence import Cited, read_cited
from tallystick_schemas.messages import Finding, Place, parse_finding
from tallystick_schemas.settings import ClickHouseSettings

from .quality import Verdict

_NEWEST: Final = 100_000
_AT_ONCE: Final = 500
"""Of what is asked for by name: servers take no longer parameters than 128 KiB."""


@dataclass(frozen=True)
class Quality:
    """One detector and version. `precision`, `low`, `high` (95 %) are None without a verdict."""

    detector: str
    version: int
    findings: int
    suppressed: int
    verdicts: int
    right: int
    wrong: int
    undecided: int
    precision: float | None
    low: float | None
    high: float | None
    user_days: int
    false_alarms_a_user_day: float | None
    median_seconds_to_verdict: float | None


@dataclass(frozen=True)
class Closed:
    """The newest disposition of a finding."""

    disposition: str
    by: str
    reason: str
    at: datetime


def read_quality(settings: ClickHouseSettings, agents: Sequence[str], days: int) -> list[Quality]:
    """Every detector and version that found something in the last `days`; `agents`: whose word counts."""
    query = "SELECT * FROM detector_quality(closed_by = {agents:Array(String)}, days = {days:UInt32})"
    return [Quality(*row) for row in _rows(settings, query, {"agents": list(agents), "days": days})]


def read_verdicts(settings: ClickHouseSettings, agents: Sequence[str]) -> list[Verdict]:
    """The newest word about each finding that is no drill's."""
    query = (
        "SELECT f.finding, f.detector, f.version, d.disposition, d.closed FROM findings AS f "
        "INNER JOIN dispositions(closed_by = {agents:Array(String)}) AS d ON d.finding = f.finding "
        "WHERE f.drill = '' ORDER BY d.closed DESC LIMIT {most:UInt32}"
    )
    rows = _rows(settings, query, {"agents": list(agents), "most": _NEWEST})
    return [Verdict(finding, detector, version, said, _utc(closed).timestamp()) for finding, detector, version, said, closed in rows]


def holds(settings: ClickHouseSettings, places: Sequence[Place]) -> bool:
    """Whether the store has all of these events by now."""
    query = "SELECT uniqExact(shard, index, pos) FROM events WHERE (shard, index, pos) IN {places:Array(Tuple(UInt32, UInt64, UInt16))}"
    asked = sorted(set(places))
    return sum(int(row[0]) for row in _rows_of(settings, query, {}, "places", asked)) == len(asked)


def read_stored(settings: ClickHouseSettings, findings: Sequence[str]) -> set[str]:
    """Which of these findings are recorded."""
    rows = _rows_of(settings, "SELECT finding FROM findings WHERE finding IN {findings:Array(String)}", {}, "findings", findings)
    return {finding for (finding,) in rows}


def read_stored_finding(settings: ClickHouseSettings, finding: str) -> Finding | None:
    """A finding as it was recorded last, or None."""
    for (raw,) in _rows(settings, "SELECT json FROM findings WHERE finding = {f:String}", {"f": finding}):
        try:
            return parse_finding(raw.encode())
        except ParseError:
            return None  # it was too big for its event and was recorded without its values
    return None


def read_ids(settings: ClickHouseSettings, beginning: str) -> list[str]:
    """Ids of recorded findings that begin so: three at the most, enough to see that they are several."""
    query = "SELECT DISTINCT finding FROM findings WHERE startsWith(finding, {f:String}) ORDER BY finding LIMIT 3"
    return [finding for (finding,) in _rows(settings, query, {"f": beginning})]


def read_closed(settings: ClickHouseSettings, agents: Sequence[str], findings: Sequence[str]) -> dict[str, Closed]:
    """What people said last about those of `findings` that they closed."""
    query = (
        "SELECT finding, disposition, who, reason, closed FROM dispositions(closed_by = {agents:Array(String)}) "
        "WHERE finding IN {findings:Array(String)}"
    )
    rows = _rows_of(settings, query, {"agents": list(agents)}, "findings", findings)
    return {finding: Closed(said, by, reason, _utc(at)) for finding, said, by, reason, at in rows}


def read_decisions(settings: ClickHouseSettings, finding: str) -> list[dict[str, Any]]:
    """The events `incident.decide` about a finding, oldest first: place, time, who, what in words, attributes."""
    query = (
        "SELECT shard, index, pos, time, principal, JSONExtractString(raw, 'why', 'text'), JSONExtract(raw, 'attrs', 'Map(String, String)') "
        "FROM events WHERE action = 'incident.decide' AND (resource_id = {f:String} OR has(splitByString(', ', "
        "JSONExtractString(raw, 'attrs', 'findings')), {f:String})) ORDER BY time LIMIT 1 BY shard, index, pos LIMIT 50"
    )
    names = ("shard", "index", "pos", "time", "by", "text", "attrs")
    return [{**dict(zip(names, row, strict=True)), "time": _utc(row[3]).isoformat()} for row in _rows(settings, query, {"f": finding})]


def read_evidence(settings: ClickHouseSettings, places: Sequence[Place]) -> dict[Place, Cited]:
    """Place -> bytes and standing, hashed here."""
    return read_cited(lambda query, parameters: _rows(settings, query, parameters), places)


def _rows(settings: ClickHouseSettings, query: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
    return _ask(settings, query, [parameters])


def _rows_of(
    settings: ClickHouseSettings, query: str, parameters: dict[str, Any], name: str, values: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    """Rows for all the values, asked in pieces as the parameter `name`."""
    pieces = [values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE)]
    return _ask(settings, query, [{**parameters, name: list(piece)} for piece in pieces])


def _ask(settings: ClickHouseSettings, query: str, each: Sequence[dict[str, Any]]) -> Sequence[Sequence[Any]]:
    import clickhouse_connect  # late: the detectors' process needs it only once people have closed something

    client = clickhouse_connect.get_client(**settings.client_kwargs())
    try:
        return [row for parameters in each for row in client.query(query, parameters=parameters).result_rows]
    finally:
        client.close()


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)

"""What the history says about findings: signed events, proven here. Only statistics (`read_quality`) are read from the views of migration 0004. A client
a call: these are asked seldom."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tallystick_schemas.candidates import Question, find, read_tips
from tallystick_schemas.errors import ParseError
from tallystick_schemas.evidence import Ask, Cited, read_cited
from tallystick_schemas.finding_events import Said, read_dispositions, read_recorded
from tallystick_schemas.messages import Finding, Place, parse_finding
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings
from tallystick_schemas.stored import Stored, read_signed
from tallystick_schemas.times import seconds_of

from .quality import Verdict

_NEWEST: Final = 100_000
_AT_ONCE: Final = 500
"""Of what is asked for by name: servers take no longer parameters than 128 KiB."""


_DECIDED: Final = Question(
    ("incident.decide",),
    "(JSONExtractString(raw, 'resource', 'id') = {f:String} OR has(splitByString(', ', JSONExtractString(raw, 'attrs', 'findings')), {f:String}))",
    "ORDER BY JSONExtractString(raw, 'time') LIMIT 1 BY shard, `index`, pos LIMIT 50",
)


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


def read_verdicts(settings: ClickHouseSettings, keyring: Keyring) -> list[Verdict]:
    """The newest word of those who may speak for people about each finding that is no drill's. A detector loses its leave to act by them."""
    with _asking(settings) as ask:
        said = read_dispositions(ask, keyring, keyring.named("commander"), {}).newest
        found = read_recorded(ask, keyring, said.__contains__)
    newest = sorted((one for one in said.values() if one.finding in found), key=lambda one: one.order, reverse=True)[:_NEWEST]
    return [verdict for one in newest if (verdict := _verdict(one, found[one.finding].attrs)) is not None]


def _verdict(said: Said, attrs: Mapping[str, str]) -> Verdict | None:
    version = attrs.get("version", "")
    if attrs.get("drill"):
        return None
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    return Verdict(said.finding, attrs.get("detector", ""), number, said.disposition, seconds_of(said.order.time))


def holds(settings: ClickHouseSettings, places: Sequence[Place]) -> bool:
    """Whether the store has all of these events by now."""
    query = "SELECT uniqExact(shard, index, pos) FROM events WHERE (shard, index, pos) IN {places:Array(Tuple(UInt32, UInt64, UInt16))}"
    asked = sorted(set(places))
    return sum(int(row[0]) for row in _rows_of(settings, query, {}, "places", asked)) == len(asked)


def read_stored(settings: ClickHouseSettings, keyring: Keyring, findings: Collection[str]) -> set[str]:
    """Which of these findings are recorded."""
    wanted = frozenset(findings)
    if not wanted:
        return set()
    with _asking(settings) as ask:
        return set(read_recorded(ask, keyring, wanted.__contains__))


def read_stored_finding(settings: ClickHouseSettings, keyring: Keyring, finding: str) -> Finding | None:
    """A finding as it was recorded last, or None."""
    with _asking(settings) as ask:
        recorded = read_recorded(ask, keyring, finding.__eq__).get(finding)
    try:
        return None if recorded is None else parse_finding(recorded.attrs.get("finding", "").encode())
    except ParseError:
        return None  # it was too big for its event and was recorded without its values


def read_ids(settings: ClickHouseSettings, keyring: Keyring, beginning: str) -> list[str]:
    """Ids of recorded findings that begin so: three at the most, enough to see that they are several."""
    with _asking(settings) as ask:
        return sorted(read_recorded(ask, keyring, lambda one: one.startswith(beginning)))[:3]


def read_closed(settings: ClickHouseSettings, keyring: Keyring, agents: Sequence[str], findings: Collection[str]) -> dict[str, Closed]:
    """What people said last about those of `findings` that they closed."""
    with _asking(settings) as ask:
        said = read_dispositions(ask, keyring, agents, {}).newest
    wanted = set(findings) & said.keys()
    return {
        name: Closed(one.disposition, one.who, one.reason, datetime.fromisoformat(one.order.time)) for name in wanted if (one := said[name])
    }


def read_decisions(settings: ClickHouseSettings, keyring: Keyring, finding: str) -> list[dict[str, Any]]:
    """Signed events `incident.decide` of a responder about a finding, oldest first: place, time, who, what in words, attributes."""
    with _asking(settings) as ask:
        found = find(ask, _DECIDED, read_tips(ask), {}, {"agents": keyring.named("responder"), "f": finding})
        held = [
            one for one in read_signed(ask, keyring, found.places).held if "responder" in one.holder.roles and _DECIDED.asks_for(one.event)
        ]
    return [_decision(one) for one in sorted(held, key=lambda one: (one.event.time, one.place))]


def _decision(one: Stored) -> dict[str, Any]:
    shard, index, pos = one.place
    event = one.event
    text = event.why.text if event.why is not None else None
    said = {"time": event.time, "by": event.actor.principal, "text": text or "", "attrs": event.attrs or {}}
    return {"shard": shard, "index": index, "pos": pos, **said}


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
    with _asking(settings) as ask:
        return [row for parameters in each for row in ask(query, parameters)]


@contextmanager
def _asking(settings: ClickHouseSettings) -> Iterator[Ask]:
    import clickhouse_connect  # late: the detectors' process needs it only once people have closed something

    client = clickhouse_connect.get_client(**settings.client_kwargs())
    try:
        yield lambda query, parameters: client.query(query, parameters=parameters).result_rows
    finally:
        client.close()

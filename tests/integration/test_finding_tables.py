"""The store's views of findings and dispositions, on a real ClickHouse: what counts, whose word counts, and that both sides compute the same."""

import time

import msgspec
import pytest
from tests.support.clickhouse import start_clickhouse
from tests.support.history_tables import insert_rows
from tests.support.policies import finding

from tallystick_dashboard.store import ClickHouseSources
from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Why, encode_event, event_leaf, parse_event
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.triage.quality import wilson
from tallystick_stream_jobs.triage.record import finding_event
from tallystick_stream_jobs.triage.store import (
    holds,
    read_closed,
    read_decisions,
    read_evidence,
    read_ids,
    read_quality,
    read_stored,
    read_stored_finding,
    read_verdicts,
)

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]
NOW = time.time() - 3600
PEOPLE = ("console", "cli")


class Made:
    """Rows of a history; each event in an entry of its own, signed by an agent."""

    def __init__(self) -> None:
        self.entries, self.events = [], []

    def put(self, agent: str, action: str, actor: Actor, resource: Resource, text: str, attrs: dict[str, str], at: float) -> None:
        raw = encode_event(
            Event(1, to_base64url(bytes(16)), wire_time(NOW + at), action, actor, resource, "allowed", Why(text=text), attrs=attrs)
        )
        header = msgspec.json.encode({"agent": agent})
        index = len(self.events)
        self.entries.append((0, index, bytes(27) + len(header).to_bytes(4, "big") + header, bytes(32), bytes(32)))
        self.events.append((0, index, 0, raw, event_leaf(raw)))

    def found(self, name: str, *, agent: str = "detectors", at: float = 0.0, **fields: object) -> None:
        event = finding_event(finding(id=name, **fields))  # type: ignore[arg-type]
        self.put(agent, event["action"], event["actor"], event["resource"], event["why"].text, event["attrs"], at)

    def closed(self, name: str, disposition: str, *, agent: str = "cli", at: float = 60.0) -> None:
        self.put(
            agent, "incident.close", Actor("ann", "human"), Resource("finding", name), "looked at it", {"disposition": disposition}, at
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    server = start_clickhouse(tmp_path_factory.mktemp("clickhouse"))
    made = Made()
    for n in range(10):
        made.found(f"F{n}", at=n)
    made.found("F0", at=30, count=2, severity="high")
    for n in range(6):
        made.closed(f"F{n}", "true-positive-malicious" if n < 4 else "false-positive", at=100 + n)
    made.closed("F5", "remediated", at=50)
    made.closed("F6", "testing-or-maintenance", at=106)
    made.closed("F7", "false-positive", agent="stranger", at=107)
    made.found("F-forged", agent="stranger")
    made.closed("F-forged", "false-positive")
    made.found("F-drill", drill="run-1")
    made.closed("F-drill", "false-positive")
    made.found("G0", detector="D03", version=2, suppressed="exempt")
    made.put(
        "gateway", "incident.decide", Actor("responder", "service"), Resource("principal", "dave"), "suspend: x", {"findings": "F1, F2"}, 9
    )
    for day in range(4):
        made.put("gateway", "artifact.read", Actor("dave", "human"), Resource("model", "m"), "", {}, -86_400.0 * day)
    client = server.client()
    for table, rows in (("ledger_entries", made.entries), ("events", made.events)):
        insert_rows(client, table, rows)
        insert_rows(client, table, rows)  # twice, as after a crash: nothing may count twice
    yield server
    server.stop()


def test_quality(store) -> None:
    d01, d03 = read_quality(store.settings(role="cli"), PEOPLE, 90)
    assert (d01.detector, d01.version, d01.findings, d01.verdicts) == ("D01", 1, 10, 6)
    assert (d01.right, d01.wrong, d01.undecided, d01.suppressed) == (4, 2, 1, 0)
    assert d01.precision == pytest.approx(4 / 6)
    assert (d01.low, d01.high) == pytest.approx(wilson(4, 6))
    assert d01.user_days >= 4
    assert d01.false_alarms_a_user_day == pytest.approx(2 / d01.user_days)
    assert d01.median_seconds_to_verdict == pytest.approx(100.0)
    assert (d03.detector, d03.version, d03.findings, d03.suppressed, d03.verdicts, d03.precision, d03.low) == (
        "D03",
        2,
        1,
        1,
        0,
        None,
        None,
    )
    assert d03.median_seconds_to_verdict is None


def test_the_console_reads_what_was_said_last_and_by_whom(store) -> None:
    closings = ClickHouseSources(store.settings(role="console"), LogSettings(deployment="example", command_agents=PEOPLE)).closings()
    assert set(closings) == {f"F{n}" for n in range(7)} | {"F-forged", "F-drill"}
    last = closings["F5"]
    assert (last.disposition, last.who, last.reason, last.at) == ("false-positive", "ann", "looked at it", wire_time(NOW + 105))


def test_the_interval_is_wilsons_at_its_ends(store) -> None:
    client = store.client()
    assert client.query("SELECT count() FROM findings").result_rows == [(12,)]
    assert read_quality(store.settings(role="cli"), ["nobody"], 90)[0].verdicts == 0


def test_the_newest_word_of_a_trusted_agent_counts(store) -> None:
    said = {one.finding: one.disposition for one in read_verdicts(store.settings(role="detectors"), PEOPLE)}
    assert said["F5"] == "false-positive", "it was closed as remediated before"
    assert "F7" not in said
    assert "F-forged" not in said
    assert "F-drill" not in said
    assert len(said) == 7


def test_one_finding(store) -> None:
    settings = store.settings(role="cli")
    one = read_stored_finding(settings, "F0")
    assert one is not None
    assert (one.count, one.severity) == (2, "high")
    assert read_stored_finding(settings, "F-forged") is None
    assert read_stored(settings, ["F0", "F-forged", "none"]) == {"F0"}, "a stranger opens no findings"
    assert read_ids(settings, "F0") == ["F0"]
    assert len(read_ids(settings, "F")) == 3, "no more than tell that there are several"
    assert read_ids(settings, "_") == [], "a beginning is no pattern"
    closed = read_closed(settings, PEOPLE, ["F4", "F9"])["F4"]
    assert (closed.disposition, closed.by, closed.reason) == ("false-positive", "ann", "looked at it")
    assert closed.at.timestamp() == pytest.approx(NOW + 104, abs=0.001)
    assert set(read_closed(settings, PEOPLE, ["F3", "F4", "F9"])) == {"F3", "F4"}
    assert [one["text"] for one in read_decisions(settings, "F2")] == ["suspend: x"]
    assert read_decisions(settings, "F3") == []
    assert holds(settings, [(0, 0, 0), (0, 1, 0)])
    assert not holds(settings, [(0, 0, 0), (0, 99_999, 0)])
    cited = read_evidence(settings, [(0, 0, 0), (0, 99_999, 0)])
    assert parse_event(cited[0, 0, 0].raw).resource.id == "F0"
    assert [str(one.standing) for one in cited.values()] == ["unproven", "waiting"], "these entries are no segments' entries"


def test_as_many_are_asked_for_as_ever_wait(store) -> None:
    """Ten thousand, more than one address holds."""
    settings, many = store.settings(role="detectors"), [f"{n:032x}" for n in range(10_000)]
    assert read_stored(settings, [*many, "F0"]) == {"F0"}
    assert set(read_closed(settings, PEOPLE, [*many, "F3"])) == {"F3"}
    assert holds(settings, [(0, n, 0) for n in range(10)])
    assert not holds(settings, [(0, n, 0) for n in range(10_000)])
    assert read_stored(settings, []) == set()
    assert holds(settings, [])

"""The store's views of findings and dispositions, on a real ClickHouse: what counts, whose word counts, and that both sides compute the same."""

import time

import msgspec
import pytest
from tests.support.clickhouse import start_clickhouse
from tests.support.history_tables import LIES, change_everywhere, insert_rows
from tests.support.owning import entry_of
from tests.support.policies import finding
from tests.support.signing import OPERATORS, PARTS, directive, key_of

from tallystick_dashboard.store import ClickHouseSources
from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.entries import entry_leaf
from tallystick_schemas.events import Actor, Event, Resource, Why, encode_event, event_leaf, parse_event
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.segments import SegmentSigner, new_run
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
RING = Keyring.of(OPERATORS)
for _agent in (*PARTS, "gateway"):
    RING.take(directive(_agent))


class Made:
    """Rows of a history; each event in an entry of its own, signed by an agent."""

    def __init__(self) -> None:
        self.entries, self.events = [], []

    def put(self, agent: str, action: str, actor: Actor, resource: Resource, text: str, attrs: dict[str, str], at: float) -> None:
        raw = encode_event(
            Event(1, to_base64url(bytes(16)), wire_time(NOW + at), action, actor, resource, "allowed", Why(text=text), attrs=attrs)
        )
        index = len(self.events)
        self.sign(agent, agent, raw)
        self.events.append((0, index, 0, raw, event_leaf(raw)))

    def sign(self, agent: str, key: str, raw: bytes) -> None:
        """An accepted entry in the agent's name, under somebody's key."""
        index = len(self.events)
        record = SegmentSigner(agent, key_of(key), new_run(index, b"8bytes..")).sign([raw], wire_time(NOW)).record
        if key != agent:
            record = record.replace(*(key_id(key_of(one).public_key().public_bytes_raw()).encode() for one in (key, agent)))
        entry = entry_of(record, index)
        self.entries.append((0, index, entry, entry_leaf(entry), bytes(32)))

    def found(self, name: str, *, agent: str = "detectors", at: float = 0.0, **fields: object) -> None:
        event = finding_event(finding(id=name, **fields))  # type: ignore[arg-type]
        self.put(agent, event["action"], event["actor"], event["resource"], event["why"].text, event["attrs"], at)

    def forged(self, name: str, disposition: str) -> None:
        """A disposition in the name of `cli` that `cli` did not sign."""
        event = Event(
            1, to_base64url(bytes(16)), wire_time(NOW + 500), "incident.close", Actor("ann", "human"), Resource("finding", name), "allowed"
        )
        raw = encode_event(msgspec.structs.replace(event, attrs={"disposition": disposition}))
        self.sign("cli", "mallory", raw)
        self.events.append((0, len(self.events), 0, raw, event_leaf(raw)))

    def closed(self, name: str, disposition: str, *, agent: str = "cli", at: float = 60.0) -> None:
        self.put(
            agent, "incident.close", Actor("ann", "human"), Resource("finding", name), "looked at it", {"disposition": disposition}, at
        )


def made(*, forged: bool) -> Made:
    made = Made()
    for n in range(10):
        made.found(f"F{n}", at=n)
    made.found("F0", at=30, count=2, severity="high")
    for n in range(6):
        made.closed(f"F{n}", "true-positive-malicious" if n < 4 else "false-positive", at=100 + n)
    made.closed("F5", "remediated", at=50)
    made.closed("F6", "testing-or-maintenance", at=106)
    made.closed("F7", "false-positive", agent="stranger", at=107)
    made.closed("F8", "false-positive", agent="gateway", at=107)
    made.put("cli", "incident.note", Actor("ann", "human"), Resource("finding", "F9"), "nothing yet", {"disposition": "other"}, 107)
    made.found("F-forged", agent="stranger")
    made.closed("F-forged", "false-positive")
    made.found("F-drill", drill="run-1")
    made.closed("F-drill", "false-positive")
    made.found("G0", detector="D03", version=2, suppressed="exempt")
    made.put(
        "responder",
        "incident.decide",
        Actor("responder", "service"),
        Resource("principal", "dave"),
        "suspend: x",
        {"findings": "F1, F2"},
        9,
    )
    if forged:
        made.forged("F9", "false-positive")
    for day in range(4):
        made.put("gateway", "artifact.read", Actor("dave", "human"), Resource("model", "m"), "", {}, -86_400.0 * day)
    return made


@pytest.fixture(scope="module", params=["true columns", "columns and rows that lie"])
def store(request, tmp_path_factory):
    server = start_clickhouse(tmp_path_factory.mktemp("clickhouse"))
    lies = request.param != "true columns"
    rows_of, client = made(forged=lies), server.client()
    for table, rows in (("ledger_entries", rows_of.entries), ("events", rows_of.events)):
        insert_rows(client, table, rows)
        insert_rows(client, table, rows)  # twice, as after a crash: nothing may count twice
    if lies:
        change_everywhere(client, "events", LIES)
        change_everywhere(client, "ledger_entries", {"agent": "cli", "kind": "7", "verdict": "9"})
    yield server
    server.stop()


SEARCHED = pytest.mark.parametrize("store", ["true columns"], indirect=True)
"""What views say is what searches see: where columns lie, step 7 says that they do."""


@SEARCHED
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
    sources = ClickHouseSources(store.settings(role="console"), LogSettings(deployment="example", command_agents=PEOPLE))
    assert sources.closings() == {}, "nobody's keys are known yet"
    sources.keyring = RING
    closings = sources.closings()
    assert sources.closings() == closings, "what was read is kept"
    assert set(closings) == {f"F{n}" for n in range(7)} | {"F-forged", "F-drill"}
    last = closings["F5"]
    assert (last.disposition, last.who, last.reason, last.at) == ("false-positive", "ann", "looked at it", wire_time(NOW + 105))


@SEARCHED
def test_the_interval_is_wilsons_at_its_ends(store) -> None:
    client = store.client()
    assert client.query("SELECT count() FROM findings").result_rows == [(12,)]
    assert read_quality(store.settings(role="cli"), ["nobody"], 90)[0].verdicts == 0


def test_the_newest_word_of_a_trusted_agent_counts(store) -> None:
    said = {one.finding: one.disposition for one in read_verdicts(store.settings(role="detectors"), RING)}
    assert said["F5"] == "false-positive", "it was closed as remediated before"
    assert "F7" not in said
    assert "F-forged" not in said
    assert "F-drill" not in said
    assert len(said) == 7


def test_one_finding(store) -> None:
    settings = store.settings(role="cli")
    one = read_stored_finding(settings, RING, "F0")
    assert one is not None
    assert (one.count, one.severity) == (2, "high")
    assert read_stored_finding(settings, RING, "F-forged") is None
    assert read_stored(settings, RING, ["F0", "F-forged", "none"]) == {"F0"}, "a stranger opens no findings"
    assert read_ids(settings, RING, "F0") == ["F0"]
    assert len(read_ids(settings, RING, "F")) == 3, "no more than tell that there are several"
    assert read_ids(settings, RING, "_") == [], "a beginning is no pattern"
    closed = read_closed(settings, RING, PEOPLE, ["F4", "F9"])["F4"]
    assert (closed.disposition, closed.by, closed.reason) == ("false-positive", "ann", "looked at it")
    assert closed.at.timestamp() == pytest.approx(NOW + 104, abs=0.001)
    assert set(read_closed(settings, RING, PEOPLE, ["F3", "F4", "F9"])) == {"F3", "F4"}
    assert [one["text"] for one in read_decisions(settings, RING, "F2")] == ["suspend: x"]
    assert read_decisions(settings, RING, "F3") == []
    assert holds(settings, [(0, 0, 0), (0, 1, 0)])
    assert not holds(settings, [(0, 0, 0), (0, 99_999, 0)])
    cited = read_evidence(settings, [(0, 0, 0), (0, 99_999, 0)])
    assert parse_event(cited[0, 0, 0].raw).resource.id == "F0"
    assert [str(one.standing) for one in cited.values()] == ["holds", "waiting"]


def test_as_many_are_asked_for_as_ever_wait(store) -> None:
    """Ten thousand, more than one address holds."""
    settings, many = store.settings(role="detectors"), [f"{n:032x}" for n in range(10_000)]
    assert read_stored(settings, RING, [*many, "F0"]) == {"F0"}
    assert set(read_closed(settings, RING, PEOPLE, [*many, "F3"])) == {"F3"}
    assert holds(settings, [(0, n, 0) for n in range(10)])
    assert not holds(settings, [(0, n, 0) for n in range(10_000)])
    assert read_stored(settings, RING, []) == set()
    assert holds(settings, [])


@pytest.mark.parametrize("store", ["columns and rows that lie"], indirect=True)
def test_older_entries_are_found_by_columns_and_judged_by_bytes(store, monkeypatch) -> None:
    """Last, since it changes the table. Every event is called a disposition by `cli`, and those alone are that people's keys signed as one."""
    monkeypatch.setattr("tallystick_schemas.stored_bytes.NEWEST", 0)
    settings = store.settings(role="cli")
    assert read_closed(settings, RING, PEOPLE, ["F1", "F7"]) == {}, "columns hide what is older: `audit verify` tells"
    change_everywhere(store.client(), "events", {"action": "incident.close"})
    ids = [f"F{n}" for n in range(10)]
    assert set(read_closed(settings, RING, PEOPLE, [*ids, "dave", "m"])) == {f"F{n}" for n in range(7)}
    change_everywhere(store.client(), "events", {"action": "incident.open"})
    change_everywhere(store.client(), "ledger_entries", {"agent": "detectors"})
    assert read_stored(settings, RING, [*ids, "F-forged", "m"]) == set(ids)

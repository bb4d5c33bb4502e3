"""`tallystick agent list` and `revoke` on a history in a real ClickHouse: which keys there are, and which can be ended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from tests.support.clickhouse import running_clickhouse
from tests.support.history_tables import change_everywhere, insert_rows
from tests.support.signing import OPERATOR as OPERATOR_KEY
from tests.support.signing import OPERATORS, directive, key_of, public_of

from tallystick_infra import enrolling
from tallystick_infra.cli import agents, main
from tallystick_infra.deployment import Deployment
from tallystick_infra.enrolment import RulesSaid, read_directives
from tallystick_infra.errors import BadOrder
from tallystick_infra.operator import Operator
from tallystick_schemas.directives import LEVEL
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.headers import Enrol, Kind, Revoke, SegmentHeader, encode_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import parse_record, signed_bytes
from tallystick_schemas.roles import Keyring, Scope
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.verdicts import Verdict

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]
START = 1_700_000_000
OPERATOR = key_id(OPERATORS[0])
PUBLIC = {name: public_of(name) for name in ("trainer", "trainer2", "second", "gone")}
KEYS = {name: key_id(public) for name, public in PUBLIC.items()}


def enrol(agent: str, key: str) -> Enrol:
    return Enrol(1, OPERATOR, wire_time(START), agent, to_base64(PUBLIC[key]), "ann")


def segment(agent: str, n: int) -> SegmentHeader:
    return SegmentHeader(1, agent, KEYS[agent], "0" * 32, n, n, 1, "", "", wire_time(START))


HISTORY: list[tuple[Kind, Any, Verdict]] = [
    (Kind.ENROL, enrol("trainer", "trainer"), Verdict.ACCEPTED),
    (Kind.ENROL, enrol("trainer2", "trainer2"), Verdict.ACCEPTED),
    (Kind.ENROL, enrol("trainer2", "second"), Verdict.ACCEPTED),
    (Kind.ENROL, enrol("gone", "gone"), Verdict.ACCEPTED),
    (Kind.REVOKE, Revoke(1, OPERATOR, wire_time(START), "trainer2", KEYS["second"], "lost"), Verdict.ACCEPTED),
    (Kind.REVOKE, Revoke(1, OPERATOR, wire_time(START), "gone", KEYS["gone"], "lost"), Verdict.ACCEPTED),
    (Kind.SEGMENT, segment("trainer", 0), Verdict.ACCEPTED),
    (Kind.SEGMENT, segment("trainer", 1), Verdict.OUT_OF_ORDER),
    (Kind.SEGMENT, segment("trainer", 2), Verdict.BAD_SIGNATURE),
]
"""The entry at place n was appended n seconds after START."""
FORGED: list[tuple[Kind, Any]] = [
    (Kind.ENROL, Enrol(1, OPERATOR, wire_time(START), "forged", to_base64(public_of("mallory")), "ann")),
    (Kind.REVOKE, Revoke(1, OPERATOR, wire_time(START), "trainer", KEYS["trainer"], "lost")),
    (Kind.REVOKE, Revoke(1, "0" * 16, wire_time(START), "trainer", KEYS["trainer"], "lost")),
]
"""As whoever has the store's password inserts them: accepted, by no operator."""
SAID = [
    Operator(OPERATOR_KEY).follow_rules(0, START),
    directive("trainer", ("recorder",), scope=Scope(actions=["model.*"]), n=3, operator=OPERATOR_KEY),
    directive("trainer", ("point",), n=2, operator=OPERATOR_KEY),
    directive("trainer2", ("responder",), operator=key_of("whoever keeps the store")),
]
"""Directives in the ledger behind all of that: the last is signed by a key that nobody pinned."""
LOG = LogSettings("test", 4, OPERATORS)


def entry_at(n: int, kind: Kind, verdict: Verdict, header: bytes, sig: bytes) -> tuple[int, int, bytes, bytes, bytes]:
    return (0, n, encode_entry(Entry(kind, 0, 0, n, (START + n) * 1000, verdict, header, sig, b"")), bytes(32), bytes(32))


@pytest.fixture(scope="module", params=["true columns", "columns that lie"])
def clickhouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    rows = []
    for n, (kind, header, verdict) in enumerate(HISTORY):
        raw = encode_header(header)
        rows.append(entry_at(n, kind, verdict, raw, OPERATOR_KEY.sign(signed_bytes(kind, raw)) if kind != Kind.SEGMENT else bytes(64)))
    for raw in SAID:
        record = parse_record(raw)
        rows.append(entry_at(len(rows), record.kind, Verdict.ACCEPTED, record.header_raw, record.sig))
    for kind, header in FORGED:
        raw = encode_header(header)
        rows.append(entry_at(len(rows), kind, Verdict.ACCEPTED, raw, key_of("mallory").sign(signed_bytes(kind, raw))))
    with running_clickhouse(Path(tmp_path_factory.mktemp("clickhouse"))) as server:
        client = server.client()
        insert_rows(client, "ledger_entries", rows)
        if request.param != "true columns":
            lies = {"kind": "5", "verdict": "9", "agent": "nobody", "key": "", "header": "{}", "append_time": "1971-01-01 00:00:00.000"}
            change_everywhere(client, "ledger_entries", lies)
        client.close()
        yield server.settings()


@pytest.fixture
def deployment(tmp_path: Path, clickhouse: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(Deployment, "log", lambda _: LOG)
    monkeypatch.setattr(Deployment, "clickhouse", lambda *_: clickhouse)
    monkeypatch.setattr("tallystick_infra.knocking.ask", lambda *_: None)
    return Deployment.create(tmp_path / "d", {})


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """What topic `locks` says of roles; nothing, until a test lets it."""
    ring = Keyring.of(OPERATORS)
    monkeypatch.setattr(agents, "read_roles", lambda *_: ring)
    monkeypatch.setattr(enrolling, "read_roles", lambda *_: ring)
    monkeypatch.setattr(enrolling, "publish", lambda _, holders: [ring.take(holder.raw) for holder in holders])
    return ring


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What would go to Kafka, which here refuses it."""
    records: list[bytes] = []

    class Sender:
        def send(self, _agent: str, record: bytes) -> None:
            records.append(record)
            raise BadOrder("the test's Kafka", "there is none")

    @contextmanager
    def sender(*_: object) -> Iterator[Sender]:
        yield Sender()

    monkeypatch.setattr(enrolling, "record_sender", sender)
    return records


def revoke(deployment: Deployment, name: str, key: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main(["agent", "revoke", name, "--key", key, "--reason", "lost", "--yes", "--data", str(deployment.path)])
    said = capsys.readouterr()
    assert "is revoked: shard" not in said.out
    return end.value.code, said.err


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("trainer2", "0" * 16, f"trainer2 has no such key; it has {KEYS['trainer2']}. Nothing was revoked"),
        ("trainer2", KEYS["trainer2"][:8], f"trainer2 has no such key; it has {KEYS['trainer2']}. Nothing was revoked"),
        ("trainer2", KEYS["trainer"], f"trainer2 has no such key; it has {KEYS['trainer2']}. Nothing was revoked"),
        ("nobody", KEYS["trainer2"], "no agent nobody is enrolled"),
        ("trainer2", KEYS["second"], f"key {KEYS['second']} of trainer2 is revoked already. Nothing was revoked"),
        ("gone", "0" * 16, "gone has no such key; all that it had are revoked"),
    ],
)
def test_a_key_that_ends_nothing_is_refused(
    deployment: Deployment, sent: list[bytes], capsys: pytest.CaptureFixture[str], name: str, key: str, why: str
) -> None:
    code, said = revoke(deployment, name, key, capsys)
    assert (code, sent, said.count("\n")) == (3, [], 1), said
    assert why in said


def test_a_key_that_may_speak_goes_on_to_the_history(deployment: Deployment, sent: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    revoke(deployment, "trainer2", KEYS["trainer2"], capsys)
    assert len(sent) == 1


def test_a_role_ends_at_once_with_its_key_also_while_the_history_is_silent(
    deployment: Deployment, sent: list[bytes], topic: Keyring, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolling, "operator_of", lambda _: Operator(OPERATOR_KEY))
    revoke(deployment, "trainer", KEYS["trainer"], capsys)
    [holder] = topic
    assert (holder.agent, holder.active, holder.n) == ("trainer", False, 4), "one above what the ledger has"


def test_directives_of_the_ledger_are_believed_for_their_signature_alone(clickhouse: ClickHouseSettings) -> None:
    client = clickhouse_connect.get_client(**clickhouse.client_kwargs())
    found = read_directives(client, LOG)
    client.close()
    assert (found.rules, found.unbelieved) == ({0: RulesSaid(0, LEVEL)}, 1)
    [holder] = found.keyring
    assert (holder.agent, holder.n, holder.roles, holder.scope) == ("trainer", 3, {"recorder"}, Scope(actions=["model.*"]))


def listed(deployment: Deployment, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["agent", "list", "--data", str(deployment.path), *more])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_the_list_says_when_each_key_last_spoke(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    spoke = {one["key"]: one["last_spoke"] for one in json.loads(listed(deployment, capsys, "--json"))["agents"]}
    assert spoke.keys() == set(KEYS.values())
    # Not the last segment in its name: that one has a bad signature.
    assert spoke.pop(KEYS["trainer"]) == wire_time(START + 7)
    assert set(spoke.values()) == {None}
    head, *rows = listed(deployment, capsys).splitlines()
    assert "last spoke (UTC)" in head
    row = {line.split()[1]: line for line in rows}
    assert row[KEYS["trainer"]].rstrip().endswith("2023-11-14 22:13")
    assert row[KEYS["trainer2"]].rstrip().endswith("never")


def test_the_list_says_what_each_key_may(deployment: Deployment, topic: Keyring, capsys: pytest.CaptureFixture[str]) -> None:
    topic.take(SAID[1])
    topic.take(directive("gone", ("point",), scope=None, operator=OPERATOR_KEY, key="gone"))
    told = {one["key"]: one for one in json.loads(listed(deployment, capsys, "--json"))["agents"]}
    may = {key: (one["roles"], one["scope"], one["role_state"]) for key, one in told.items()}
    assert may[KEYS["trainer"]] == (["recorder"], {"actions": ["model.*"]}, "active")
    assert may[KEYS["gone"]] == (["point"], None, "active")
    assert may[KEYS["trainer2"]] == (None, None, None)
    rows = {line.split()[1]: line for line in listed(deployment, capsys).splitlines()[1:]}
    assert "recorder" in rows[KEYS["trainer"]]
    assert "actions model.*" in rows[KEYS["trainer"]]
    assert "revoked; its role is not" in rows[KEYS["gone"]]
    assert "no scope" in rows[KEYS["gone"]]
    assert "no role yet" in rows[KEYS["trainer2"]]

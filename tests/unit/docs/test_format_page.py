"""The tables of schemas/README.md say what the code says."""

import json
import re
from hashlib import sha256
from typing import get_args

import msgspec
from tests.support.pages import ROOT, Page

from tallystick_audit.verify import history, runs
from tallystick_schemas import (
    bodies,
    checkpoints,
    directives,
    entries,
    envelope,
    events,
    headers,
    messages,
    notes,
    records,
    roles,
    state,
    state_digest,
    strict_json,
    topics,
)
from tallystick_schemas.headers import Kind, payload_type
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.verdicts import Verdict
from tallystick_schemas.vocabulary import ACTIONS

PAGE = Page(ROOT / "schemas" / "README.md")


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def number(cell: str) -> int:
    return int(cell.split(maxsplit=1)[0].replace(",", ""))


def test_verdicts() -> None:
    rows = PAGE.table("number")
    assert {int(row[0]): words(row[1])[0] for row in rows} == {int(verdict): verdict.label for verdict in Verdict}
    assert [int(row[0]) for row in rows] == [8, 9, 5, 6, 4, 7, 10, 11, 3, 2, 1, 0]


def test_tables() -> None:
    """Names of tables and of their columns, derived ones aside, as the migrations make them."""
    folder = ROOT / "infra" / "tallystick_infra" / "clickhouse" / "migrations"
    made = {}
    for path in folder.glob("*.sql"):
        for name, columns in re.findall(r"^CREATE TABLE (\w+)\n\(\n(.*?)\n\)", path.read_text(), re.MULTILINE | re.DOTALL):
            made[name] = [line.split()[0].strip("`") for line in columns.split("\n") if " MATERIALIZED " not in line]
    rows = {words(row[0])[0]: words(row[1]) for row in PAGE.table("table")}
    assert rows == {name: made[name] for name in ("ledger_entries", "events", "rejected", "checkpoints", "root_leaves")}


def test_vocabulary() -> None:
    assert {action: int(row[1].split()[0]) for row in PAGE.table("actions") for action in words(row[0])} == ACTIONS


def test_kinds() -> None:
    rows = {int(row[0]): words(row[1])[0] for row in PAGE.table("kind") if row[0].isdigit()}
    assert rows == {int(kind): kind.name.lower() for kind in Kind if kind}
    assert all(payload_type(kind) == f"application/vnd.tallystick.{name}.v1+json" for kind, name in rows.items())


def test_limits() -> None:
    limits = {row[0]: number(row[1]) for row in PAGE.table("what")}
    assert limits == {
        "event": events.MAX_EVENT_BYTES,
        "nesting": strict_json.MAX_NESTING,
        "header": headers.MAX_HEADER_BYTES,
        "events in a segment, items in an erasure": headers.MAX_SEGMENT_EVENTS,
        "body": records.MAX_BODY_BYTES,
        "entry": entries.MAX_ENTRY_BYTES,
        "runs known of an agent": state.MAX_RUNS,
        "missing ranges of a run": state.MAX_MISSING_RANGES,
        "signed note": notes.MAX_NOTE_BYTES,
        "signatures on a note": notes.MAX_SIGNATURES,
        "subject of a directive": headers.MAX_SUBJECT_CHARACTERS,
        "message of the control plane": envelope.MAX_MESSAGE_BYTES,
        "patterns of a scope, for each of its three lists": roles._MAX_PATTERNS,
        "pattern of a scope": int(re.findall(r"\d+(?=\})", roles._PATTERN.pattern)[0]),
    }


def test_numbers_of_verification() -> None:
    rows = {row[0]: [number(found) for found in re.findall(r"\d+ (?:second|seal interval)s?", row[1])] for row in PAGE.table("bound")}
    assert rows == {
        "wait": [history.SETTLE_S],
        "settling time": [runs.SETTLING_MS / 1000],
        "too old": [history.FRESH_S, history.FRESH_INTERVALS, LogSettings("d", 1).seal_interval_s],
        "too far ahead": [history.FRESH_S],
    }


def test_event_fields() -> None:
    rows = [row for row in PAGE.table("field") if row[1] in ("yes", "no")]
    assert [words(row[0])[0] for row in rows] == list(events.Event.__struct_fields__)
    assert [words(row[0])[0] for row in rows if row[1] == "yes"] == list(events.Event.__struct_fields__)[:7]
    parts = {"actor": events.Actor, "resource": events.Resource, "why": events.Why, "usage": events.Usage, "source": events.Source}
    for name, part in parts.items():
        [row] = [row for row in rows if row[0] == f"`{name}`"]
        assert set(part.__struct_fields__) <= set(words(row[2])), name
    assert events.TIME_PATTERN.pattern.replace("?:", "") in PAGE.text


def test_header_fields() -> None:
    rows = [row for row in PAGE.table("field") if row[1] not in ("yes", "no")]
    assert {name for row in rows for name in words(row[0])} == set(headers.SegmentHeader.__struct_fields__)
    order = " ".join(headers.SegmentHeader.__struct_fields__)
    assert f"`{order}`" in PAGE.text
    kinds = {
        "enrol": headers.Enrol,
        "revoke": headers.Revoke,
        "erase": headers.Erase,
        "seal": headers.Seal,
        "generation": headers.Generation,
        "directive": headers.Directive,
    }
    bodies_of = {row[0]: row[1] for row in PAGE.table("kind") if row[0] in kinds}
    for name, header in kinds.items():
        assert words(bodies_of[name]) == [field for field in header.__struct_fields__ if field not in ("v", "key", "time")], name
        assert header.__struct_fields__[:3] == ("v", "key", "time")


def test_domain_prefixes() -> None:
    from tallystick_schemas import segments

    tags = (entries._SHARD_GENESIS, entries._SHARD_LINK, segments._GENESIS, segments._LINK)
    assert all(f'"{tag[:-1].decode()}\\0"' in PAGE.text for tag in tags)
    assert checkpoints.TOPOLOGY_PREFIX.decode().rstrip("\n") in PAGE.text
    assert [bodies.Erasure.__struct_fields__] == [("index", "pos")]


def test_receipts_and_topics() -> None:
    fields = "".join(f'"{name}":…,' for name in Receipt.__struct_fields__).rstrip(",")
    assert "{" + fields + "}" in PAGE.text
    assert {words(row[0])[0] for row in PAGE.table("topic")} == {topics.EVENTS, topics.RECEIPTS, topics.CHECKPOINTS}


def test_directives() -> None:
    rows = {words(row[0])[0]: row for row in PAGE.table("about")}
    assert list(rows) == [directives.RULES, directives.AGENT, directives.ADOPT, directives.RETIRE]
    assert json.loads(words(rows[directives.RULES][2])[0]) == {"level": directives.LEVEL}
    assert f"`{headers._ABOUT.pattern}`" in PAGE.text
    assert "an integer from 2 to the highest that the\n   reader has" in PAGE.text
    assert [directives.level_of(about_rules(level)) for level in (1, 2, directives.LEVEL + 1, True, "2", None)] == [
        None,
        2,
        None,
        None,
        None,
        None,
    ]


def about_rules(level: object) -> headers.Directive:
    return headers.Directive(1, "0" * 16, "", directives.RULES, "", 0, {"level": level})


def test_the_state_lines() -> None:
    """The page's line about directives, made as the page says."""
    said = state.State(0, bytes(32), directives={"agent trainer 0": state.Said(7, "the header")})
    line = f"directive {sha256(b'agent trainer 0').hexdigest()} 7 {sha256(b'the header').hexdigest()}\n"
    assert state_digest.state_digest(said) == sha256(line.encode()).digest()
    assert "    directive <H(about, a space, subject) in hex> <n> <H(header) in hex>" in PAGE.text


def test_signers() -> None:
    assert {words(row[0])[0]: tuple(words(row[1])) for row in PAGE.table("on topic")} == dict(roles.SIGNERS)
    beside = {topics.EVENTS, topics.CHECKPOINTS}
    assert {spec.name for spec in topics.topic_table(1)} == set(roles.SIGNERS) | beside
    assert f'"{envelope.MAGIC.decode()}"' in PAGE.text
    assert f'PAE("{envelope.PAYLOAD}"' in PAGE.text


def test_mandates_and_scopes() -> None:
    rows = PAGE.table("of the value")
    assert [words(row[0])[0] for row in rows] == list(roles.Mandate.__struct_fields__)
    required = [field.name for field in msgspec.structs.fields(roles.Mandate) if field.required]
    assert [words(row[0])[0] for row in rows if row[1] == "yes"] == required
    assert words(rows[1][2]) == list(get_args(roles.Role))
    assert words(rows[2][2]) == list(get_args(msgspec.structs.fields(roles.Mandate)[2].type))
    assert [words(row[0])[0] for row in PAGE.table("of the scope")] == list(roles.Scope.__struct_fields__)


def test_the_topic_of_locks() -> None:
    beat = "{" + ",".join(f'"{name}":…' for name in messages.LockHeartbeat.__struct_fields__) + "}"
    assert f"`{messages.HEARTBEAT_KEY.decode()}` | an envelope: `{beat}`" in PAGE.text
    assert f"`{messages.ROLE_KEY.decode()}<agent>/<key id>`" in PAGE.text
    assert f"`{messages.ADOPT_KEY.decode()}<part>`" in PAGE.text
    assert f"`{messages.RETIRE_KEY.decode()}<key id>`" in PAGE.text

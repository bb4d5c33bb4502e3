"""The tables of schemas/README.md say what the code says."""

import re

from tests.support.pages import ROOT, Page

from tallystick_schemas import bodies, checkpoints, entries, events, headers, notes, records, state, strict_json, topics
from tallystick_schemas.headers import Kind, payload_type
from tallystick_schemas.receipts import Receipt
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
        "signatures on a note": notes._MAX_SIGNATURES,
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

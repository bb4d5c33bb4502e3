"""CSV and JSON lines: a mapping says which column is which field, and is checked before the first row is read."""

import msgspec
import pytest

from tallystick_producers.collectors import LogEvent, RowMapping, load_mapping, log_format
from tallystick_producers.errors import LineRefused, MappingUnusable
from tallystick_schemas.events import Actor, Resource, Source, Usage

TABLE = {
    "time": {"value": "{day} {clock}", "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
    "action": {"value": "{verb}", "map": {"pull": "artifact.download", "push": "artifact.upload"}, "default": "access.check"},
    "principal": "{who}",
    "kind": {"value": "{bot}", "map": {"1": "service"}, "default": "human"},
    "credential": "{key}",
    "session": "s-{key}",
    "ip": "{ip}",
    "user_agent": "{ua}",
    "outcome": {"value": "{code}", "allowed": "2..", "denied": "403|429"},
    "resource": {"kind": "model", "id": "models/{model}", "part": "{file}", "sensitivity": {"value": "{level}", "default": "internal"}},
    "usage": {"bytes": "{size}", "objects": "1"},
    "attrs": {"team": "{team}", "code": "{code}"},
}
ROW = {
    "day": "23.11.2026",
    "clock": "05:00",
    "verb": "pull",
    "who": "eva",
    "bot": "1",
    "key": "k1",
    "ip": "203.0.113.9",
    "ua": "pip/24",
    "code": "200",
    "model": "atlas",
    "file": "w.bin",
    "level": "restricted",
    "size": "512.0",
    "team": "red, blue",
}
EVENT = LogEvent(
    time="2026-11-23T04:00:00.000000Z",
    action="artifact.download",
    actor=Actor("eva", "service", credential="k1", session="s-k1"),
    resource=Resource("model", "models/atlas", part="w.bin", sensitivity="restricted"),
    outcome="allowed",
    usage=Usage(bytes=512, objects=1),
    source=Source(ip="203.0.113.9", user_agent="pip/24"),
    attrs={"team": "red, blue", "code": "200"},
)


def quoted(values):
    return (",".join(f'"{value}"' for value in values) + "\r\n").encode()


def csv_event(**changes):
    parse = log_format("csv", RowMapping(TABLE)).parser(b"\xef\xbb\xbf" + quoted(ROW))
    return parse(quoted((ROW | changes).values()))


def json_event(table=TABLE, **row):
    return log_format("jsonl", RowMapping(table)).parser(b"")(msgspec.json.encode(row) + b"\n")


def test_a_row_of_csv_and_a_line_of_json_give_the_same_event():
    assert csv_event() == EVENT
    assert json_event(**ROW) == EVENT
    assert json_event(**ROW | {"bot": 1, "code": 200, "size": 512}) == EVENT


def test_empty_fields_take_the_default_or_stay_away():
    event = csv_event(verb="", bot="", level="", file="", size="-", team="", ip="", ua="")
    assert (event.action, event.actor.kind, event.source, event.attrs) == ("access.check", "human", None, {"code": "200"})
    assert event.resource == Resource("model", "models/atlas", sensitivity="internal")
    assert event.usage == Usage(objects=1)


@pytest.mark.parametrize(("code", "outcome"), [("204", "allowed"), ("403", "denied"), ("2000", "error"), ("", "error")])
def test_the_rules_of_the_outcome_fit_the_whole_text(code, outcome):
    assert csv_event(code=code).outcome == outcome


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"day": "32.11.2026"}, "the time"),
        ({"who": ""}, "no principal"),
        ({"level": "secret"}, "sensitivity"),
        ({"size": "much"}, "not a count"),
        ({"size": "1e400"}, "not a count"),
        ({"team": 'a"b'}, "not a row of CSV"),
    ],
)
def test_rows_that_are_no_events(changes, reason):
    with pytest.raises(LineRefused, match=reason):
        csv_event(**changes)


def test_a_row_of_another_width_is_refused_and_so_is_a_header_without_a_column():
    reading = log_format("csv", RowMapping(TABLE))
    with pytest.raises(LineRefused, match="13 fields, the header 14"):
        reading.parser(quoted(ROW))(quoted(list(ROW.values())[:-1]))
    with pytest.raises(LineRefused, match=r"no column day, team"):
        reading.parser(quoted(name for name in ROW if name not in ("day", "team")))


@pytest.mark.parametrize(
    ("form", "text", "wire"),
    [
        ("iso", "2026-11-23T05:00:00+01:00", "2026-11-23T04:00:00.000000Z"),
        ("iso", "2026-11-23T04:00:00.5", "2026-11-23T04:00:00.500000Z"),
        ("epoch", "1795406400.25", "2026-11-23T04:00:00.250000Z"),
        ("epoch_ms", "1795406400250", "2026-11-23T04:00:00.250000Z"),
    ],
)
def test_forms_of_time(form, text, wire):
    assert json_event(TABLE | {"time": {"value": "{t}", "format": form}}, **ROW, t=text).time == wire


@pytest.mark.parametrize(("form", "text"), [("epoch", "nan"), ("epoch", "1e30"), ("iso", "0001-01-01T00:00:00+05:00"), ("iso", "")])
def test_times_outside_the_calendar_are_refused(form, text):
    with pytest.raises(LineRefused, match="time"):
        json_event(TABLE | {"time": {"value": "{t}", "format": form}}, **ROW, t=text)


def test_a_path_reads_inside_objects_and_a_key_with_dots_comes_first():
    table = TABLE | {"principal": "{user.name}", "attrs": {"list": "{a}", "dotted": "{a.b}", "none": "{a.b.c}"}}
    event = json_event(table, **ROW, user={"name": "eva"}, a=[1, {"x": None}], **{"a.b": True})
    assert event.actor.principal == "eva"
    assert event.attrs == {"list": '[1,{"x":null}]', "dotted": "true"}


@pytest.mark.parametrize("raw", [b"[1]\n", b"nothing\n", b'{"who": "\xff"}\n', b'{"a":' * 100_000])
def test_lines_that_are_no_json_objects(raw):
    with pytest.raises(LineRefused, match="not"):
        log_format("jsonl", RowMapping(TABLE)).parser(b"")(raw)


MISTAKES = {
    "nobody reads that": {"principle": "{who}"},
    "action 'artifact.steal'": {"action": "artifact.steal"},
    "which nobody reads": {"kind": {"value": "{bot}", "maps": {}}},
    "resource needs kind and id": {"resource": {"kind": "model"}},
    "resource.name": {"resource": {"kind": "model", "id": "x", "name": "y"}},
    "is not a table": {"usage": "{size}"},
    "neither text nor a table": {"principal": ["{who}"]},
    "unterminated|unbalanced|missing": {"outcome": {"value": "{code}", "allowed": "(2.."}},
    "No time zone found": {"time": {"value": "{day}", "zone": "Mars/Olympus"}},
}


@pytest.mark.parametrize("flaw", sorted(MISTAKES))
def test_mistakes_of_a_mapping_are_told_before_any_row(tmp_path, flaw):
    file = tmp_path / "bad.toml"
    file.write_text("\n".join(f"{name} = {toml(value)}" for name, value in (TABLE | MISTAKES[flaw]).items()))
    with pytest.raises(MappingUnusable, match=flaw) as told:
        load_mapping(str(file))
    assert str(file) in str(told.value)


def toml(value):
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{name} = {toml(one)}" if name.isalnum() else f'"{name}" = {toml(one)}' for name, one in value.items()) + "}"
        )
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize("needed", ["time", "action", "principal", "resource"])
def test_what_a_mapping_needs(needed):
    with pytest.raises(ValueError, match=f"{needed} is missing"):
        RowMapping({name: value for name, value in TABLE.items() if name != needed})


def test_mappings_come_from_files_or_ship_with_us(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("\n".join(f"{name} = {toml(value)}" for name, value in TABLE.items()))
    assert load_mapping(str(file)).columns() == set(ROW)
    assert {"ip", "accession", "size"} <= load_mapping("edgar").columns()
    for missing in ("nothing", str(tmp_path)):
        with pytest.raises(MappingUnusable, match=missing):
            load_mapping(missing)
    with pytest.raises(MappingUnusable, match="csv needs one"):
        log_format("csv")


@pytest.mark.parametrize("user", ["", " "])
def test_text_around_an_empty_column_names_nobody(user):
    mapping = RowMapping(TABLE | {"principal": "{who}@example.org"})
    assert mapping.event(ROW.get).actor.principal == "eva@example.org"
    with pytest.raises(LineRefused, match="principal"):
        mapping.event(lambda hole: user.strip() if hole == "who" else ROW[hole])


def test_a_session_of_an_empty_column_is_none():
    assert RowMapping(TABLE).event(lambda hole: "" if hole == "key" else ROW[hole]).actor.session is None

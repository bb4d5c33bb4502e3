"""Laws of collectors: any bytes are an event or a refused line, and each line is recorded once, whatever happens to the file."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.collectors import TABLE
from tests.unit.collectors.test_mapped_rows import ROW
from tests.unit.collectors.test_mapped_rows import TABLE as WIDE

from tallystick_producers.collectors import LogEvent, RowMapping, cloudtrail, log_format
from tallystick_producers.collectors.fields import encode
from tallystick_producers.encoding import Encoder
from tallystick_producers.errors import InvalidEvent, LineRefused
from tallystick_schemas.events import parse_event

HEADER = ",".join(ROW).encode()
LOOSE = RowMapping({name: value for name, value in WIDE.items() if name != "time"} | {"time": {"value": "{clock}", "format": "epoch"}})
PARSERS = {
    "combined": log_format("combined").parser(b""),
    "s3": log_format("s3").parser(b""),
    "jsonl": log_format("jsonl", RowMapping(TABLE)).parser(b""),
    "jsonl, many fields": log_format("jsonl", LOOSE).parser(b""),
    "csv": log_format("csv", LOOSE).parser(HEADER),
}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(10**20, 10**400) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
WORDS = st.sampled_from(
    [
        "-",
        '"',
        "[",
        "]",
        " ",
        "200",
        "9" * 400,
        "GET / HTTP/1.1",
        "23/Nov/2026:04:00:00 +0000",
        "01/Jan/0001:00:00:00 +0500",
        "\\",
        "\0",
        "é",
    ]
)
NEARLY = st.lists(WORDS | st.text(max_size=5), max_size=40).map("".join).map(str.encode)
COMBINED = st.builds(
    '{} - {} [{}] "{}" {} {} "{}" "{}"'.format, *[WORDS | st.text(max_size=8)] * 3, WORDS, *[st.integers(0, 999)], *[WORDS] * 3
).map(str.encode)
FIELDS = [
    "eventTime",
    "eventSource",
    "eventName",
    "userIdentity",
    "requestParameters",
    "additionalEventData",
    "responseElements",
    "resources",
]
KNOWN = st.sampled_from(["2026-11-23T04:00:00Z", "s3.amazonaws.com", "GetObject", "0001-01-01T00:00:00+05:00", "9" * 400])
INSIDE = st.sampled_from(["type", "arn", "bucketName", "key", "bytesTransferredOut", "ARN", "sessionContext", "principalId"])
VALUES = st.recursive(KNOWN | SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INSIDE, inner, max_size=4), max_leaves=6)
RECORDS = st.fixed_dictionaries(
    {"eventTime": KNOWN, "eventSource": KNOWN, "eventName": KNOWN}, optional=dict.fromkeys(FIELDS[3:], VALUES)
) | st.dictionaries(st.sampled_from(FIELDS), VALUES)
ENCODER = Encoder()


def judge(event):
    """What a parser gave is an event whose bytes the notary takes, or breaks a bound that is told."""
    assert type(event) is LogEvent
    try:
        raw = encode(event, ENCODER.encode)
    except InvalidEvent:
        return
    assert parse_event(raw).time == event.time


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(raw=st.binary(max_size=300) | NEARLY | COMBINED | st.dictionaries(st.sampled_from([*ROW, "id"]), SCALARS).map(msgspec.json.encode))
def test_any_bytes_are_an_event_or_a_refused_line(name, raw):
    try:
        event = PARSERS[name](raw)
    except LineRefused:
        return
    judge(event)


@given(row=st.fixed_dictionaries({name: SCALARS.map(str) | st.just(value) for name, value in ROW.items()}))
def test_any_row_is_an_event_or_a_refused_line(row):
    try:
        event = PARSERS["csv"](",".join('"' + value.replace('"', '""') + '"' for value in row.values()).encode("utf-8", "replace"))
    except LineRefused:
        return
    judge(event)


@given(raw=st.binary(max_size=300))
def test_any_header_is_a_parser_or_a_refused_line(raw):
    try:
        parse = log_format("csv", RowMapping(TABLE)).parser(raw)
    except LineRefused:
        return
    assert callable(parse)


@given(record=RECORDS | VALUES)
def test_any_record_of_cloudtrail_is_an_event_or_refused(record):
    try:
        event = cloudtrail.parse(record)
    except LineRefused:
        return
    judge(event)


@given(raw=st.binary(max_size=200) | VALUES.map(msgspec.json.encode) | st.dictionaries(st.just("Records"), VALUES).map(msgspec.json.encode))
def test_any_document_is_a_list_of_records_or_refused(raw):
    try:
        found = cloudtrail.records(raw)
    except LineRefused:
        return
    assert isinstance(found, list)

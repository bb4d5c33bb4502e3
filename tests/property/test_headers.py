"""A header that is not malformed is strict JSON by the rules in force, in whichever spelling: what is written again to the same bytes is no way round."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from tests.vectors.make import FOLDER

from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind, UnsupportedVersion, parse_header
from tallystick_schemas.records import parse_frame
from tallystick_schemas.strict_json import check_json

VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|null|\{\}')
ODD = st.sampled_from(
    [
        *(
            b"1e999",
            b"-1e999",
            b"-0",
            b"1.0",
            b"1e3",
            b"true",
            b"null",
            b"18446744073709551616",
            b"-9223372036854775809",
            b"9" * 400,
            b"01",
            b"NaN",
        ),
        *(
            b'"\\u0000"',
            b'"\\ud800"',
            b'"\\ud83d\\ude00"',
            b'"\xff"',
            b'"a\tb"',
            b"\r",
            b"[" * 9 + b"]" * 9,
            b'{"a":' * 9 + b"1" + b"}" * 9,
        ),
        *(
            b'{"a":1,"a":2}',
            b'{"a":1,"\\u0061":2}',
            b"[]",
            b"{}",
            b'{"size":1,"root":"%b","sig":1e999}' % (b"a" * 64),
            b'"rules"',
            b'"retire"',
        ),
    ]
)


def headers() -> list[tuple[Kind, bytes]]:
    """Every different one of the published histories."""
    found = {}
    for path in sorted(FOLDER.glob("history-*.json")):
        for shard in json.loads(path.read_bytes())["shards"]:
            for row in shard["records"]:
                try:
                    frame = parse_frame(bytes.fromhex(row["record"]))
                except ParseError:
                    continue
                found[frame.header] = frame.kind
    return [(kind, raw) for raw, kind in found.items()]


@given(st.sampled_from(headers()), st.lists(st.tuples(st.integers(0, 30), ODD), max_size=3), st.booleans())
def test_whatever_is_no_malformed_header_is_strict_json(header: tuple[Kind, bytes], odd: list[tuple[int, bytes]], bounded: bool) -> None:
    kind, raw = header
    for at, value in odd:
        places = list(VALUE.finditer(raw))
        place = places[at % len(places)] if places else None
        raw = raw[: place.start()] + value + raw[place.end() :] if place else value
    try:
        parse_header(kind, raw, bounded=bounded)
    except UnsupportedVersion:
        pass
    except ParseError:
        return
    check_json(raw, bounded=bounded)

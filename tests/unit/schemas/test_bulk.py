"""Section 2 in bulk: its yes is never wrong, and what it finds is what `parse_event` finds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.history import make_event

from tallystick_schemas.bulk import CHUNK, first_malformed, parse_together
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Usage, parse_event

GOOD = make_event(1)

BAD = {
    "empty": b"",
    "not json": b"{",
    "newline": GOOD.replace(b"alice", b"al\nice") + b"\n",
    "two on a line": GOOD + GOOD,
    "duplicate key": b'{"v":1,' + GOOD[1:],
    "duplicate key in attrs": GOOD.replace(b'"method":"GET"', b'"method":"GET","method":"PUT"'),
    "version": GOOD.replace(b'"v":1', b'"v":2'),
    "salt": GOOD.replace(b'"salt":"', b'"salt":"\\n', 1),
    "time": GOOD.replace(b"2026-", b"2026:"),
    "action": GOOD.replace(b"artifact.download", b"artifact.steal"),
    "outcome": GOOD.replace(b'"allowed"', b'"maybe"'),
    "principal": make_event(2).replace(b"reader-2@example.org", b""),
    "resource": GOOD.replace(b"models/atlas-7b", b""),
    "negative": make_event(1, usage=Usage(bytes=-1)),
    "too much": make_event(1, usage=Usage(duration_ms=2**63)),
    "float": GOOD.replace(b'"objects":1', b'"objects":1.5'),
    "nul": GOOD.replace(b"GET", b"\\u0000"),
    "lone surrogate": GOOD.replace(b"GET", b"\\ud800"),
    "deep": GOOD[:-1] + b',"x":' + b"[" * 9 + b"]" * 9 + b"}",
    "too long": make_event(1, attrs={"x": "y" * 17_000}),
}


def is_event(raw: bytes) -> bool:
    try:
        parse_event(raw)
    except ParseError:
        return False
    return True


@pytest.mark.parametrize("name", BAD)
def test_bad_event_is_named(name: str) -> None:
    with pytest.raises(ParseError):
        parse_event(BAD[name])
    found = first_malformed([GOOD] * (CHUNK + 3) + [BAD[name], GOOD])
    assert found is not None
    assert found[0] == CHUNK + 3


def test_two_values_that_hide_a_newline_in_each_other() -> None:
    """Lines and items are counted, so that halves of one event cannot pass as two."""
    first, second = GOOD[:100], GOOD[100:]
    assert parse_together([first, second]) is None
    assert parse_together([GOOD + b"\n" + GOOD, b""]) is None


def test_other_writers_events_take_the_slow_way_and_pass() -> None:
    spaced = GOOD.replace(b'":', b'": ')
    other_order = msgspec.json.encode(dict(reversed(msgspec.json.decode(GOOD).items())))
    unknown = GOOD[:-1] + b',"added":[1,2]}'
    raws = [GOOD, spaced, other_order, unknown]
    assert parse_together(raws) is None
    assert first_malformed(raws) is None


def test_text_that_looks_like_a_negative_number_is_fine() -> None:
    assert parse_together([make_event(1, attrs={"range": "bytes:-5"})]) is not None


@given(st.lists(st.sampled_from([GOOD, *BAD.values()]), min_size=1, max_size=4), st.data())
def test_yes_is_never_wrong(raws: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(raws) - 1))
    if raws[number]:
        at = data.draw(st.integers(0, len(raws[number]) - 1))
        raws[number] = raws[number][:at] + data.draw(st.binary(max_size=2)) + raws[number][at + 1 :]
    assert parse_together(raws) is None or all(is_event(raw) for raw in raws)

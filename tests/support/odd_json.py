"""Hypothesis' JSON as other writers may spell it: text, not values, so that duplicates, escapes, exponents and broken forms occur. Most of it is an event."""

import json

from hypothesis import strategies as st
from tests.support.history import make_event

PLAIN = json.loads(make_event(1))
WHITE = st.sampled_from(["", "", "", " ", "\t", "  "])
_NUMBERS = """
0 -0 1 -1 1.0 1e3 -0.0 1E+5 0e999 1e308 1e309 -1e309 1e-999 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616
-9223372036854775808 -9223372036854775809 1.7976931348623159e308 01 +1 .5 1. 1e NaN Infinity 0x10
"""
NUMBERS = st.sampled_from([*_NUMBERS.split(), "1" * 310 + ".5"]) | st.from_regex(
    r"\A-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z"
)
_RAW = ["a", "\u00e9", "\U0001f600", " ", "\u200b", "\ufeff", "\uffff", "\x7f", "'", "{", "]", "\t", "\0"]
_ESCAPED = r"""
\n \/ \\ \" \u0061 \u00e9 \ud83d\ude00 \uD83D\uDE00 \ufeff \uffff \b \u001f \u007f \\u0000 \ud800 \ude00\ud83d \u0000 \x41 \
"""
_PIECES = st.sampled_from([*_RAW, *_ESCAPED.split()])
TEXTS = st.lists(_PIECES, max_size=6).map(lambda parts: '"' + "".join(parts) + '"')
LITERALS = st.sampled_from(["null", "true", "false", "nul", "True"])
KEYS = st.sampled_from(['"v"', '"time"', '"kind"', '"principal"', '"x"', '"\\u0078"', '"bytes"', '"Action"', '""', '"a.b"'])


def _array(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


VALUES = st.recursive(
    NUMBERS | TEXTS | LITERALS,
    lambda inner: st.lists(inner, max_size=3).map(_array) | st.lists(st.tuples(KEYS, inner), max_size=3).map(_object),
    max_leaves=5,
) | st.integers(1, 10).map(lambda depth: "[" * depth + "]" * depth)
_DAYS = """
0000-01-01 1899-12-31 1900-01-01 1900-02-29 1969-12-31 1970-01-01 2000-02-29 2026-02-31 2038-01-19 2106-02-07 2262-04-11 2299-12-31 2300-01-01 9999-12-31
"""
DAYS = st.dates().map(lambda day: f"{day.year:04}-{day.month:02}-{day.day:02}") | st.sampled_from(_DAYS.split())
TIMES = st.builds(
    lambda day, hour, micro: f"{day}T{hour}.{micro:06}Z",
    DAYS,
    st.sampled_from(["00:00:00", "23:59:59", "04:07:01", "24:00:00", "23:59:60"]),
    st.integers(0, 999_999),
)
COUNTS = st.integers(0, 2**63 - 1).map(str) | NUMBERS
TEXT_OR_NULL = TEXTS | st.just("null")


def _maybe(strategies: dict[str, st.SearchStrategy[str]], always: dict[str, str]) -> st.SearchStrategy[str]:
    """An object with any of these fields, each at most once, and sometimes one that nobody knows."""
    optional = st.fixed_dictionaries({}, optional=strategies)
    return st.builds(
        lambda found, more, order: _ordered({**always, **found}, more, order),
        optional,
        st.lists(st.tuples(KEYS, VALUES), max_size=1),
        st.randoms(use_true_random=False),
    )


def _ordered(fields: dict[str, str], more: list[tuple[str, str]], order: object) -> str:
    pairs = [(_spelled(name, order), value) for name, value in fields.items()] + more
    order.shuffle(pairs)  # type: ignore[attr-defined]
    return _object(pairs)


def _spelled(name: str, order: object) -> str:
    """A key, sometimes with a needless escape."""
    if order.random() < 0.1:  # type: ignore[attr-defined]
        return f'"\\u{ord(name[0]):04x}{name[1:]}"'
    return f'"{name}"'


ACTORS = _maybe({"credential": TEXT_OR_NULL, "session": TEXT_OR_NULL, "mfa": LITERALS}, {"principal": '"alice"', "kind": '"human"'})
NAMED = TEXTS.flatmap(lambda name: _maybe({}, {"principal": name, "kind": '"human"'}))
RESOURCES = _maybe(
    dict.fromkeys(("version", "part", "collection", "digest"), TEXT_OR_NULL)
    | {"sensitivity": st.sampled_from(['"restricted"', "null", '"x"'])},
    {"kind": '"model"', "id": '"m"'},
)
USAGES = _maybe(dict.fromkeys(("bytes", "objects", "tokens_in", "tokens_out", "duration_ms"), COUNTS), {})
SOURCES = _maybe(dict.fromkeys(("ip", "country", "user_agent", "host"), TEXT_OR_NULL) | {"asn": COUNTS}, {})
WHYS = _maybe(dict.fromkeys(("purpose", "grant", "ticket", "text"), TEXT_OR_NULL), {})
ATTRS = _maybe({"request_id": TEXTS, "other": TEXTS}, {})
_NULL = st.just("null")
EVENTS = (
    st.tuples(
        _maybe(
            {
                "usage": USAGES | _NULL,
                "source": SOURCES | _NULL,
                "why": WHYS | _NULL,
                "attrs": ATTRS | _NULL,
                "time": TIMES,
                "actor": ACTORS | NAMED,
            }
            | {"resource": RESOURCES},
            {name: json.dumps(value) for name, value in PLAIN.items()},
        ),
        WHITE,
    )
    .map(lambda parts: parts[1] + parts[0] + parts[1])
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)

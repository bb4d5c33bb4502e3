"""RFC 9110, section 14: laws of ranges, and its own examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.gateway.ranges import MAX_RANGES, RangeRefused, Span, parse_range

SIZE = 10_000


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10000)]),
        ("bytes=9500-", [(9500, 10000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
        ("bytes=500-600,601-999", [(500, 1000)]),
        ("BYTES=0-1", [(0, 2)]),
        ("bytes=0-99999", [(0, 10000)]),
        ("bytes=-99999", [(0, 10000)]),
        ("bytes=0-1,20000-", [(0, 2)]),
    ],
)
def test_examples(header: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(header, SIZE) == [Span(*span) for span in spans]


@pytest.mark.parametrize(
    "header", [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-1", "items=0-1", "bytes=0-1,x", "bytes=٣-٤", "bytes=1--2"]
)
def test_what_is_no_range_is_ignored(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize(
    "header", ["bytes=10000-", "bytes=-0", "bytes=20000-20001", "bytes=" + ",".join(f"{n * 10}-{n * 10}" for n in range(MAX_RANGES + 1))]
)
def test_ranges_that_are_refused(header: str) -> None:
    with pytest.raises(RangeRefused):
        parse_range(header, SIZE)


_SPEC = st.one_of(
    st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    st.integers(0, 300).map(lambda n: f"{n}-"),
    st.integers(0, 300).map(lambda n: f"-{n}"),
)


def _wanted(spec: str, size: int) -> set[int]:
    first, last = spec.split("-")
    if not first:
        return set(range(max(0, size - int(last)), size))
    return set(range(int(first), min(size, int(last) + 1) if last else size))


@given(st.lists(_SPEC, min_size=1, max_size=MAX_RANGES), st.integers(0, 256))
def test_spans_are_the_bytes_that_were_asked_for_each_once(specs: list[str], size: int) -> None:
    wanted = set().union(*(_wanted(spec, size) for spec in specs))
    try:
        spans = parse_range("bytes=" + ",".join(specs), size)
    except RangeRefused:
        assert not wanted
        return
    assert spans is not None
    got = [byte for span in spans for byte in range(span.start, span.end)]
    assert sorted(got) == sorted(wanted)


@given(st.text(), st.integers(0, 100))
def test_any_text_is_spans_or_nothing_or_a_refusal(header: str, size: int) -> None:
    try:
        spans = parse_range(header, size)
    except RangeRefused:
        return
    assert spans is None or all(0 <= span.start < span.end <= size for span in spans)

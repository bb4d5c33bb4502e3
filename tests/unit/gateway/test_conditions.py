"""RFC 9110, section 13.2.2: which condition is looked at first, and what a bad one counts for."""

import pytest

from tallystick_producers.gateway.conditions import evaluate, range_applies

TAG, MODIFIED = "abc", 1_700_000_000
DATE, BEFORE, AFTER = "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"if-match": '"abc"'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": 'W/"abc"'}, 412),
        ({"if-match": '"x", "abc"', "if-unmodified-since": BEFORE}, 200),
        ({"if-unmodified-since": DATE}, 200),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-none-match": '"abc"'}, 304),
        ({"if-none-match": 'W/"abc"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, 200),
        ({"if-modified-since": DATE}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-match": '"abc"', "if-none-match": '"abc"'}, 304),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, 412),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    assert evaluate(headers, TAG, MODIFIED) == status


@pytest.mark.parametrize(
    ("value", "applies"), [(None, True), ('"abc"', True), ('W/"abc"', False), ('"x"', False), (DATE, True), (AFTER, False), ("soon", False)]
)
def test_if_range(value: str | None, applies: bool) -> None:
    assert range_applies({} if value is None else {"if-range": value}, TAG, MODIFIED) is applies

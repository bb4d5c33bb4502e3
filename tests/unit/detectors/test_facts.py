"""The time of an event, cut out of a minute that is known: the calendar's number, to the bit."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.detectors.facts import PANE_S, claimed_time, settled_day


@given(st.datetimes(datetime(1970, 1, 1), datetime(2261, 1, 1)), st.integers(0, 59), st.integers(0, 999_999))
def test_every_time_of_a_minute_is_the_calendars(start: datetime, second: int, micro: int) -> None:
    for moment in (start, start.replace(second=second, microsecond=micro)):
        assert claimed_time(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == moment.replace(tzinfo=UTC).timestamp()


NO_TIMES = [
    "2026-02-30T10:00:00.000000Z",
    "2026-11-23T10:00:60.000000Z",
    "2026-11-23T10:00:0x.000000Z",
    "2026-11-23T10:00: 5.000000Z",
    "2026-11-23T10:00:+5.000000Z",
    "2026-11-23T10:00:05.1_0000Z",
    "2026-11-23T10:00:05.00000²Z",
    "2026-11-23T10:00x05.000000Z",
    "never",
    "",
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_no_calendar_has_is_none_also_in_a_minute_that_is_known(text: str) -> None:
    assert claimed_time("2026-11-23T10:00:00.000000Z") is not None
    assert claimed_time(text) is None


def test_a_minute_of_another_zone_is_not_taken_for_ours() -> None:
    there = claimed_time("2026-11-23T10:00:00.000+02:00")
    here = claimed_time("2026-11-23T10:00:00.000000Z")
    assert there is not None
    assert here is not None
    assert here - there == 7200


@given(st.floats(0, 4e9))
def test_panes_and_settled_days_are_whole_ones(time: float) -> None:
    assert int(time) // PANE_S == int(time // PANE_S)
    assert settled_day(time + 600) == int((time + 600 - 600) // 86_400)

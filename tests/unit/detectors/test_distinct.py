"""Windows of distinct things: what they come to is what a naive count over all panes says, in whatever order the events arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.detectors.distinct import EXACT, Distinct, count_held, own_peak, raise_peak
from tallystick_stream_jobs.detectors.sketches import sketch_add_all

PANES = Distinct(300, 12)


def naive(events):
    """The fullest window of twelve panes."""
    panes = {time // 300 for time, _ in events}
    return max(len({key for time, key in events if end - 12 < time // 300 <= end}) for end in panes)


def highest(arrivals):
    state, most = {}, 0
    for time, key in arrivals:
        if PANES.add(state, time // 300, key, (0, 0, 0)):
            most = max(most, *(count for _, count in PANES.counts(state, time // 300)))
    return most


some_events = st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 40)), min_size=1, max_size=60)


@given(events=some_events, delays=st.lists(st.integers(0, 599), min_size=60, max_size=60))
def test_the_fullest_window_is_found_however_late_events_come(events, delays):
    late = [
        event for _, event in sorted(zip((time + delay for (time, _), delay in zip(events, delays, strict=False)), events, strict=True))
    ]
    assert highest(late) == highest(sorted(events)) == naive(events)


def test_a_window_that_has_just_ended_still_holds_all_of_its_panes():
    """Ten things in pane 0; the next hour begins; then one comes late that belongs to the first."""
    assert highest([*((0, key) for key in range(10)), (3600, 50), (3599, 60)]) == 11


@given(events=some_events)
def test_a_bound_is_one(events):
    state = {}
    for time, key in sorted(events):
        bound = PANES.add(state, time // 300, key, (0, 0, 0))
        if bound:
            assert all(count <= bound for _, count in PANES.counts(state, time // 300))


def test_beyond_64_it_estimates_and_comes_back_to_counting():
    state = {}
    for key in range(1000):
        PANES.add(state, (10 + key) // 300, key, (0, key, 0))
    [(end, count)] = PANES.counts(state, 1009 // 300)
    assert count == pytest.approx(1000, rel=0.15)
    newest = [place[1] for place in PANES.evidence(state, end)]
    assert newest == sorted(set(newest))
    assert (len(newest), newest[-1]) == (50, 999)
    assert len(state["k"]) == 0 < len(state["h"])
    PANES.add(state, 20_000 // 300, 1, (0, 1, 0))
    assert "h" not in state
    assert PANES.counts(state, 20_000 // 300) == [(66, 1)]


def test_up_to_64_it_is_exact():
    state = {}
    for key in range(EXACT):
        PANES.add(state, 0, key, (0, key, 0))
    assert PANES.counts(state, 0) == [(0, EXACT)]


def test_a_day_has_the_things_of_that_day_few_as_they_are_and_many_as_a_sketch():
    panes, state = Distinct(14_400, 6), {}
    for hour in range(30):
        panes.add(state, hour // 4, hour, (0, hour, 0))
    first, second = panes.of_day(state, 0), panes.of_day(state, 1)
    assert (first[0], count_held([first[1]])) == (24, 24)
    assert isinstance(first[1], bytes)
    assert second == (6, [24, 25, 26, 27, 28, 29])
    assert panes.of_day(state, 5) == (0, [])


def test_days_are_counted_together_whether_few_or_many():
    many = sketch_add_all(None, range(30))
    assert count_held([[1, 2], [2, 3]]) == 3
    assert count_held([many, [29, 30], [30, 31]]) == 32
    assert count_held([]) == 0


def test_peaks_are_those_of_thirty_days_before():
    state = {}
    assert raise_peak(state, 100, 5) is None
    assert raise_peak(state, 100, 4) == -1
    assert raise_peak(state, 100, 7) == 5
    assert (own_peak(state, 100), own_peak(state, 101), own_peak(state, 130), own_peak(state, 131)) == (None, 7, 7, None)

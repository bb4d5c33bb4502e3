"""What peers do: figures of the days before, from histograms in which each principal's day stands once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.detectors.peers import LEAST, Peers, level, value_of


def peers(*shelves):
    made = Peers(dict(enumerate(shelves)))
    made.turn_to(shelves[0], {})
    return made


@given(st.integers(0, 10**9))
def test_a_level_is_at_most_a_fifth_below(value):
    assert value_of(level(value)) <= value + 1
    assert value_of(level(value)) * 1.2 >= value


def test_the_day_itself_and_what_is_older_than_a_week_do_not_count():
    made = peers({})
    for day in (91, 92, 99, 100):
        for _ in range(LEAST):
            made.move("m", day, None, day - 90)
    assert made.quantile("m", 100, 1.0) == 9
    assert made.quantile("m", 99, 1.0) == 2
    assert made.quantile("m", 91, 1.0) is None


def test_below_twenty_there_is_no_figure():
    made = peers({})
    for _ in range(LEAST - 1):
        made.move("m", 1, None, 3)
    assert made.quantile("m", 2, 0.95) is None
    made.move("m", 1, None, 3)
    assert made.quantile("m", 2, 0.95) == 3


def test_a_principal_moves_and_stands_once():
    made = peers({})
    for _ in range(LEAST):
        made.move("m", 1, None, 3)
        made.move("m", 1, 3, 8)
    assert made.counts("m", 2) == {8: LEAST}


def test_buckets_are_added_up_and_a_late_move_is_seen():
    first, second = {"m": {1: {2: 10}}}, {"m": {1: {4: 10}}}
    made = peers(first, second)
    assert made.quantile("m", 2, 0.5) == 2
    assert made.quantile("m", 2, 0.95) == 4
    made.move("m", 1, 2, 30)
    assert made.quantile("m", 2, 1.0) == 30


@pytest.mark.parametrize("share", [0.5, 0.95, 1.0])
def test_the_quantile_is_that_of_the_sorted_values(share):
    made = peers({})
    values = sorted(range(30))
    for value in values:
        made.move("m", 1, None, value)
    assert made.quantile("m", 2, share) == values[min(29, int(share * 30 + 0.999) - 1)]

"""Lines that strangers can ask for: one in a while, and every one of them is counted."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.seldom import QUIET_S, Seldom


@given(st.lists(st.floats(0, 3 * QUIET_S), max_size=50))
def test_each_is_told_or_counted_in_the_next_line_and_lines_are_rare(pauses: list[float]) -> None:
    seldom, now, told, lines = Seldom(), 0.0, 0, []
    for pause in pauses:
        now += pause
        if (others := seldom.ask(now)) is not None:
            lines.append(now)
            told += 1 + (int(others.split()[1]) if others else 0)
    rest = seldom.rest()
    assert told + (int(rest.split()[1]) if rest else 0) == len(pauses) == seldom.count
    assert all(after - before >= QUIET_S for before, after in pairwise(lines))
    assert seldom.rest() == ""

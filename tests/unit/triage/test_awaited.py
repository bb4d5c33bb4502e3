"""When the store is asked for findings that were closed before it had them."""

from itertools import pairwise

from tallystick_stream_jobs.triage.awaited import FIRST_PAUSE_S, GIVEN_UP_S, LONGEST_PAUSE_S, MOST, Awaited, parse_awaited


def test_it_asks_soon_then_ever_more_seldom_and_for_a_day() -> None:
    awaited = Awaited()
    awaited.add(["F1"], 0.0)
    asked = []
    for now in range(0, int(GIVEN_UP_S) + 120):
        if awaited.due(now):
            asked.append(now)
            awaited.drop([], now)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_S
    assert GIVEN_UP_S <= asked[-1] < GIVEN_UP_S + LONGEST_PAUSE_S
    assert awaited.findings() == []


def test_more_verdicts_do_not_put_the_question_off() -> None:
    awaited = Awaited()
    for n in range(20):
        awaited.add([f"F{n}"], n / 10)
    assert awaited.due(FIRST_PAUSE_S)


def test_what_has_come_is_asked_for_no_more() -> None:
    awaited = Awaited()
    awaited.add(["F1", "F2"], 0.0)
    awaited.drop(["F1"], 1.0)
    assert awaited.findings() == ["F2"]
    assert parse_awaited(awaited.encoded()).findings() == ["F2"]
    awaited.drop(["F2"], 2.0)
    assert not awaited.due(100.0)


def test_made_up_findings_fill_no_memory() -> None:
    awaited = Awaited()
    awaited.add([f"F{n}" for n in range(MOST + 5)], 0.0)
    awaited.add(["new"], 1.0)
    assert len(awaited.findings()) == MOST
    assert awaited.findings()[-1] == "new"

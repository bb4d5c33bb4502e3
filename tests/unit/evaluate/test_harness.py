"""The harness itself: it gives full marks to one who knows, none to one who is blind, and its splices are what they say."""

from copy import deepcopy
from dataclasses import replace

import pytest
from tests.support.edgar import small_log, write_log

from tallystick_infra.evaluate import run
from tallystick_infra.evaluate.figures import Caught, alarms, at_most, recall, threshold
from tallystick_infra.evaluate.log import DAY_S, part_of, read_log
from tallystick_infra.evaluate.splice import REQUESTS, SPEEDS, splices


class Knows:
    name = "knows"

    def scores(self, facts):
        return [float("harvest" in fact.event.resource.id) for fact in facts]


class Blind:
    name = "blind"

    def scores(self, facts):
        return [0.0] * len(facts)


class Guesses:
    """Alike for everybody: what one can have without looking."""

    name = "guesses"

    def scores(self, facts):
        return [part_of(facts[0].event.actor.principal + "!") + len(facts[0].event.actor.principal) / 10] * len(facts)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return read_log(write_log(tmp_path_factory.mktemp("log") / "day.csv", small_log()))


@pytest.fixture
def result(evaluated):
    return replace(evaluated, scores=deepcopy(evaluated.scores))


@pytest.fixture(scope="module")
def evaluated(log):
    return run.evaluate(log, lambda *_: None, 1, [Knows(), Blind(), Guesses()])


def test_who_knows_scores_one_who_is_blind_scores_nothing(result):
    for span in run.SPANS:
        assert result.recall("knows", 0.01, span).value == 1
        assert result.recall("blind", 0.01, span).value == 0
        assert result.recall("guesses", 0.01, span).value < 1
        assert result.split_otherwise("knows", 0.01, span) == (1, 1)
        assert result.split_otherwise("blind", 0.01, span) == (0, 0)
    assert result.false_alarms("knows", 0.01).value == result.false_alarms("blind", 0.01).value == 0


def test_only_the_second_part_is_reported_and_the_first_alone_is_frozen_on(log, result):
    assert {part_of(seen.victim) for seen in result.scores["knows"].hijacks["whole"]} == {0, 1}
    assert {part_of(seen.victim) for seen in result.reported("knows", "whole")} == {1}
    assert len(result.part("knows", 0)) + len(result.part("knows", 1)) == len(log.users()) == 80
    # A user of the second part who looks like a thief moves no threshold.
    result.scores["knows"].untouched |= {user: 9.0 for user in result.users if part_of(user) == 1}
    assert result.line("knows", 0.01) == 0


@pytest.mark.parametrize("span", run.SPANS)
def test_a_hijack_is_400_requests_in_a_row_under_the_victims_name(log, span):
    drawn = list(splices(log, 0, span))
    assert len({hijack.victim for hijack in drawn}) == 40
    for at, hijack in enumerate(drawn):
        stolen = [fact for fact, taken in zip(hijack.facts, hijack.stolen, strict=True) if taken]
        own = [fact for fact, taken in zip(hijack.facts, hijack.stolen, strict=True) if not taken]
        assert hijack.speed == SPEEDS[at % 3]
        assert len(stolen) == REQUESTS
        assert len(own) == len(log.people[hijack.victim])
        assert {fact.event.actor.principal for fact in hijack.facts} == {hijack.victim}
        assert [fact.time for fact in hijack.facts] == sorted(fact.time for fact in hijack.facts)
        assert part_of(hijack.donor) == part_of(hijack.victim)
        numbers = [int(fact.event.resource.id.rsplit("-", 1)[1]) for fact in stolen]
        assert numbers == list(range(numbers[0], numbers[0] + REQUESTS))
        rows = log.people[hijack.donor]
        gap = (rows[1].time - rows[0].time) / hijack.speed
        assert stolen[1].time - stolen[0].time == pytest.approx(gap)
        assert stolen[0].time >= log.start
        if span == "one-day":
            assert stolen[-1].time < log.start + DAY_S
    if span == "whole":
        assert max(hijack.facts[-1].time for hijack in drawn) > log.start + DAY_S


def test_a_draw_depends_on_its_seed_alone(log):
    def drawn(seed):
        return [(one.victim, one.donor, one.facts[0].time) for one in splices(log, seed, "whole")]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize(("rate", "line"), [(0.01, 98), (0.05, 94), (0.0, 99), (1.0, 0)])
def test_a_threshold_lets_so_many_exceed_it(rate, line):
    scores = [float(score) for score in range(100)]
    assert threshold(scores, rate, 1) == line
    assert sum(score > line for score in scores) <= rate * 100


def test_two_days_pay_for_twice_the_alarms():
    scores = [float(score) for score in range(100)]
    assert threshold(scores, 0.01, 2) == 97
    assert alarms(scores, 97, 2).value == 0.01


def test_an_interval_holds_its_figure_and_is_by_principal():
    frozen = [float(score) for score in range(100)]
    one = recall(frozen, [Caught("a", 200.0)] * 50 + [Caught("b", 0.0)] * 50, 0.01, 1)
    assert (one.low, one.value, one.high) == (0, 0.5, 1)
    many = recall(frozen, [Caught(str(at), 200.0 * (at % 2)) for at in range(100)], 0.01, 1)
    assert 0.3 < many.low < many.value < many.high < 0.7


@pytest.mark.parametrize(("count", "trials", "share"), [(0, 1228, 0.0024), (0, 10, 0.2589), (1, 10, 0.3942), (10, 10, 1.0)])
def test_nothing_seen_leaves_something_possible(count, trials, share):
    # Values of R's binom.test(count, trials, alternative = "less").
    assert at_most(count, trials) == pytest.approx(share, abs=1e-4)

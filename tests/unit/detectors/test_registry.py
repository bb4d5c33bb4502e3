"""The registry: every detector with the thresholds of a deployment, and one clear error for all that is wrong."""

import math

import pytest
from tests.support.detecting import findings, of, pull, timeline

from tallystick_stream_jobs.detectors.d01_bulk_objects import BulkObjects
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.registry import FACTORIES, METAS, RULES, build_rules, check_parameters
from tallystick_stream_jobs.errors import ParametersRefused


def test_ids_are_unique_and_in_order() -> None:
    ids = [rule.meta.id for rule in RULES]
    assert ids == sorted(set(ids))
    assert len(FACTORIES) == len(RULES) == len(METAS)


def test_a_threshold_that_is_set_is_in_force_and_shown() -> None:
    rules = build_rules({"D01": {"alert": 10}})
    shown = {rule.meta.id: rule.meta for rule in rules}["D01"].parameters["alert"]
    assert (shown.value, shown.unit, shown.source) == (10, "distinct objects in 60 min", "set in the policy file")
    told = findings(timeline(pull(10)), Engine(rules))
    assert [(one.value, one.threshold) for one in of(told, "D01")] == [(10, 10)]
    assert METAS["D01"].parameters["alert"].value == 25, "the defaults stay as they are"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {"D01": {"alert": math.nan, "allert": 3, "step_up": 0}, "D99": {"x": 1}, "D03": {"coverage": True}}
    with pytest.raises(ParametersRefused) as caught:
        build_rules(wrong)
    assert caught.value.problems == check_parameters(wrong)
    text = str(caught.value)
    for part in (
        "no detector D99",
        "D01.alert is nan, not a number",
        "no parameter allert (it has alert, peers_share",
        "D01.step_up is 0",
        "True",
    ):
        assert part in text
    assert len(caught.value.problems) == 5


def test_a_rule_alone_refuses_too() -> None:
    with pytest.raises(ParametersRefused, match="no parameter nothing"):
        BulkObjects({"nothing": 1})


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS)
def test_defaults_are_within_their_own_bounds(meta) -> None:
    for name, parameter in meta.parameters.items():
        assert parameter.least <= parameter.value <= parameter.most, name
        assert parameter.unit
        assert parameter.source

"""Rules of one's own under the detectors' one contract (`tests/support/detector_contract.py`): the shipped ones, over their own examples."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import detector_contract as contract
from tests.support.sigma import SHIPPED
from tests.support.streams import T0, Item

from tallystick_schemas.events import encode_event, parse_event
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.base import Rule
from tallystick_stream_jobs.sigma.load import load_rules
from tallystick_stream_jobs.sigma.rule import UserRule

RULES = {rule.meta.id: rule for rule in load_rules(SHIPPED)[0]}
each = pytest.mark.parametrize("name", list(RULES))
some = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def factory_of(name: str) -> contract.Factory:
    def factory() -> tuple[Rule, ...]:
        return (UserRule(RULES[name].definition),)

    return factory


def stream_of(name: str, expect: bool) -> list[Item]:
    """The events of the rule's first example of that kind, at the streams' own time."""
    example = next(one for one in RULES[name].definition.examples if one.expect is expect)
    items = []
    for at, raw in example.events:
        event = parse_event(raw)
        again = type(event)(**{field: getattr(event, field) for field in event.__struct_fields__} | {"time": wire_time(T0 + at)})
        items.append(Item(at, 0, encode_event(again)))
    return items


@each
def test_contract(name: str) -> None:
    contract.check_contract(factory_of(name), name, stream_of(name, True), stream_of(name, False))


@each
@some
@given(data=st.data())
def test_batches_can_be_cut_anywhere(name: str, data: st.DataObject) -> None:
    items = stream_of(name, True)
    contract.law_of_cuts(factory_of(name), items, data.draw(st.lists(st.integers(1, len(items)), max_size=12)))


@each
@some
@given(delays=st.lists(st.floats(0, 599), min_size=1, max_size=17), speaks=st.booleans())
def test_ten_minutes_late_changes_nothing(name: str, delays: list[float], speaks: bool) -> None:
    contract.law_of_lateness(factory_of(name), stream_of(name, speaks), delays)


@each
@some
@given(data=st.data())
def test_a_snapshot_anywhere_changes_nothing(name: str, data: st.DataObject) -> None:
    items = stream_of(name, True)
    contract.law_of_snapshots(factory_of(name), items, data.draw(st.integers(0, len(items))), data.draw(st.integers(0, 10)))

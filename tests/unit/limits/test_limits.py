"""The growth of every parser that bytes from outside reach, and the page that is made of the table."""

import pytest
from tests.support.growth import QUADRATIC, cost, growth

from tallystick_schemas.strict_json import check_json

from .handlers import Handler, cases, unnamed
from .page import PATH, build
from .shapes import FORM, JSON
from .work import BY_NAME

MISTAKES = (TypeError, AttributeError, NameError, LookupError, ImportError, AssertionError)
"""These come of code, never of bytes."""


@pytest.mark.parametrize(("handler", "shape"), [pytest.param(one, shape, id=f"{one.name}-{shape}") for one, shape in cases()])
def test_its_cost_grows_with_its_size(handler: Handler, shape: str) -> None:
    assert growth(handler.work, handler.shapes[shape], handler.size) < QUADRATIC / 2


def refusal(handler: Handler, given: bytes) -> Exception | None:
    """What the handler raises, if anything."""
    try:
        handler.work(given)
    except Exception as error:  # noqa: BLE001 - each library refuses with errors of its own
        return error
    return None


@pytest.mark.parametrize(("handler", "shape"), [pytest.param(one, shape, id=f"{one.name}-{shape}") for one, shape in cases()])
def test_what_is_measured_is_the_parser_and_no_mistake_of_the_test(handler: Handler, shape: str) -> None:
    """Whatever it refuses counts as done, so it must be the input that is refused."""
    assert not isinstance(refusal(handler, handler.shapes[shape](64)), MISTAKES)


@pytest.mark.parametrize("shape", FORM)
def test_a_form_costs_no_more_than_a_few_times_as_much_json(shape: str) -> None:
    """A reader of mail took 30 µs a byte of a header's parameters: that grows little faster than it should, and is too much all the same."""
    assert cost(BY_NAME["a form to the store"], FORM[shape](16 << 10)) < 20 * cost(check_json, JSON["many keys"](16 << 10))


def test_every_work_is_in_the_table() -> None:
    assert unnamed() == {}


def test_the_page_is_the_tables() -> None:
    assert PATH.read_text() == build(), "run python -m tests.unit.limits.page"

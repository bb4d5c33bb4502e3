"""The bar of a finding's page: how far the measure is over the threshold."""

import msgspec
import pytest
from tests.support.console import theft_finding

from tallystick_dashboard.pages.evidence import _bar

FINDING = theft_finding(1_795_406_400.0, [])


@pytest.mark.parametrize(("value", "threshold", "left"), [(10.0, 4.0, "40.0%"), (4.0, 4.0, "100.0%"), (3.0, 0.0, "0.0%")])
def test_the_mark_stands_at_the_threshold(value: float, threshold: float, left: str) -> None:
    [bar] = _bar(msgspec.structs.replace(FINDING, value=value, threshold=threshold))
    assert bar.children.style == {"left": left}  # type: ignore[attr-defined]  # Dash's own


@pytest.mark.parametrize(("value", "threshold"), [(0.0, 1.0), (0.0, 0.0), (2.0, 3.0)])
def test_what_is_not_over_it_has_no_bar(value: float, threshold: float) -> None:
    """A lock about nobody is 0 of 1 events: a full bar said that it was over."""
    assert _bar(msgspec.structs.replace(FINDING, value=value, threshold=threshold)) == []

"""Counts in sentences."""

from tallystick_schemas.blast_radius import GROUPS
from tallystick_schemas.words import counted, figure, noun


def test_one_is_one_and_all_others_are_many() -> None:
    assert [counted(n, "record") for n in (0, 1, 2, 2_000)] == ["0 records", "1 record", "2 records", "2,000 records"]
    assert [counted(n, "entry", "entries") for n in (1, 3)] == ["1 entry", "3 entries"]
    assert [noun(n, one, name) for n, (name, one) in zip((1, 2), GROUPS.items(), strict=False)] == ["principal", "credentials"]


def test_figures_have_no_exponent() -> None:
    assert [figure(one) for one in (0.9, 0.125, 40.0, 12_345.6, 50_335_900.0)] == ["0.9", "0.125", "40", "12,346", "50,335,900"]

"""docs/detection.md keeps up with the detectors, and its example keeps the contract."""

import re

import pytest
from tests.support.detector_contract import check_contract
from tests.support.pages import ROOT, Page
from tests.support.streams import event

from tallystick_stream_jobs.detectors.registry import METAS

PAGE = Page(ROOT / "docs/detection.md")
ROWS = {row[0]: row for row in PAGE.table("id")}


def test_the_table_has_every_detector_and_no_other() -> None:
    assert list(ROWS) == list(METAS)


@pytest.mark.parametrize("name", METAS)
def test_the_row_says_what_the_metadata_says(name: str) -> None:
    meta, (_, _, line, most, _) = METAS[name], ROWS[name]
    assert most == meta.most
    numbers = {float(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", line)}
    first = [one.value for one in meta.parameters.values()][:1]
    shown = numbers | {number / 100 for number in numbers} | {number * 1e6 for number in numbers}
    assert set(first) <= shown, f"{line} does not show {first}"


def test_the_example_keeps_the_contract() -> None:
    [code] = [code for code in PAGE.fenced("python") if "class Deletions" in code]
    made: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), made)
    speaks, silent = (
        [event(n * 60.0, part=f"p{n}", model=f"acme/m{n % different}", action="artifact.delete") for n in range(9)] for different in (9, 2)
    )
    check_contract(lambda: (made["Deletions"](),), "X01", speaks, silent)  # type: ignore[operator]

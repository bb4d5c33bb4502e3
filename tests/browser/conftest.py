"""A running console and a Chromium for every browser test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.browser import chromium, chromium_path
from tests.support.console import RunningConsole


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with RunningConsole(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    if chromium_path() is None:
        pytest.skip("no Chromium: set TALLYSTICK_CHROMIUM or put `chromium` on the PATH")
    with chromium() as running:
        yield running

"""A running console and a Chromium for every browser test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.support.browser import Watched, chromium, chromium_path
from tests.support.console import RunningConsole

# Only how long a broken page is waited for: machines are shared, and nothing here judges time.
expect.set_options(timeout=20_000)


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


@pytest.fixture
def watched(browser: Browser, console: RunningConsole) -> Iterator[Watched]:
    """Signed in, on the Live page. Whatever a test did: no policy violation and nothing on the browser's console."""
    made = Watched(browser)
    made.page.goto(console.link())
    expect(made.page.locator("#tail-empty")).to_be_visible()
    yield made
    assert made.violations() == []
    assert made.errors == []
    made.context.close()

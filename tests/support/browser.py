"""A real Chromium for tests and for pictures of the console."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_WATCH = "window.__csp = []; document.addEventListener('securitypolicyviolation', e => window.__csp.push(e.violatedDirective + ' ' + e.blockedURI));"


def chromium_path() -> str | None:
    """The browser to drive: TALLYSTICK_CHROMIUM, or `chromium` on the PATH."""
    return os.environ.get("TALLYSTICK_CHROMIUM") or shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page whose console errors, page errors and policy violations are kept."""

    def __init__(self, browser: Browser, width: int = 1280, height: int = 800, theme: Literal["light", "dark"] = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        self.context.add_init_script(_WATCH)
        self.errors: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda m: self.errors.append(f"{m.text} {m.location}") if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))

    def violations(self) -> list[str]:
        """Content security policy violations on the page that is open now."""
        return list(self.page.evaluate("window.__csp"))


def take_picture(
    link: str,
    out: Path,
    theme: Literal["light", "dark"] = "light",
    path: str = "/",
    wait_for: str = "#tail-body tr",
    width: int = 1280,
    height: int = 800,
) -> None:
    """Sign in by `link`, go to `path`, wait until `wait_for` (a selector) is seen, and write a PNG to `out`."""
    with chromium() as browser:
        watched = Watched(browser, width, height, theme)
        page = watched.page
        page.goto(link)
        page.wait_for_selector("#health")
        if path != "/":
            page.goto(link.partition("/sign-in")[0] + path)
        page.wait_for_selector(wait_for)
        page.wait_for_selector("#health-ingest:not(.level-unknown)")
        page.evaluate("document.fonts.ready")
        page.screenshot(path=str(out))
        watched.context.close()

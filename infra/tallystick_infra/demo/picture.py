"""`make picture`: the README's pictures of the console, from a real demonstration in a real Chromium. `python -m tallystick_infra.demo.picture OUT_DIR`."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from ..cli.console_settings import sign_in
from ..cli.demo import FREE_PORTS
from ..deployment import Deployment
from ..supervisor import Supervisor
from .artifacts import MODEL, make_artifacts
from .story import Story

_WHO = "ana@example.org"
_SIZE = {"width": 1440, "height": 810}
_THEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", "console.png"), ("dark", "console-dark.png"))


def take_pictures(out: Path) -> None:
    """The findings page with the theft's drawer open, light and dark."""
    scratch = Path(tempfile.mkdtemp(prefix="tallystick-picture-"))
    try:
        deployment = Deployment.create(scratch, FREE_PORTS)
        make_artifacts(deployment.path / "artifacts")
        parts = sorted(path.name for path in (deployment.path / "artifacts" / "models" / MODEL).glob("*.safetensors"))
        with Supervisor(deployment), sync_playwright() as play:
            Story(deployment, MODEL, parts, lambda _: None).play()
            browser = play.chromium.launch(
                executable_path=os.environ.get("TALLYSTICK_CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for theme, name in _THEMES:
                _take(browser, deployment, theme, out / name)
            browser.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _take(browser: Browser, deployment: Deployment, theme: Literal["light", "dark"], out: Path) -> None:
    link = sign_in(deployment, _WHO)  # not the name of whoever runs this
    page = browser.new_context(viewport=_SIZE, color_scheme=theme).new_page()  # type: ignore[arg-type]  # width and height
    page.goto(link)
    page.wait_for_selector("#health-ingest:not(.level-unknown)")
    page.goto(f"{link.partition('/sign-in')[0]}/findings")
    page.get_by_role("link", name="Pull of a whole model").first.click()
    page.wait_for_selector("table[aria-label=Evidence] tbody tr")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(800)
    page.screenshot(path=str(out))
    page.context.close()


if __name__ == "__main__":
    take_pictures(Path(sys.argv[1]))

"""What the console's pages say about locks and findings that are over, and what stays in sight on a narrow screen."""

import pytest
from playwright.sync_api import Browser, expect
from tests.support.browser import Watched
from tests.support.console import RunningConsole

from tallystick_dashboard.ports import Closing
from tallystick_schemas.messages import Lock
from tallystick_schemas.signing import wire_time

pytestmark = pytest.mark.browser


def send_lock(console: RunningConsole, name: str, **more: str) -> None:
    facts = {
        "state": "locked",
        "command": f"c-{name}",
        "reason": f"because of {name}",
        "by": "ana",
        "at": wire_time(console.hub.clock() - 60),
    }
    console.simulator.send_lock(Lock(subject=f"principal:{name}", **(facts | more)))  # type: ignore[arg-type]


def test_locks_say_their_level_and_how_they_end(console: RunningConsole, watched: Watched) -> None:
    page, now = watched.page, console.hub.clock()
    send_lock(console, "gone", level="revoke")
    send_lock(console, "endless")
    send_lock(console, "proving", level="step-up", until=wire_time(now + 3600))
    send_lock(console, "past", by="responder", until=wire_time(now - 1))
    send_lock(console, "freed", state="unlocked", by="bo")
    page.locator("#nav-locks").click()
    held = page.get_by_role("table", name="Locks in force").locator("tbody tr")
    expect(held).to_have_count(3)
    revoked, endless, proving = (held.filter(has_text=name) for name in ("gone", "endless", "proving"))
    expect(revoked).to_contain_text("revoked")
    expect(revoked).to_contain_text("for good")
    expect(revoked.get_by_role("button")).to_have_count(0)
    expect(endless).to_contain_text("suspended")
    expect(endless).to_contain_text("no end")
    expect(endless.get_by_role("button", name="Unlock")).to_be_visible()
    expect(proving).to_contain_text("step-up")
    expect(proving.get_by_role("button", name="Unlock")).to_be_visible()
    over = page.get_by_role("table", name="Lifted or over").locator("tbody tr")
    expect(over.filter(has_text="past")).to_contain_text("its time was over")
    expect(over.filter(has_text="freed")).to_contain_text("lifted by bo")


@pytest.mark.parametrize("width", [1024, 1280])
def test_a_narrow_screen_keeps_the_way_out_and_what_was_read(console: RunningConsole, watched: Watched, width: int) -> None:
    page, simulator = watched.page, console.simulator
    page.set_viewport_size({"width": width, "height": 800})
    simulator.everyday(8)
    simulator.refresh()
    console.hub.seen.behind = 1_234
    simulator.send_heartbeat()
    expect(page.locator("#health-ingest")).to_contain_text("1,234 behind")
    for name in ("Light or dark", "Sign out"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    expect(page.locator(".who")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.header').scrollWidth") <= width
    what = page.locator("th.c-what").bounding_box()
    assert what is not None
    assert what["width"] >= 120
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_act_is_recorded_as_the_person_of_the_link(console: RunningConsole, browser: Browser) -> None:
    watched, simulator = Watched(browser), console.simulator
    page = watched.page
    page.goto(console.link("bo@example.org"))
    expect(page.locator(".who")).to_have_text("bo@example.org")
    simulator.theft()
    page.locator("#nav-locks").click()
    page.get_by_role("button", name="Unlock").click()
    dialog = page.get_by_role("dialog", name="Lift the lock")
    dialog.get_by_role("textbox", name="Reason").fill("Checked with the owner")
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog.locator(".step.done")).to_have_count(2)
    assert simulator.acts[0]["actor"].principal == "bo@example.org"
    watched.context.close()


def test_a_finding_closed_elsewhere_looks_closed(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.quiet_findings()
    simulator.closed["F-1aa0c1d2e3f4"] = Closing("testing-or-maintenance", "bo", "the nightly copy", "2026-11-23T21:11:54.000000Z")
    page.locator("#nav-findings").click()
    expect(page.locator("#findings-list tbody tr")).to_have_count(3)
    simulator.refresh()
    rows = page.locator("#findings-list tbody tr")
    expect(rows.filter(has_text="closed")).to_have_count(1)
    page.goto(f"{console.url}/findings?finding=F-1aa0c1d2e3f4")
    expect(page.locator(".closed")).to_contain_text("Closed by bo as testing or maintenance: the nightly copy, 23 Nov 21:11:54 UTC")
    expect(page.get_by_role("button", name="Close the finding")).to_be_hidden()

"""What the console's pages say about locks and findings that are over, and what stays in sight on a narrow screen."""

from typing import Literal

import msgspec
import pytest
from playwright.sync_api import Browser, expect
from tests.support.browser import Watched
from tests.support.console import RunningConsole, make_event

from tallystick_dashboard.ports import Closing
from tallystick_schemas.messages import Lock
from tallystick_schemas.probes import PROBE_ATTR, PROBE_ROLE
from tallystick_schemas.signing import wire_time
from tallystick_schemas.standing import Standing

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


def test_a_link_on_another_site_asks_before_it_ends_a_session(console: RunningConsole, browser: Browser) -> None:
    watched = Watched(browser)
    page = watched.page
    page.goto(console.link("ana"))
    expect(page.locator(".who")).to_have_text("ana")
    link = console.link("eve")
    page.route("http://elsewhere.example/", lambda route: route.fulfill(content_type="text/html", body=f'<a href="{link}">a kitten</a>'))
    page.goto("http://elsewhere.example/")
    page.get_by_role("link", name="a kitten").click()
    expect(page.get_by_role("heading")).to_have_text("Somebody is signed in already")
    page.get_by_role("link", name="stay ana").click()
    expect(page.locator(".who")).to_have_text("ana")
    page.goto(link)
    page.get_by_role("link", name="Sign in as eve").click()
    expect(page.locator(".who")).to_have_text("eve")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("http://elsewhere.example/")
    page.evaluate("link => document.querySelector('a').href = link", console.link("dora"))
    page.get_by_role("link", name="a kitten").click()
    expect(page.locator(".who")).to_have_text("dora")
    assert (watched.violations(), watched.errors) == ([], [])
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


def beat(now: float) -> bytes:
    return make_event(now, "gateway", "agent.heartbeat", resource="gateway")


def test_heartbeats_are_hidden_until_somebody_wants_them(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    rows, none = page.locator("#tail-body tr"), page.locator("#tail-none")
    simulator.send_events([beat(now)])
    expect(none).to_contain_text("Nothing but heartbeats so far")
    expect(none).to_contain_text("1 heartbeat is hidden.")
    simulator.send_events([make_event(now, "ana@example.org", "model.infer"), *[beat(now)] * 3])
    expect(rows).to_have_count(1)
    expect(none).to_be_hidden()
    page.get_by_role("button", name="Heartbeats").click()
    expect(rows).to_have_count(5)
    page.reload()
    expect(rows).to_have_count(5)
    page.keyboard.press("h")
    expect(rows).to_have_count(1)


def test_heartbeats_do_not_push_out_what_people_did(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    simulator.send_events([make_event(now, "ana@example.org", "model.infer")])
    expect(page.locator("#tail-body tr")).to_have_count(1)
    for _ in range(10):
        simulator.send_events([beat(now)] * 50)
        page.wait_for_timeout(300)
    page.locator("#tail-filter").fill("ana@")
    expect(page.locator("#tail-body tr")).to_have_count(1)


def test_a_filter_without_hits_says_so_and_leads_out(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    simulator.send_events([make_event(now, "ana@example.org", "model.infer"), make_event(now, "bo@example.org", "model.load")])
    rows, none = page.locator("#tail-body tr"), page.locator("#tail-none")
    expect(rows).to_have_count(2)
    page.locator("#tail-filter").fill("nobody")
    expect(none).to_contain_text("No row matches “nobody”")
    expect(none).to_contain_text("the newest 2 rows")
    none.get_by_role("button", name="Clear the filter").click()
    expect(rows).to_have_count(2)
    expect(none).to_be_hidden()
    expect(page.locator("#tail-filter")).to_have_value("")
    page.locator("#tail-filter").fill("nobody")
    page.locator("#nav-locks").click()
    page.locator("#nav-live").click()
    expect(page.locator("#tail-filter")).to_have_value("")
    expect(rows).to_have_count(2)


def test_a_probe_is_not_shown_as_an_attack(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    probe = make_event(now, "tallystick-probe", "access.check", outcome="denied", roles=[PROBE_ROLE], attrs={PROBE_ATTR: "true"})
    simulator.send_events([probe, make_event(now, "mallory", "access.check", outcome="denied", attrs={PROBE_ATTR: "true"})])
    ours = page.locator("#tail-body tr").filter(has_text="tallystick-probe")
    expect(ours.locator(".badge").filter(has_text="probe")).to_be_visible()
    expect(ours.locator(".tone-critical")).to_have_count(0)
    theirs = page.locator("#tail-body tr").filter(has_text="mallory")
    expect(theirs.locator(".tone-critical")).to_have_text("denied")
    expect(theirs.locator(".badge").filter(has_text="probe")).to_have_count(0)


def test_titles_name_the_page_and_the_finding(console: RunningConsole, watched: Watched) -> None:
    page = watched.page
    expect(page).to_have_title("Live · Tallystick")
    console.simulator.quiet_findings()
    for icon, name in (("locks", "Locks"), ("history", "History"), ("findings", "Findings")):
        page.locator(f"#nav-{icon}").click()
        expect(page).to_have_title(f"{name} · Tallystick")
    page.locator("#findings-list").get_by_role("link", name="Bytes far above").click()
    expect(page).to_have_title("Bytes far above the peers' habit · Findings · Tallystick")
    page.keyboard.press("Escape")
    expect(page).to_have_title("Findings · Tallystick")


def test_a_choice_without_hits_says_what_there_is(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.send_events([make_event(console.hub.clock(), "ana@example.org", "model.infer")], shard=2)
    simulator.quiet_findings()
    simulator.refresh()
    page.locator("#nav-findings").click()
    page.get_by_text("Critical", exact=True).click()
    expect(page.locator("#findings-list")).to_contain_text("No critical findings")
    expect(page.locator("#findings-list")).to_contain_text("3 findings of other severities: choose All to see them.")
    page.locator("#nav-history").click()
    page.get_by_text("3", exact=True).first.click()
    expect(page.locator("#history-view")).to_contain_text("Shard 3 is empty")


def test_the_evidence_has_no_empty_column_and_says_nothing_twice(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    places = simulator.send_events([make_event(now, "ana@example.org", "access.check")])
    simulator.quiet_findings()
    one = msgspec.structs.replace(console.hub.findings.newest()[0], id="F-checks", evidence=places, title="Only decisions", window_s=86_400)
    simulator.send_finding(one)
    send_lock(console, one.principal, reason=one.text)
    page.goto(f"{console.url}/findings?finding=F-checks")
    heads = page.locator("table[aria-label=Evidence] th")
    expect(heads.filter(has_text="Address")).to_have_count(1)
    expect(heads.filter(has_text="Bytes")).to_have_count(0)
    expect(page.locator(".lock-bar")).to_contain_text("by ana")
    expect(page.locator(".lock-bar")).not_to_contain_text(one.text)
    expect(page.locator(".measure")).to_contain_text("over 1 day")


def test_evidence_that_is_not_what_was_signed_is_no_evidence(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    places = simulator.send_events([make_event(now, "ana@example.org", "dataset.read", part=f"p{n}") for n in range(3)])
    simulator.quiet_findings()
    one = msgspec.structs.replace(console.hub.findings.newest()[0], id="F-forged", evidence=places, title="Forged")
    simulator.send_finding(one)
    page.goto(f"{console.url}/findings?finding=F-forged")
    rows = page.get_by_role("table", name="Evidence").locator("tbody tr")
    expect(page.locator("#drawer-evidence")).to_contain_text(
        "3 of 3 cited events, oldest first. Each was hashed here and is what its agent signed."
    )
    expect(rows.filter(has_text="sealed")).to_have_count(3)
    simulator.standing = {places[0]: Standing.CHANGED, places[2]: Standing.UNPROVEN}
    page.goto(f"{console.url}/findings")
    page.goto(f"{console.url}/findings?finding=F-forged")
    alarm = page.locator("#drawer-evidence").get_by_role("alert")
    expect(alarm).to_contain_text("Of 3 cited events, 1 changed, 1 unproven: the store does not hold what was signed.")
    expect(page.locator("#drawer-evidence")).not_to_contain_text("is what its agent signed")
    expect(rows.nth(0)).to_contain_text("changed")
    expect(rows.nth(1)).to_contain_text("sealed")
    expect(rows.nth(2)).to_contain_text("unproven")


PHONE = 400
_WIDER = """() => [['html', document.documentElement], ...['#page', '.header', '.drawer-content'].map(at => [at, document.querySelector(at)])]
  .filter(([, at]) => at && at.scrollWidth > at.clientWidth).map(([name, at]) => name + ' ' + at.scrollWidth)"""
"""What is wider than it is shown."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_telephone_shows_every_page_and_reaches_every_button(
    console: RunningConsole, browser: Browser, theme: Literal["light", "dark"]
) -> None:
    """No page is wider than the screen; tables scroll inside their cards; buttons are in sight, and are pressed."""
    watched, simulator = Watched(browser, PHONE, 800, theme), console.simulator
    page = watched.page
    page.goto(console.link())
    expect(page.locator("#tail-empty")).to_be_visible()
    simulator.everyday(8)
    finding = simulator.theft()
    simulator.quiet_findings()
    simulator.refresh()
    simulator.send_heartbeat()
    for name, table in (
        ("live", None),
        ("findings", "#findings-list .scroll"),
        ("history", "#history-view .scroll"),
        ("locks", "#locks-list .scroll"),
    ):
        page.locator(f"#nav-{name}").click()
        expect(page.locator(table or "#tail-body tr").first).to_be_visible()
        assert page.evaluate(_WIDER) == [], name
        for tool in ("Light or dark", "Sign out"):
            expect(page.get_by_role("button", name=tool)).to_be_in_viewport(ratio=1)
        if table is not None:
            widths = page.locator(table).first.evaluate("at => [at.scrollWidth, at.clientWidth]")
            assert widths[0] > widths[1], f"{name}: the table keeps its columns and scrolls by itself"
    for cell in ("ingest", "sealed", "detection", "jobs", "locks", "points"):
        expect(page.locator(f"#health-{cell} .health-label")).to_be_in_viewport(ratio=1)
    unlock = page.get_by_role("button", name="Unlock")
    expect(unlock).to_be_in_viewport(ratio=1)
    unlock.click()
    for button in ("#act-cancel", "#act-confirm"):
        expect(page.locator(button)).to_be_in_viewport(ratio=1)
    assert page.evaluate(_WIDER) == [], "the dialog"
    page.locator("#act-cancel").click()
    page.goto(f"{console.url}/findings?finding={finding.id}")
    expect(page.locator("#drawer-evidence")).to_be_visible()
    assert page.evaluate(_WIDER) == [], "a finding"
    expect(page.locator(".drawer-content").get_by_role("button", name="Close", exact=True)).to_be_in_viewport(ratio=1)
    assert (watched.violations(), watched.errors) == ([], [])
    watched.context.close()

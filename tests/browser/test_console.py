"""A person at the console, in a real Chromium: signs in, sees the theft arrive, reads the evidence, lifts the lock."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.browser import Watched
from tests.support.console import CREDENTIAL, THIEF, RunningConsole, Simulator, make_event

from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.notices import WITHDRAWS
from tallystick_schemas.signing import wire_time

pytestmark = pytest.mark.browser


def row(page: Page, text: str):
    return page.locator("#tail-body tr").filter(has_text=text)


def lock_dialog(page: Page, simulator: Simulator):
    """The dialog that locks whom a finding is about, while nobody answers orders."""
    simulator.quiet_findings()
    simulator.answer_orders = False
    page.locator("#nav-findings").click()
    page.locator("#findings-list").get_by_role("link", name="Bytes far above").click()
    page.locator(".lock-bar").get_by_role("button", name="Lock").click()
    return page.get_by_role("dialog", name="Lock")


def test_the_theft_is_seen_and_the_lock_lifted(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    finding = simulator.theft()
    # Pushed to the open page: findings, the lock, the denied requests.
    expect(page.locator("#live-findings")).to_contain_text(finding.title)
    expect(page.locator("#live-locks")).to_contain_text(CREDENTIAL)
    expect(row(page, "denied").first).to_contain_text(THIEF)

    page.locator("#live-findings a").first.click()
    expect(page).to_have_url(re.compile(r"/findings\?finding=F-"))
    drawer = page.locator(".drawer-content")
    expect(drawer).to_contain_text(finding.text)
    expect(drawer.locator("table[aria-label=Evidence] tbody tr")).to_have_count(29)
    expect(drawer.locator("table[aria-label=Evidence]")).to_contain_text("203.0.113.77")
    expect(drawer.locator(".lock-bar")).to_contain_text("Locked")

    drawer.get_by_role("button", name="Unlock").click()
    dialog = page.get_by_role("dialog", name="Lift the lock")
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog.get_by_role("alert").first).to_contain_text("Give a reason")
    assert simulator.acts == []
    dialog.get_by_role("textbox", name="Reason").fill("Checked with the owner: a planned copy")
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog.locator(".step.done")).to_have_count(2)

    act = simulator.acts[0]
    assert (act["action"], act["resource"].kind, act["resource"].id) == ("credential.resume", "credential", CREDENTIAL)
    assert act["why"].text == "Checked with the owner: a planned copy"
    assert (act["actor"].kind, act["actor"].principal) == ("human", "analyst")
    assert act["attrs"]["finding"] == finding.id
    assert act["attrs"]["lifts"] == "auto-D03-5c1d", "the lock that the page showed"
    dialog.get_by_role("button", name="Done").click()
    expect(drawer.locator(".lock-bar")).to_contain_text("Not locked")


def test_locking_waits_for_the_responder_and_says_so(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    dialog = lock_dialog(page, simulator)
    dialog.get_by_role("textbox", name="Reason").fill("Nobody answers for this run")
    dialog.get_by_role("button", name="Lock").click()
    expect(dialog.locator(".step.done")).to_have_count(1)
    expect(dialog).to_contain_text("waiting for the responder")
    act = simulator.acts[0]
    assert act["action"] == "credential.suspend"
    assert act["attrs"]["until"]
    subject = f"{act['resource'].kind}:{act['resource'].id}"
    now = wire_time(console.hub.clock())
    simulator.send_lock(Lock(subject=subject, state="locked", command=act["attrs"]["command"], reason="r", by="analyst", at=now))
    expect(dialog.locator(".step.done")).to_have_count(2)
    expect(dialog).to_contain_text("the lock is in force")


def test_the_dialog_shows_whom_a_lock_hits_and_a_held_order_says_why(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    dialog = lock_dialog(page, simulator)
    expect(dialog.locator("#act-plan")).to_contain_text("Would hit, by the last 24 hours (61 events")
    expect(dialog.locator(".plan-cell").last).to_have_text("29artifacts")
    dialog.get_by_role("textbox", name="Reason").fill("Two people are needed here")
    dialog.get_by_role("button", name="Lock").click()
    expect(dialog).to_contain_text("waiting for the responder")
    act = simulator.acts[0]
    subject, now = f"{act['resource'].kind}:{act['resource'].id}", console.hub.clock()
    lock = Lock(
        subject=subject, state="locked", command=act["attrs"]["command"], reason="Two people are needed here", by="ana", at=wire_time(now)
    )
    waits = "waits for a second person until 12:00 UTC: root is protected: two people decide"
    simulator.send_decision(
        Decision(
            id=lock.command,
            at=wire_time(now),
            by="ana",
            choice="recommend",
            subject=subject,
            reason=waits,
            proposed=lock,
            expires=wire_time(now + 900),
        )
    )
    expect(dialog).to_contain_text(waits)
    expect(dialog).to_contain_text("not carried out")
    dialog.get_by_role("button", name="Done").click()
    page.goto(f"{console.url}/locks")
    expect(page.locator("table[aria-label='Waiting for a second person'] tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Second it").click()
    expect(page.get_by_role("dialog", name="Lock")).to_contain_text(subject.partition(":")[2])


def test_a_revocation_is_seconded_or_withdrawn_from_the_page(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    subject = "principal:mallory@example.org"
    lock = Lock(subject=subject, state="locked", command="cli-1", reason="sold our weights", by="ana", at=wire_time(now), level="revoke")
    said = {"at": wire_time(now), "by": "ana", "subject": subject, "reason": "by hand"}
    ordered = Decision(**said, id="cli-1", choice="recommend", proposed=lock, expires=wire_time(now + 900))
    simulator.send_decision(ordered)
    page.locator("#nav-locks").click()
    waiting = page.get_by_role("table", name="Waiting for a second person")
    expect(waiting).to_contain_text("revoke for good: sold our weights")
    for button, title, word, action, attrs in (
        ("Second it", "Revoke for good", "Revoke", "credential.revoke", {}),
        ("Withdraw", "Withdraw what waits", "Withdraw", "credential.resume", {"withdraw": "true"}),
    ):
        waiting.get_by_role("button", name=button).click()
        dialog = page.get_by_role("dialog", name=title)
        dialog.get_by_role("textbox", name="Reason").fill("Talked to both of them")
        dialog.get_by_role("button", name=word).click()
        expect(dialog).to_contain_text("signed and durable in the record")
        act = simulator.acts[-1]
        assert act["action"] == action
        assert f"{act['resource'].kind}:{act['resource'].id}" == subject
        assert {name: value for name, value in act["attrs"].items() if name != "command"} == attrs
        if button == "Withdraw":
            gone = Decision(**said, id=act["attrs"]["command"], choice="note", policy={WITHDRAWS: "cli-1"})
            simulator.send_decision(gone)
            expect(dialog).to_contain_text("it waits no longer after")
        dialog.get_by_role("button", name="Done").click()
    expect(waiting).to_have_count(0)


def test_a_lock_that_came_while_the_dialog_was_open_is_not_lifted_unseen(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.theft()
    simulator.answer_orders = False
    page.locator("#nav-locks").click()
    page.get_by_role("button", name="Unlock").click()
    dialog = page.get_by_role("dialog", name="Lift the lock")
    now, subject = wire_time(console.hub.clock()), f"credential:{CREDENTIAL}"
    simulator.send_lock(Lock(subject=subject, state="locked", command="cmd-9", reason="seen again", by="ben", at=now))
    expect(page.locator("#locks-list")).to_contain_text("seen again")
    dialog.get_by_role("textbox", name="Reason").fill("Checked with the owner")
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog).to_contain_text("signed and durable in the record")
    attrs = simulator.acts[-1]["attrs"]
    assert attrs["lifts"] == "auto-D03-5c1d"
    said = f"refused: {subject} is locked by command cmd-9"
    simulator.send_decision(Decision(id=attrs["command"], at=now, by="analyst", choice="note", subject=subject, reason=said))
    expect(dialog).to_contain_text(said)


def test_a_record_that_fails_is_shown(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.theft()
    simulator.recorder_error = OSError("the spool is full")
    page.locator("#nav-locks").click()
    page.get_by_role("button", name="Unlock").click()
    dialog = page.get_by_role("dialog", name="Lift the lock")
    dialog.get_by_role("textbox", name="Reason").fill("Checked with the owner")
    dialog.get_by_role("button", name="Unlock").click()
    expect(dialog).to_contain_text("the spool is full")


def test_the_tail_is_pushed_paused_and_filtered(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    now = console.hub.clock()
    simulator.send_events(
        [make_event(now, "ana@example.org", "dataset.read"), make_event(now, "<img src=x onerror=alert(1)>", "model.infer")]
    )
    expect(page.locator("#tail-body tr")).to_have_count(2)
    # What an event says is text, whatever it looks like.
    expect(row(page, "<img src=x")).to_have_count(1)
    assert page.locator("#tail-body img").count() == 0

    page.keyboard.press("p")
    expect(page.locator("#tail-pause")).to_have_attribute("aria-pressed", "true")
    simulator.send_events([make_event(now, "bo@example.org", "model.infer")])
    expect(page.locator("#tail-pause")).to_contain_text("1 new")
    expect(page.locator("#tail-body tr")).to_have_count(2)
    page.locator("#tail-pause").click()
    expect(page.locator("#tail-body tr").first).to_contain_text("bo@example.org")

    page.locator("#tail-filter").fill("ana@")
    expect(page.locator("#tail-body tr")).to_have_count(1)
    simulator.send_events([make_event(now, "bo@example.org", "model.load"), make_event(now, "ana@example.org", "model.load")])
    expect(page.locator("#tail-body tr")).to_have_count(2)


def test_a_tail_that_is_read_anew_shows_no_row_twice(console: RunningConsole, watched: Watched) -> None:
    """What came last comes again when somebody looks after a while in which nobody did."""
    rows, now = watched.page.locator("#tail-body tr"), console.hub.clock()
    before = make_event(now, "ana@example.org", "model.load")
    console.simulator.send_events([before])
    expect(rows).to_have_count(1)
    console.hub.tail.begin(now)
    console.simulator.send_events([before, make_event(now, "bo@example.org", "model.load")])
    expect(rows.first).to_contain_text("bo@example.org")
    expect(rows).to_have_count(2)


def test_what_is_too_fast_for_the_page_is_counted(console: RunningConsole, watched: Watched) -> None:
    raw = make_event(console.hub.clock(), "ana@example.org", "model.infer")
    console.simulator.send_events([raw])
    expect(watched.page.locator("#tail-body tr")).to_have_count(1)
    console.simulator.send_events([raw] * 500)
    expect(watched.page.locator("#tail-missed")).to_have_text("440")


def test_pages_and_health(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    expect(page.locator("#health-locks")).to_have_class(re.compile("level-unknown"))
    page.locator("#nav-history").click()
    expect(page.locator("#history-view")).to_contain_text("The ledger is empty")
    simulator.everyday(8)
    simulator.refresh()
    simulator.send_heartbeat()
    expect(page.locator("table[aria-label='Newest entries'] tbody tr").first).to_be_visible()
    expect(page.locator("table[aria-label=Checkpoints]")).to_contain_text("verified")
    for part in ("ingest", "sealed", "detection", "jobs", "locks"):
        expect(page.locator(f"#health-{part}")).to_have_class(re.compile("level-good"))
    page.get_by_text("2", exact=True).first.click()
    expect(page.locator(".tile")).to_have_count(1)
    page.goto(f"{console.url}/nowhere")
    expect(page.locator("#page")).to_contain_text("no such page")


def test_keys_walk_the_findings(console: RunningConsole, watched: Watched) -> None:
    page = watched.page
    console.simulator.quiet_findings()
    page.locator("#nav-findings").click()
    # Not any three links: the Live page, which is left here, shows them as well.
    expect(page.locator("#findings-list a.row-link")).to_have_count(3)
    for key in "jjk":
        page.keyboard.press(key)
    # As when a finding comes and the list is drawn anew.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("o")
    expect(page.locator(".drawer-content")).to_contain_text("First use of a collection")
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{console.url}/findings")
    page.go_back()
    expect(page.locator(".drawer-content")).to_contain_text("First use of a collection")


def test_light_and_dark(console: RunningConsole, browser: Browser) -> None:
    watched = Watched(browser, theme="dark")
    page = watched.page
    ground = "getComputedStyle(document.body).backgroundColor"
    page.goto(console.link())
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")
    assert page.evaluate(ground) != dark
    page.reload()
    expect(page.locator("#health")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")
    assert (watched.violations(), watched.errors) == ([], [])
    watched.context.close()


def test_signing_out_ends_the_page_and_its_socket(console: RunningConsole, browser: Browser) -> None:
    watched = Watched(browser)
    link = console.link()
    watched.page.goto(link)
    expect(watched.page.locator("#health")).to_be_visible()
    other = watched.context.new_page()
    other.goto(console.url)
    expect(other.locator("#health")).to_be_visible()
    watched.page.get_by_role("button", name="Sign out").click()
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The other tab hears nothing more and says so.
    expect(other.locator("#health-note")).to_contain_text("Nothing heard", timeout=60_000)
    watched.page.goto(link)
    expect(watched.page.get_by_role("heading")).to_have_text("This link has been used.")
    watched.context.close()


def test_a_page_that_never_hears_anything_says_so(console: RunningConsole, browser: Browser) -> None:
    watched = Watched(browser)
    # Dash's socket lives in a shared worker; this one takes everything and never answers.
    watched.page.add_init_script(
        "window.SharedWorker = function () { const quiet = () => {};"
        " this.port = { start: quiet, postMessage: quiet, addEventListener: quiet, close: quiet }; };"
    )
    watched.page.goto(console.link())
    expect(watched.page.locator("#health-note")).to_contain_text("Nothing heard", timeout=60_000)
    watched.context.close()


def test_a_finding_is_closed_with_what_it_was_and_why(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.quiet_findings()
    page.locator("#nav-findings").click()
    page.locator("#findings-list").get_by_role("link", name="Bytes far above").click()
    closing = page.locator(".closing")
    closing.get_by_role("button", name="Close the finding").click()
    expect(closing.get_by_role("alert")).to_contain_text("Choose what it was")
    closing.locator("#close-disposition").click()
    page.get_by_role("option", name="False positive").click()
    closing.get_by_role("button", name="Close the finding").click()
    expect(closing.get_by_role("alert")).to_contain_text("Give a reason")
    assert simulator.acts == []
    closing.get_by_role("textbox", name="Reason").fill("Asked the owner: a planned copy")
    closing.get_by_role("button", name="Close the finding").click()
    expect(closing).to_contain_text("Closed as false positive.")
    (act,) = simulator.acts
    assert (act["action"], act["resource"].kind, act["attrs"]["disposition"]) == ("incident.close", "finding", "false-positive")
    assert (act["actor"].principal, act["why"].text) == ("analyst", "Asked the owner: a planned copy")
    page.keyboard.press("Escape")
    expect(page.locator("#findings-list tr").filter(has_text="Bytes far above")).to_contain_text("closed")
    page.locator("#findings-list").get_by_role("link", name="Bytes far above").click()
    expect(page.locator(".closed")).to_contain_text("Closed by analyst as false positive: Asked the owner: a planned copy")
    page.get_by_text("Say something else").click()
    closing.locator("#close-disposition").click()
    page.get_by_role("option", name="Other").click()
    closing.get_by_role("textbox", name="Reason").fill("Asked the owner again")
    simulator.recorder_error = OSError("disk is full")
    closing.get_by_role("button", name="Close the finding").click()
    expect(closing.get_by_role("alert")).to_contain_text("disk is full")

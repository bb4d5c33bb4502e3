"""Whoever clicks, types or follows a link gets what that was for, however busy the browser or the server is and whatever is pushed meanwhile."""

import re

import msgspec
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from tests.support.browser import Watched
from tests.support.console import RunningConsole, make_event

from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.notices import WITHDRAWS
from tallystick_schemas.signing import wire_time

pytestmark = pytest.mark.browser

LATE = """
const Channel = window.MessageChannel;
window.MessageChannel = function () {
  const {port1, port2} = new Channel();
  const post = port2.postMessage.bind(port2);
  port2.postMessage = (message) => setTimeout(() => post(message), 300);
  return {port1, port2};
};
"""
"""A browser that finds time late: React's scheduler goes through a MessageChannel, what the server sends does not."""

ANSWERS = re.compile("/_dash-update-component")
NOTE_ACTS = """() => {
  window.__acts = [];
  const set = window.dash_clientside.set_props;
  window.dash_clientside.set_props = (id, props) => { if (id === "act-click") window.__acts.push(props.data); set(id, props); };
}"""


def order(console: RunningConsole, name: str, reason: str = "two people are needed") -> None:
    """An order of somebody else that waits for a second person."""
    now = console.hub.clock()
    lock = Lock(subject=f"principal:{name}", state="locked", command=f"c-{name}", reason=reason, by="ana", at=wire_time(now))
    said = {"at": wire_time(now), "by": "ana", "subject": lock.subject, "reason": "waits"}
    console.simulator.send_decision(Decision(**said, id=lock.command, choice="recommend", proposed=lock, expires=wire_time(now + 900)))


def withdraw(console: RunningConsole, name: str) -> None:
    """Its row goes."""
    now = wire_time(console.hub.clock())
    said = {"at": now, "by": "bo", "subject": f"principal:{name}", "reason": "by hand"}
    console.simulator.send_decision(Decision(**said, id=f"w-{name}", choice="note", policy={WITHDRAWS: f"c-{name}"}))


def opened(page: Page) -> list[str]:
    """Acts that a dialog was asked for since NOTE_ACTS."""
    return [f"{act['verb']} {act['subject']}" for act in page.evaluate("window.__acts")]


def press(page: Page, target: Locator) -> None:
    """Put the mouse on it and press, without letting go."""
    target.hover()
    page.mouse.down()


def waiting(page: Page) -> Locator:
    return page.get_by_role("table", name="Waiting for a second person").locator("tbody tr")


@pytest.fixture
def orders(console: RunningConsole, watched: Watched) -> Locator:
    """The rows of two orders that wait."""
    order(console, "mia@x")
    order(console, "noa@x")
    watched.page.locator("#nav-locks").click()
    rows = waiting(watched.page)
    expect(rows).to_have_count(2)
    return rows


def test_an_answer_that_comes_before_the_page_stands_is_drawn(console: RunningConsole, browser: Browser) -> None:
    watched, simulator = Watched(browser), console.simulator
    page = watched.page
    simulator.quiet_findings()
    simulator.refresh()
    finding = console.hub.findings.newest()[0]
    order(console, "mia@x")
    watched.context.add_init_script(LATE)
    page.goto(console.link())
    expect(page.locator("#live-findings a")).to_have_count(3)
    page.goto(f"{console.url}/findings?finding={finding.id}")
    expect(page.locator("#drawer-evidence")).to_contain_text("is what its agent signed")
    expect(page.locator(".lock-bar")).to_contain_text("Not locked")
    expect(page.locator("#findings-list tbody tr")).to_have_count(3)
    page.goto(f"{console.url}/locks")
    expect(waiting(page)).to_have_count(1)
    page.goto(f"{console.url}/history")
    expect(page.locator("table[aria-label=Checkpoints]")).to_contain_text("verified")
    assert watched.errors == []
    watched.context.close()


def test_a_pressed_button_is_clicked_though_its_row_is_drawn_anew(console: RunningConsole, watched: Watched, orders: Locator) -> None:
    page = watched.page
    press(page, orders.filter(has_text="mia@x").get_by_role("button", name="Second it"))
    order(console, "pia@x")
    expect(orders).to_have_count(3)
    page.mouse.up()
    expect(page.get_by_role("dialog", name="Lock")).to_contain_text("Principal mia@x")


def test_a_pressed_row_and_link_open_their_finding_though_the_list_is_drawn_anew(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.quiet_findings()
    page.locator("#nav-findings").click()
    rows = page.locator("#findings-list tbody tr")
    known = console.hub.findings.newest()
    for number, pressed in enumerate(
        (rows.filter(has_text=known[0].principal).locator("td").last, rows.get_by_role("link", name=known[1].title))
    ):
        expect(rows).to_have_count(3 + number)
        press(page, pressed)
        simulator.send_finding(
            msgspec.structs.replace(known[0], id=f"F-new{number}", title="Another", principal="x", emitted_ms=number + 1)
        )
        expect(rows).to_have_count(4 + number)
        page.mouse.up()
        expect(page).to_have_url(re.compile(known[number].id))
        expect(page.locator(".drawer-content")).to_contain_text(known[number].text)
        page.keyboard.press("Escape")
        expect(page.locator(".drawer-content")).to_have_count(0)


def test_a_pressed_name_filters_though_a_row_came_above_it(console: RunningConsole, watched: Watched) -> None:
    page, simulator, now = watched.page, console.simulator, console.hub.clock()
    simulator.send_events([make_event(now, "ana@example.org", "model.infer")])
    rows = page.locator("#tail-body tr")
    expect(rows).to_have_count(1)
    press(page, rows.locator(".c-who"))
    simulator.send_events([make_event(now, "bo@example.org", "model.load")])
    expect(rows).to_have_count(2)
    page.mouse.up()
    expect(page.locator("#tail-filter")).to_have_value("ana@example.org")


def test_a_press_that_is_dragged_away_or_whose_row_has_gone_is_no_click(console: RunningConsole, watched: Watched, orders: Locator) -> None:
    page = watched.page
    page.evaluate(NOTE_ACTS)
    press(page, orders.filter(has_text="mia@x").get_by_role("button", name="Second it"))
    order(console, "pia@x")
    expect(orders).to_have_count(3)
    page.mouse.move(400, 20)
    page.mouse.up()
    press(page, orders.filter(has_text="mia@x").get_by_role("button", name="Second it"))
    withdraw(console, "mia@x")
    expect(orders).to_have_count(2)
    page.mouse.up()
    orders.filter(has_text="noa@x").get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("dialog", name="Withdraw what waits")).to_contain_text("Principal noa@x")
    assert opened(page) == ["withdraw principal:noa@x"]


def test_the_focus_stays_on_a_button_that_is_drawn_anew(console: RunningConsole, watched: Watched, orders: Locator) -> None:
    page = watched.page
    orders.filter(has_text="noa@x").get_by_role("button", name="Withdraw").focus()
    order(console, "pia@x")
    expect(orders).to_have_count(3)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Withdraw what waits")).to_contain_text("Principal noa@x")


def test_a_dialog_closes_when_it_is_told_to_and_only_then(console: RunningConsole, watched: Watched, orders: Locator) -> None:
    page, simulator = watched.page, console.simulator
    simulator.answer_orders = False
    second = orders.filter(has_text="mia@x").get_by_role("button", name="Second it")
    dialog = page.get_by_role("dialog", name="Lock")
    second.click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    second.click()
    dialog.get_by_role("textbox", name="Reason").fill("Talked to both of them")
    dialog.get_by_role("button", name="Lock").click()
    expect(dialog).to_contain_text("waiting for the responder")
    press(page, dialog.get_by_role("button", name="Done"))
    order(console, "pia@x")
    expect(orders).to_have_count(3)
    expect(dialog).to_have_count(1)
    page.mouse.up()
    expect(dialog).to_have_count(0)


def test_a_link_that_is_faster_than_its_finding_opens_it_when_it_comes(console: RunningConsole, watched: Watched) -> None:
    page, simulator = watched.page, console.simulator
    simulator.quiet_findings()
    late = msgspec.structs.replace(console.hub.findings.newest()[0], id="F-late", title="Came late", text="It came after its link.")
    page.goto(f"{console.url}/findings?finding={late.id}")
    drawer = page.locator(".drawer-content")
    expect(drawer).to_contain_text("This finding is not known")
    for one in (msgspec.structs.replace(late, id="F-other", title="Another"), late):
        simulator.send_finding(one)
        expect(page.locator("#findings-list")).to_contain_text(one.title)
    expect(drawer).to_contain_text(late.text)
    expect(page.locator("#drawer-evidence")).to_contain_text("is what its agent signed")


def test_a_drawer_closes_while_the_server_is_busy_and_closes_nothing_later(console: RunningConsole, watched: Watched) -> None:
    page, held = watched.page, list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    console.simulator.quiet_findings()
    page.locator("#nav-findings").click()
    page.locator("#findings-list").get_by_role("link", name="Bytes far above").click()
    expect(page.locator("#drawer-evidence")).to_contain_text("is what its agent signed")
    page.route(ANSWERS, hold)
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{console.url}/findings")
    for one in held:
        one.continue_()
    page.unroute(ANSWERS)
    page.locator("#findings-list").get_by_role("link", name="First use").click()
    expect(page.locator(".drawer-content")).to_contain_text("First use of a collection")


def test_a_page_left_and_asked_for_again_is_drawn_anew_though_the_other_never_came(console: RunningConsole, watched: Watched) -> None:
    page, held = watched.page, list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.locator("#tail-filter").fill("nobody")
    page.route(ANSWERS, hold)
    page.locator("#nav-locks").click()
    expect(page).to_have_url(f"{console.url}/locks")
    page.locator("#nav-live").click()
    expect(page).to_have_url(f"{console.url}/")
    for one in held:
        one.continue_()
    page.unroute(ANSWERS)
    expect(page.locator("#tail-filter")).to_have_value("")
    expect(page.locator("h1")).to_have_text("Live")


def test_a_paused_tail_that_is_drawn_anew_stands_where_it_was_paused(console: RunningConsole, watched: Watched) -> None:
    """Dash mounts a page when it finds time: the rows that came meanwhile were drawn with the others, under a button that counted them as held."""
    page, now = watched.page, console.hub.clock()
    console.simulator.send_events([make_event(now, "ana@example.org", "model.infer")])
    expect(page.locator("#tail-body tr")).to_have_count(1)
    page.keyboard.press("p")
    console.simulator.send_events([make_event(now, "bo@example.org", "model.infer")])
    expect(page.locator("#tail-pause")).to_contain_text("1 new")
    page.locator("#tail-filter").fill("example.org")
    page.locator("#nav-locks").click()
    expect(page.locator("#locks-list")).to_be_visible()
    page.locator("#nav-live").click()
    expect(page.locator("#tail-pause")).to_contain_text("1 new")
    expect(page.locator("#tail-body tr")).to_have_count(1)
    page.locator("#tail-pause").click()
    expect(page.locator("#tail-body tr")).to_have_count(2)

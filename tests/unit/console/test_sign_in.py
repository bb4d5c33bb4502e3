"""A link signs in where nobody is signed in; where somebody is, it asks. From another site it looks twice, since cookies stay behind the first time."""

import asyncio
import html
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from tallystick_dashboard.cookies import Cookies
from tallystick_dashboard.sessions import SessionTable
from tallystick_dashboard.sign_in import SignIn
from tallystick_dashboard.used_links import UsedLinks, sign_in_link

SECRET, NOW = b"s" * 32, 1_800_000_000.0
COOKIES = Cookies.of(SECRET, secure=False)
BROWSER = {"accept": "text/html,*/*", "sec-fetch-dest": "document"}
PERSON = BROWSER | {"sec-fetch-site": "none"}
ELSEWHERE = BROWSER | {"sec-fetch-site": "cross-site"}


class Console:
    """The routes, and what became of them."""

    def __init__(self, folder: Path, cookies: Cookies = COOKIES) -> None:
        self.sessions, self.signed_in = SessionTable(3600, 3600), list[str]()
        self._secure, self.cookies = cookies.secure, httpx.Cookies()
        routes = SignIn(self.sessions, UsedLinks(SECRET, folder), SECRET, lambda: NOW, cookies, self.signed_in.append).routes()
        self._way = httpx.ASGITransport(Starlette(routes=routes))

    def link(self, who: str) -> str:
        return sign_in_link(SECRET, "", NOW, who)

    def get(self, link: str, headers: dict[str, str] = PERSON, method: str = "GET") -> httpx.Response:
        """A browser's request, which keeps and sends cookies."""

        async def ask() -> httpx.Response:
            base = f"http{'s' if self._secure else ''}://console.example.org"
            async with httpx.AsyncClient(transport=self._way, base_url=base, cookies=self.cookies) as client:
                answer = await client.request(method, link, headers=headers)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def who(self) -> str | None:
        """Whose session the browser's cookie opens."""
        session = self.sessions.check(self.cookies.get(COOKIES.session, ""), NOW)
        return session.who if session else None


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "used")


def linked(page: httpx.Response, name: str) -> str:
    found = re.search(rf'href="([^"]*)" id="{name}"', page.text)
    assert found, page.text
    return html.unescape(found[1])


def goes_on_to(page: httpx.Response) -> str | None:
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page.text)
    return html.unescape(found[1]) if found else None


def test_a_link_signs_in_where_nobody_is(console: Console) -> None:
    page = console.get(console.link("ana"))
    assert (page.status_code, goes_on_to(page), console.who(), console.signed_in) == (200, "/", "ana", ["ana"])


def test_over_an_open_session_it_asks_and_changes_nothing(console: Console) -> None:
    console.get(console.link("ana"))
    bobs = console.link("bob <b>")
    page = console.get(bobs)
    assert "You are signed in as ana, and this link signs in bob &lt;b&gt;" in page.text
    assert (goes_on_to(page), page.headers.get("set-cookie")) == (None, None)
    assert linked(page, "stay") == "/"
    assert (console.who(), console.signed_in) == ("ana", ["ana"])
    before = console.cookies[COOKIES.session]
    assert console.get(linked(page, "over")).status_code == 200
    assert (console.who(), console.signed_in) == ("bob <b>", ["ana", "bob <b>"])
    assert console.sessions.check(before, NOW) is None, "the session of before is over"


@pytest.mark.parametrize("over", ["", "&over=", "&over=" + "0" * 64, "&over=1"])
def test_only_whoever_was_asked_can_say_yes(console: Console, over: str) -> None:
    console.get(console.link("ana"))
    page = console.get(console.link("eve") + over)
    assert "You are signed in as ana" in page.text
    assert console.who() == "ana"


def test_a_yes_is_for_one_session_and_one_link(console: Console) -> None:
    console.get(console.link("ana"))
    page, other = console.get(console.link("bob")), console.link("eve")
    yes = linked(page, "over").partition("&over=")[2]
    console.get(f"{other}&over={yes}")
    assert console.who() == "ana"
    console.cookies.clear()
    console.get(console.link("carol"))
    console.get(linked(page, "over"))
    assert console.who() == "carol"


@pytest.mark.parametrize("link", ["/sign-in?t=forged", "/sign-in?t="])
def test_a_bad_link_is_refused_before_anybody_is_asked(console: Console, link: str) -> None:
    used = console.link("ana")
    console.get(used)
    for one in (link, used):
        assert console.get(one).status_code == 403
    assert console.who() == "ana"


@pytest.mark.parametrize("first", [ELSEWHERE, BROWSER], ids=["another site", "a browser that does not say"])
def test_another_site_leads_to_the_question_too(console: Console, first: dict[str, str]) -> None:
    """Strict cookies are not sent with the first request, so the page goes on by itself, and with that request they are."""
    console.get(console.link("ana"))
    kept = dict(console.cookies)
    console.cookies.clear()
    page = console.get(console.link("eve"), first)
    again = goes_on_to(page)
    assert again is not None
    assert COOKIES.session not in console.cookies
    console.cookies.update(kept)
    assert "You are signed in as ana" in console.get(again, first | {"sec-fetch-site": "same-origin"}).text
    assert (console.who(), console.signed_in) == ("ana", ["ana"])


def test_where_nobody_is_signed_in_another_sites_link_signs_in(console: Console) -> None:
    again = goes_on_to(console.get(console.link("ana"), ELSEWHERE))
    assert again is not None
    assert console.get(again, BROWSER).status_code == 200, "the cookie that came along says enough"
    assert console.who() == "ana"


def test_another_site_cannot_skip_the_second_look_and_nothing_goes_round_and_round(console: Console) -> None:
    link = console.link("eve")
    console.get(link, ELSEWHERE)
    console.cookies.clear()  # what another site's second request looks like, and a browser that keeps none
    page = console.get(f"{link}&again=1", ELSEWHERE)
    assert (goes_on_to(page), console.signed_in) == (None, [])
    assert "needs cookies" in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch"},
        {"sec-fetch-dest": "image", "sec-fetch-site": "cross-site"},
        {"sec-fetch-dest": "iframe", "sec-fetch-site": "same-origin"},
        {"sec-fetch-dest": "empty", "sec-fetch-site": "same-site"},
    ],
)
def test_what_is_no_visit_uses_no_link_up(console: Console, headers: dict[str, str]) -> None:
    link = console.link("ana")
    assert console.get(link, headers).status_code == 204
    assert console.signed_in == []
    assert console.get(link).status_code == 200


def test_names_say_which_console_and_over_tls_that_the_host_is_held_to() -> None:
    one, other = Cookies.of(SECRET, secure=True), Cookies.of(b"t" * 32, secure=True)
    assert one == Cookies.of(SECRET, secure=True)
    assert not {one.session, one.csrf, one.crossing} & {other.session, other.csrf, other.crossing}
    assert re.fullmatch(r"__Host-tallystick_session_[0-9a-f]{8}", one.session)
    assert re.fullmatch(r"tallystick_session_[0-9a-f]{8}", COOKIES.session)


def test_over_tls_every_cookie_keeps_the_prefixs_rules(tmp_path: Path) -> None:
    """RFC 6265bis, 4.1.3.2: Secure, Path=/, no Domain; otherwise browsers drop them."""
    cookies = Cookies.of(SECRET, secure=True)
    console = Console(tmp_path / "used", cookies)
    link = console.link("ana")
    answers = [console.get(link, ELSEWHERE), console.get(link), console.get("/sign-out", method="POST")]
    lines = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
    assert [line.partition("=")[0] for line in lines] == [cookies.crossing, cookies.session, cookies.csrf, cookies.session, cookies.csrf]
    for line in lines:
        assert {"secure", "path=/", "samesite=strict"} <= {part.strip().lower() for part in line.split(";")}
        assert "domain" not in line.lower()

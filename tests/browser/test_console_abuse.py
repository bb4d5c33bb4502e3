"""What somebody without a session, or from another site, gets: nothing. Real HTTP and real sockets against the real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.console import SECRET, RunningConsole
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tallystick_dashboard.guard import CSRF_HEADER, MAX_BODY_BYTES
from tallystick_dashboard.used_links import sign_in_link

UPDATE = "/_dash-update-component"
SOCKET = "/_dash-ws-callback"
ROUTE = {
    "output": "..page.children...page-name.data..",
    "outputs": [{"id": "page", "property": "children"}, {"id": "page-name", "property": "data"}],
    "inputs": [{"id": "url", "property": "pathname", "value": "/locks"}],
    "state": [{"id": "page-name", "property": "data"}],
    "changedPropIds": ["url.pathname"],
}


@pytest.fixture
def anyone(console: RunningConsole) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url) as client:
        yield client


@pytest.fixture
def analyst(console: RunningConsole) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url) as client:
        assert client.get(console.link()).status_code == 200
        client.headers["Origin"] = console.url
        client.headers[CSRF_HEADER] = client.cookies[console.cookies.csrf]
        yield client


PATHS = ["/", "/findings", "/_dash-layout", "/_dash-dependencies", "/assets/console.js", "/docs", "/openapi.json", "/_mcp", "/_reload-hash"]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_there_is_nothing(anyone: httpx.Client, path: str) -> None:
    assert anyone.get(path).status_code == 401
    page = anyone.get(path, headers={"Accept": "text/html"})
    assert page.status_code == (401 if path.startswith("/_") else 303)


def test_without_a_session_no_callback_runs(anyone: httpx.Client, console: RunningConsole) -> None:
    answer = anyone.post(UPDATE, json=ROUTE, headers={"Origin": console.url})
    assert answer.status_code == 401
    assert anyone.post("/sign-in?t=x", headers={"Origin": console.url}).status_code == 401
    assert anyone.get("/healthz").text == "ok"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/_mcp"])
def test_no_door_that_nobody_asked_for(analyst: httpx.Client, path: str) -> None:
    # Dash's own page answers for any unknown address: neither API documents nor an MCP server do.
    answer = analyst.get(path)
    assert "_dash-config" in answer.text or answer.status_code == 404
    assert analyst.post("/_mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize"}).status_code in (404, 405)


def test_forged_expired_and_used_links_are_refused(anyone: httpx.Client, console: RunningConsole) -> None:
    now = console.hub.clock()
    good = console.link()
    bad = {
        "not made by this console": [
            sign_in_link(b"x" * 32, console.url, now, "analyst"),
            good[:-8] + "AAAAAAAA",
            f"{console.url}/sign-in?t=",
            f"{console.url}/sign-in?t=%00",
        ],
        "has expired": [sign_in_link(SECRET, console.url, now - 601, "analyst")],
    }
    for reason, links in bad.items():
        for link in links:
            answer = anyone.get(link)
            assert answer.status_code == 403
            assert reason in answer.text
            assert not anyone.cookies
    assert anyone.get(good, headers={"Sec-Purpose": "prefetch"}).status_code == 204
    assert anyone.head(good).status_code in (204, 405)
    assert not anyone.cookies
    assert anyone.get(good).status_code == 200
    assert anyone.cookies
    with httpx.Client(base_url=console.url) as second:
        assert second.get(good).status_code == 403
        assert not second.cookies


def test_cookies_are_kept_from_scripts_and_other_sites(anyone: httpx.Client, console: RunningConsole) -> None:
    answer = anyone.get(console.link())
    cookies = {c.partition("=")[0]: c for c in answer.headers.get_list("set-cookie")}
    assert re.search("httponly", cookies[console.cookies.session], re.I)
    assert "httponly" not in cookies[console.cookies.csrf].lower()
    assert all("samesite=strict" in c.lower() for c in cookies.values())
    assert not any("domain" in c.lower() for c in cookies.values())


def test_two_consoles_on_one_host_keep_their_own_sessions(console: RunningConsole, tmp_path: Path) -> None:
    """Browsers keep cookies by host, whatever the port, and so does this client."""
    (tmp_path / "other").mkdir()
    with RunningConsole(tmp_path / "other", secret=b"another secret of 32 bytes or more") as other, httpx.Client() as client:
        for one in (console, other, console):
            assert client.get(one.link()).status_code == 200
            assert client.get(f"{one.url}/findings").status_code == 200
        assert len({*vars(console.cookies).values(), *vars(other.cookies).values()} - {False}) == 6
        for one, another in ((console, other), (other, console)):
            token = client.cookies[one.cookies.csrf]
            answer = client.post(f"{one.url}/sign-out", headers={"Origin": one.url, CSRF_HEADER: token})
            assert answer.text == "Signed out."
            assert client.get(f"{one.url}/findings").status_code == 401
            assert client.get(f"{another.url}/findings").status_code == (200 if one is console else 401)


def test_a_callback_needs_origin_and_token(analyst: httpx.Client, console: RunningConsole) -> None:
    assert analyst.post(UPDATE, json=ROUTE).status_code == 200
    for headers in (
        {CSRF_HEADER: ""},
        {CSRF_HEADER: "0" * 64},
        {CSRF_HEADER: "\u00e4"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        encoded = {k: v.encode("utf-8") for k, v in headers.items()}
        assert analyst.post(UPDATE, json=ROUTE, headers=encoded).status_code == 403, headers
    assert analyst.post("/sign-out", headers={CSRF_HEADER: ""}).status_code == 403
    assert analyst.get("/").status_code == 200


def test_another_name_and_too_much_are_refused(analyst: httpx.Client) -> None:
    assert analyst.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert analyst.get("/sign-in", headers={"Host": "evil.example:47050"}).status_code == 421
    assert analyst.post(UPDATE, content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b"x" * 65536

    assert analyst.post(UPDATE, content=endless()).status_code >= 400


def test_every_answer_carries_the_headers(analyst: httpx.Client, anyone: httpx.Client) -> None:
    for client, path in (
        (analyst, "/"),
        (analyst, "/assets/console.js"),
        (analyst, "/_dash-layout"),
        (anyone, "/sign-in"),
        (anyone, "/nothing"),
    ):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        scripts = next((d for d in policy.split("; ") if d.startswith("script-src")), "script-src")
        assert "unsafe" not in scripts, path
        assert "frame-ancestors 'none'" in policy, path
        assert (headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"]) == (
            "nosniff",
            "DENY",
            "no-referrer",
        )
        assert headers["cache-control"] == "no-store"
    suite = re.search(r'src="(/_dash-component-suites/[^"]+)"', analyst.get("/").text)
    assert suite is not None
    answer = analyst.get(suite.group(1))
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"


def cookie(client: httpx.Client, console: RunningConsole) -> str:
    return f"{console.cookies.session}={client.cookies[console.cookies.session]}"


def test_a_socket_needs_a_session_and_our_origin(analyst: httpx.Client, console: RunningConsole) -> None:
    url = console.url.replace("http", "ws") + SOCKET
    attempts = [
        (console.url, ""),
        (console.url, f"{console.cookies.session}=forged"),
        ("https://evil.example", cookie(analyst, console)),
        (None, cookie(analyst, console)),
        ("null", cookie(analyst, console)),
    ]
    for origin, sent in attempts:
        with pytest.raises(InvalidStatus) as refused, connect(url, origin=origin, additional_headers={"Cookie": sent}):  # type: ignore[arg-type]
            pass
        assert refused.value.response.status_code == 403, (origin, sent)
    with connect(url, origin=console.url, additional_headers={"Cookie": cookie(analyst, console)}) as socket:  # type: ignore[arg-type]
        socket.send('{"type": "heartbeat"}')
        assert "heartbeat_ack" in str(socket.recv(timeout=10))
        # Signed out: the open socket ends at its next message.
        assert analyst.post("/sign-out").status_code == 200
        socket.send('{"type": "heartbeat"}')
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
    with pytest.raises(InvalidStatus), connect(url, origin=console.url, additional_headers={"Cookie": f"{console.cookies.session}=gone"}):  # type: ignore[arg-type]
        pass


def _drain(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=10)


def test_a_socket_runs_only_what_was_made_for_it(analyst: httpx.Client, console: RunningConsole) -> None:
    import json

    url = console.url.replace("http", "ws") + SOCKET
    with connect(url, origin=console.url, additional_headers={"Cookie": cookie(analyst, console)}) as socket:  # type: ignore[arg-type]
        confirm = {"output": "..act-order.data...act-error.children..", "inputs": [], "changedPropIds": []}
        socket.send(json.dumps({"type": "callback_request", "rendererId": "r", "requestId": "1", "payload": confirm}))
        with pytest.raises(ConnectionClosed):
            _drain(socket)
    assert console.simulator.acts == []

"""Signing in by a one-time link, and out again: two small pages and their routes. No script, so that they work under any policy."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from tallystick_schemas.shown import shown

from .cookies import Cookies
from .errors import LinkRefused
from .sessions import SessionTable
from .theme import css_variables
from .tokens import csrf_token, over_token
from .used_links import UsedLinks

PAGE_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OWN_DOING: Final = frozenset({"none", "same-origin", "same-site"})
"""Values of Sec-Fetch-Site with which browsers send Strict cookies: a person's own typing or opening, and pages of this site."""
_STYLE: Final = """
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--ts-ground);color:var(--ts-ink);
font:14px/1.5 Inter,ui-sans-serif,system-ui,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{width:400px;padding:32px;background:var(--ts-surface);border:1px solid var(--ts-line);border-radius:8px}
h1{font-size:18px;margin:0 0 8px;font-weight:600}p{margin:0 0 16px;color:var(--ts-ink-2)}
code{display:block;padding:8px 12px;border-radius:4px;background:var(--ts-sunken);color:var(--ts-ink);
font:13px/1.5 ui-monospace,"JetBrains Mono","DejaVu Sans Mono",monospace}p:last-child{margin:16px 0 0}a{color:var(--ts-accent)}
svg{display:block;width:32px;height:32px;margin:0 0 24px;stroke:var(--ts-accent);stroke-width:2;fill:none;stroke-linecap:round}
"""
_MARK: Final = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M5 4v16M10 4v16M15 4v16M20 4v16M2 17 23 7"/></svg>'


@dataclass(frozen=True)
class SignIn:
    """The three routes that need no session. `on_sign_in` is told who signed in."""

    sessions: SessionTable
    links: UsedLinks
    secret: bytes
    clock: Callable[[], float]
    cookies: Cookies
    on_sign_in: Callable[[str], None]

    def routes(self) -> list[Route]:
        """`/sign-in`, `/sign-out` and `/healthz`."""
        return [
            Route("/sign-in", self._sign_in, methods=["GET"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ]

    async def _sign_in(self, request: Request) -> Response:
        token = request.query_params.get("t")
        if token is None:
            return _page("Sign in", "Ask for a link on the machine that runs Tallystick. It opens once, within ten minutes.")
        if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", "") or not _is_page(request):
            # Looking at a link must not use it up.
            return PlainTextResponse("", 204)
        if not self._cookies_came(request):
            return self._again(request, token)
        try:
            return self._follow(request, token)
        except LinkRefused as refused:
            return _page(f"{refused}", "Ask for a new one. A link opens once, within ten minutes.", 403)

    def _cookies_came(self, request: Request) -> bool:
        """Whether the browser sent its cookies along: Strict ones stay behind when another site leads here, and an open session would be overlooked."""
        if request.headers.get("sec-fetch-site") in _OWN_DOING or {self.cookies.session, self.cookies.crossing} & request.cookies.keys():
            return True
        return "text/html" not in request.headers.get("accept", "")  # no browser

    def _again(self, request: Request, token: str) -> Response:
        """A page that follows the same link anew, by itself the first time: that one is our own doing, and cookies come along."""
        here = f"/sign-in?t={quote(token)}&again=1"
        if "again" in request.query_params:
            page = _page("Go on to sign in", f'<a href="{escape(here)}">Sign in</a>. The console needs cookies.', command=False)
        else:
            page = _page("Signing in", f'<a href="{escape(here)}">Go on</a>', to=here, command=False)
        self.cookies.cross(page)
        return page

    def _follow(self, request: Request, token: str) -> Response:
        """The page of a sign-in, or the question whether to end the session that is open; LinkRefused."""
        cookie = request.cookies.get(self.cookies.session, "")
        session = self.sessions.check(cookie, self.clock(), touch=False)
        if session is not None:
            over = over_token(self.secret, session.id, token)
            if not hmac.compare_digest(request.query_params.get("over", "").encode(), over.encode()):
                return _question(session.who, self.links.look(token, self.clock()).who, f"/sign-in?t={quote(token)}&over={over}")
        link = self.links.redeem(token, self.clock())
        self.sessions.close(cookie)
        fresh, session = self.sessions.open(link.who, self.clock())
        self.on_sign_in(link.who)
        # Not a redirect: a Strict cookie is not sent along a chain that another site began, but it is by the page's own refresh.
        page = _page("Signed in", '<a href="/">Open the console</a>', to="/", command=False)
        self.cookies.sign_in(page, fresh, csrf_token(self.secret, session.id))
        return page

    async def _sign_out(self, request: Request) -> Response:
        self.sessions.close(request.cookies.get(self.cookies.session, ""))
        answer = PlainTextResponse("Signed out.")
        self.cookies.sign_out(answer)
        return answer


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _is_page(request: Request) -> bool:
    """Whether somebody goes to the link, and no other page draws it as a picture or in a frame. Browsers say it; what says nothing is taken for a person."""
    return request.headers.get("sec-fetch-dest", "document") == "document"


def _question(who: str, other: str, over: str) -> HTMLResponse:
    text = (
        f"You are signed in as {escape(shown(who))}, and this link signs in {escape(shown(other))}. What you do is recorded as theirs. "
        f'<a href="{escape(over)}" id="over">Sign in as {escape(shown(other))}</a> or <a href="/" id="stay">stay {escape(shown(who))}</a>.'
    )
    return _page("Somebody is signed in already", text, command=False)


def _page(title: str, text: str, status: int = 200, to: str = "", command: bool = True) -> HTMLResponse:
    """`to`: where the page goes on to by itself."""
    again = f'<meta http-equiv="refresh" content="0;url={escape(to)}">' if to else ""
    how = "<code>tallystick console link</code>" if command else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{again}'
        f"<title>Tallystick</title><style>{css_variables()}{_STYLE}</style></head>"
        f"<body><main>{_MARK}<h1>{escape(title)}</h1><p>{text}</p>{how}</main></body></html>"
    )
    return HTMLResponse(body, status, headers={"Content-Security-Policy": PAGE_CSP})

"""Signing in by a one-time link, and out again: two small pages and their routes. No script, so that they work under any policy."""

from collections.abc import Callable
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from .errors import LinkRefused
from .guard import CSRF_COOKIE, SESSION_COOKIE
from .sessions import SessionTable
from .theme import css_variables
from .tokens import csrf_token
from .used_links import UsedLinks

PAGE_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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


def sign_in_routes(
    sessions: SessionTable, links: UsedLinks, secret: bytes, clock: Callable[[], float], secure: bool, on_sign_in: Callable[[str], None]
) -> list[Route]:
    """`/sign-in`, `/sign-out` and `/healthz`. `on_sign_in` is told who signed in."""

    async def sign_in(request: Request) -> Response:
        token = request.query_params.get("t")
        if token is None:
            return _page("Sign in", "Ask for a link on the machine that runs Tallystick. It opens once, within ten minutes.")
        if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", ""):
            # Looking at a link must not use it up.
            return PlainTextResponse("", 204)
        try:
            link = links.redeem(token, clock())
        except LinkRefused as refused:
            return _page(f"{refused}", "Ask for a new one. A link opens once, within ten minutes.", 403)
        cookie, session = sessions.open(link.who, clock())
        on_sign_in(link.who)
        # Not a redirect: a Strict cookie is not sent along a chain that another site began, but it is by the page's own refresh.
        page = _page("Signed in", '<a href="/">Open the console</a>', refresh=True, command=False)
        page.set_cookie(SESSION_COOKIE, cookie, httponly=True, samesite="strict", secure=secure, path="/")
        page.set_cookie(CSRF_COOKIE, csrf_token(secret, session.id), samesite="strict", secure=secure, path="/")
        return page

    async def sign_out(request: Request) -> Response:
        sessions.close(request.cookies.get(SESSION_COOKIE, ""))
        answer = PlainTextResponse("Signed out.")
        answer.delete_cookie(SESSION_COOKIE, path="/", samesite="strict", httponly=True, secure=secure)
        answer.delete_cookie(CSRF_COOKIE, path="/", samesite="strict", secure=secure)
        return answer

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return [
        Route("/sign-in", sign_in, methods=["GET"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/healthz", healthz, methods=["GET"]),
    ]


def _page(title: str, text: str, status: int = 200, refresh: bool = False, command: bool = True) -> HTMLResponse:
    again = '<meta http-equiv="refresh" content="0;url=/">' if refresh else ""
    how = "<code>tallystick console link</code>" if command else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{again}'
        f"<title>Tallystick</title><style>{css_variables()}{_STYLE}</style></head>"
        f"<body><main>{_MARK}<h1>{escape(title)}</h1><p>{text}</p>{how}</main></body></html>"
    )
    return HTMLResponse(body, status, headers={"Content-Security-Policy": PAGE_CSP})

"""Builds the console: a FastAPI server with the sign-in routes, Dash on top of it, and the guard around both."""

import logging
from collections.abc import Callable
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from .cookies import Cookies
from .guard import CSRF_HEADER, Guard, GuardPolicy, current_session
from .hub import Hub
from .pages import closing, dialog, evidence, findings, history, live, locks
from .parts import empty
from .sessions import SessionTable
from .shell import frame, index_page
from .sign_in import SignIn
from .stream import register_stream
from .ui import App, Component
from .used_links import UsedLinks

_log = logging.getLogger(__name__)


def build_app(hub: Hub, secret: bytes, links: UsedLinks) -> ASGIApp:
    """The ASGI application, ready to be served."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    settings = hub.settings
    cookies = Cookies.of(secret, secure=settings.secure)
    sessions = SessionTable(settings.session_hours * 3600, settings.idle_minutes * 60)
    server.router.routes += SignIn(sessions, links, secret, hub.clock, cookies, lambda who: _log.info("%s signed in", who)).routes()
    dash = _dash(server, hub, cookies)
    policy = GuardPolicy(settings.host_names, content_security_policy(dash.csp_hashes()), cookies)
    guarded = Guard(server, sessions=sessions, secret=secret, policy=policy, clock=hub.clock)
    # Outermost, so that what the guard answers is compressed too. Pages hold no secret beside what an attacker could inject: no BREACH.
    return GZipMiddleware(guarded, minimum_size=1_000, compresslevel=5)


def content_security_policy(script_hashes: Any) -> str:
    """Scripts from here alone, inline ones by hash. Mantine sets styles from script, which 'unsafe-inline' for styles allows."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(script_hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _dash(server: FastAPI, hub: Hub, cookies: Cookies) -> Any:
    # Any: of what follows, Dash types the server wrongly and the client-side callbacks not at all.
    app: Any = Dash(
        __name__,
        server=server,  # type: ignore[arg-type]
        backend="fastapi",
        title="Tallystick",
        update_title="",
        pages_folder="",
        use_pages=False,
        suppress_callback_exceptions=True,
        serve_locally=True,
        enable_mcp=False,
        csrf_token_name=cookies.csrf,
        csrf_header_name=CSRF_HEADER,
        websocket_inactivity_timeout=0,
        index_string=index_page(cookies.csrf),
        assets_ignore=r"theme\.js",
        add_log_handler=False,
        on_error=_log_error,
    )
    app.layout = _layout
    register_stream(app, hub)
    for name in ("arrived", "health"):
        store = "tail-push" if name == "arrived" else "health-push"
        app.clientside_callback(ClientsideFunction("tallystick", name), Input(store, "data"))
    app.clientside_callback(ClientsideFunction("tallystick", "mounted"), Input("tail-body", "id"))
    _register_routes(app, hub)
    for page in (live, findings, evidence, closing, locks, history, dialog):
        page.register(app, hub)
    return app


def _log_error(error: Exception) -> None:
    # Dash would answer 500 and say nothing. The page keeps what it shows; the log says why.
    _log.error("a callback failed", exc_info=error)


def _layout() -> Component:
    session = current_session.get()
    return frame(session.who if session else "")


def _register_routes(app: App, hub: Hub) -> None:
    pages: dict[str, Callable[[], Component]] = {
        "/": live.layout,
        "/findings": findings.layout,
        "/locks": locks.layout,
        "/history": lambda: history.layout(hub.log),
    }

    # Whoever comes back before the other page's answer did gets the page anew, as later: that answer is dropped, and no page was left.
    app.clientside_callback(ClientsideFunction("tallystick", "left"), Input("url", "pathname"), State("page-name", "data"))

    @app.callback(Output("page", "children"), Output("page-name", "data"), Input("url", "pathname"), State("page-name", "data"))
    async def route(pathname: str | None, shown: str | None) -> Any:
        path = (pathname or "/").rstrip("/") or "/"
        if path == shown:
            return no_update, no_update
        page = pages.get(path)
        if page is None:
            return empty("There is no such page", "Choose one on the left."), path
        return page(), path

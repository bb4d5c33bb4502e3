"""ASGI middleware in front of everything: host names, sessions, cross-site requests, security headers, sockets.

Dash enforces none of these on its own routes. Order of checks: host, size, open paths, session, then (for what changes state) the
request's origin and its CSRF token. A socket is checked like a POST when it opens, and its session at every message.
"""

import hmac
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .cookies import Cookies
from .sessions import Session, SessionTable
from .tokens import csrf_token

CSRF_HEADER: Final = "X-Tallystick-CSRF"
OPEN_PATHS: Final = frozenset({"/sign-in", "/healthz"})
MAX_BODY_BYTES: Final = 1 << 20
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SIGNED_OUT: Final = 4001
"""Close code that makes Dash's worker give up instead of trying again."""

current_session: ContextVar[Session | None] = ContextVar("tallystick_session", default=None)
"""Whose request or socket is being served."""


@dataclass(frozen=True)
class GuardPolicy:
    """What the guard lets through. `csp` is the whole header."""

    host_names: frozenset[str]
    csp: str
    cookies: Cookies


class Guard:
    """The middleware. `clock` gives seconds since 1970."""

    def __init__(self, app: ASGIApp, *, sessions: SessionTable, secret: bytes, policy: GuardPolicy, clock: Callable[[], float]) -> None:
        self._app, self._sessions, self._secret, self._policy, self._clock = app, sessions, secret, policy, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, self._with_headers(scope, send))
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refuse_host(headers) or _refuse_size(headers)
        if refusal is None and scope["path"] in OPEN_PATHS and scope["method"] in _SAFE:
            await self._app(scope, receive, send)
            return
        cookie = self._cookie(headers)
        session = None
        if refusal is None:
            session = self._sessions.check(cookie, self._clock())
            refusal = _ask_to_sign_in(scope, headers) if session is None else self._refuse_cross_site(scope, headers, session)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        token = current_session.set(session)
        try:
            await self._app(scope, _limited(receive), send)
        finally:
            current_session.reset(token)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        cookie = self._cookie(headers)
        session = self._sessions.check(cookie, self._clock(), touch=False)
        if session is None or self._refuse_host(headers) or not self._same_origin(headers):
            # Closing before accepting answers the handshake with 403.
            await receive()
            await send({"type": "websocket.close", "code": _SIGNED_OUT, "reason": "not signed in"})
            return

        closed = False

        def alive() -> bool:
            return self._sessions.check(cookie, self._clock(), touch=False) is not None

        async def checked_receive() -> Message:
            message = await receive()
            return message if alive() else {"type": "websocket.disconnect", "code": _SIGNED_OUT}

        async def checked_send(message: Message) -> None:
            nonlocal closed
            if closed:
                return
            if message["type"] == "websocket.send" and not alive():
                closed = True
                await send({"type": "websocket.close", "code": _SIGNED_OUT, "reason": "signed out"})
                return
            closed = message["type"] == "websocket.close"
            await send(message)

        token = current_session.set(session)
        try:
            await self._app(scope, checked_receive, checked_send)
        finally:
            current_session.reset(token)

    def _cookie(self, headers: Headers) -> str:
        return cookie_parser(headers.get("cookie", "")).get(self._policy.cookies.session, "")

    def _refuse_host(self, headers: Headers) -> Response | None:
        try:
            name = urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            name = None
        return None if name in self._policy.host_names else PlainTextResponse("This console does not go by that name.", 421)

    def _same_origin(self, headers: Headers) -> bool:
        scheme = "https" if self._policy.cookies.secure else "http"
        return headers.get("origin") == f"{scheme}://{headers.get('host')}"

    def _refuse_cross_site(self, scope: Scope, headers: Headers, session: Session) -> Response | None:
        if scope["method"] in _SAFE:
            return None
        if headers.get("sec-fetch-site", "same-origin") != "same-origin" or not self._same_origin(headers):
            return PlainTextResponse("A request from another site.", 403)
        expected = csrf_token(self._secret, session.id)
        if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), expected.encode()):
            return PlainTextResponse("The page's CSRF token is missing or wrong. Load the page again.", 403)
        return None

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        immutable = scope["path"].startswith("/_dash-component-suites/")

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = headers.get("Content-Security-Policy", self._policy.csp)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
                if self._policy.cookies.secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                cached = immutable and message["status"] == 200
                # Component suites carry their version in their name. Whatever holds data is never kept.
                headers["Cache-Control"] = "private, max-age=31536000, immutable" if cached else "no-store"
            await send(message)

        return wrapped


def _refuse_size(headers: Headers) -> Response | None:
    length = headers.get("content-length", "0")
    return None if length.isdigit() and int(length) <= MAX_BODY_BYTES else PlainTextResponse("The request is too large.", 413)


def _limited(receive: Receive) -> Receive:
    """A body without a length is cut off as if the client had gone when it grows too large."""
    total = 0

    async def wrapped() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        return message if total <= MAX_BODY_BYTES else {"type": "http.disconnect"}

    return wrapped


def _ask_to_sign_in(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", "") and not scope["path"].startswith("/_"):
        return RedirectResponse("/sign-in", 303)
    return PlainTextResponse("Not signed in.", 401)

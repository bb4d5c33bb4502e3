"""One HTTP request and its answer, on ASGI. Knows HTTP, and nothing of repositories, tokens or events."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from tallystick_schemas.shown import shown

from ..public_url import reached_at
from ..serving import EXTENSION, Connection
from .errors import Refusal, bad_request

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Headers = dict[str, str]
MAX_FIELDS: Final = 100
_MAX_HEADER_TEXT: Final = 500
_FACT_HEADERS: Final = {"retry_after": "retry-after", "allow": "allow", "content_range": "content-range", "commit": "x-repo-commit"}


class _Unknown:
    """A connection under a server that tells nothing about it."""

    def gone(self) -> bool:
        return False

    def unsent(self) -> int:
        return 0

    def abort(self) -> None:
        raise ConnectionAbortedError("the answer is not completed")

    def cut(self) -> None:
        """Left to the look at the locks before the next block."""


class Exchange:
    """`headers`: lower-case names; a header that came several times is joined with commas (RFC 9110, section 5.3), so two tokens are none."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send = receive, send
        self.request_id = request_id
        self.method: str = scope["method"][:16]
        self.head = self.method == "HEAD"
        raw = scope.get("raw_path") or scope["path"].encode()
        self.raw_path: bytes = raw.partition(b"?")[0]
        self._query_string: bytes = scope.get("query_string", b"")
        self.headers = _headers(scope["headers"])
        self.client: str | None = (scope.get("client") or (None, 0))[0]
        self.reached = reached_at(scope)
        self.connection: Connection = (scope.get("extensions") or {}).get(EXTENSION) or _Unknown()
        self.started = False

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The query's fields; Refusal when there are too many."""
        try:
            return parse_qs(self._query_string.decode("latin-1"), max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise bad_request(f"The query has more than {MAX_FIELDS} fields.") from error

    async def body(self, limit: int, seconds: float) -> bytes:
        """The request's body, or Refusal when it is larger, later or cut."""
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await self._receive()
                    body += message.get("body", b"")
                    if len(body) > limit or message["type"] == "http.disconnect":
                        raise bad_request(f"The request's body is not whole, or has more than {limit} bytes.")
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError as error:
            raise bad_request("The request's body came too slowly.") from error

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers. A header's text from outside loses what cannot stand in one."""
        fields = [(name.encode(), _header_text(value)) for name, value in headers.items()]
        self.started = True
        extra = [(b"x-content-type-options", b"nosniff"), (b"x-request-id", self.request_id.encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": [*fields, *extra]})

    async def piece(self, data: bytes | memoryview, *, more: bool = True) -> None:
        """A part of the answer's body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def empty(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer without a body (to HEAD, or 304 and the like)."""
        await self.start(status, headers)
        await self.piece(b"", more=False)

    async def json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> int:
        """A JSON answer; how many bytes of it were sent."""
        body = msgspec.json.encode(value)
        fixed = {"content-type": "application/json", "content-length": str(len(body))}
        await self.start(status, {**(headers or {}), **fixed})
        await self.piece(b"" if self.head else body, more=False)
        return 0 if self.head else len(body)

    async def refuse(self, refusal: Refusal) -> None:
        """The sentence, as JSON and in the headers that Hub clients print; with the id to quote."""
        text = shown(f"{refusal.text} (request {self.request_id})")
        headers = {"x-error-code": refusal.code, "x-error-message": text[:_MAX_HEADER_TEXT]}
        headers |= {_FACT_HEADERS[name]: value for name, value in refusal.facts.items() if name in _FACT_HEADERS}
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            challenge = refusal.facts.get("challenge")
            headers["www-authenticate"] = 'Bearer realm="tallystick"' + (f", {challenge}" if challenge else "")
        body = {"error": text, "code": refusal.code, "request_id": self.request_id}
        if "lock" in refusal.facts:
            body["lock"] = refusal.facts["lock"]
        await self.json(int(refusal.status), body, headers)


def _headers(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return {name: ", ".join(values) for name, values in found.items()}


def _header_text(value: str) -> bytes:
    return "".join(char if char.isprintable() else " " for char in value).encode("ascii", "replace")

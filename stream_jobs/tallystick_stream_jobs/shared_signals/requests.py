"""Requests as bounded JSON objects, answers as JSON, and who asks. Knows HTTP and tokens, nothing of streams."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tallystick_producers.gateway.token_file import TokenFile
from tallystick_producers.seldom import Seldom
from tallystick_schemas.errors import ParseError, TallystickError
from tallystick_schemas.strict_json import check_json

from .errors import StreamRefused

log: Final = logging.getLogger(__name__)
MAX_BODY: Final = 64 * 1024
BODY_S = 10.0
_NO_STORE: Final = {"cache-control": "no-store"}


class BodyRefused(Exception):
    """A body that is too large or too slow; carries what to answer."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, read no further than `limit`, within BODY_S seconds. BodyRefused: 413 or 408."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyRefused(413, f"the body has more than {limit} bytes")
    except TimeoutError as error:
        raise BodyRefused(408, "the body came too slowly") from error
    except ClientDisconnect as error:
        raise BodyRefused(400, "the body was cut off") from error
    return bytes(body)


async def read_json(request: Request, limit: int = MAX_BODY) -> dict[str, Any]:
    """A JSON object; StreamRefused or BodyRefused."""
    raw = await read_body(request, limit)
    try:
        return check_json(raw.replace(b"\n", b" ").replace(b"\r", b" ") or b"{}")
    except ParseError as error:
        raise StreamRefused(400, f"the body cannot be read: {error}") from error


def answer(value: Any, status: int = 200) -> Response:
    """JSON that nobody caches."""
    return JSONResponse(value, status, _NO_STORE)


def empty(status: int) -> Response:
    """No content."""
    return Response(None, status, _NO_STORE)


def principal_of_token(request: Request, tokens: TokenFile) -> str:
    """Who asks; StreamRefused (401). The token file is the gateway's kind: hashes, compared in constant time."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    record = tokens.book(time.monotonic()).find(token.strip()) if scheme.lower() == "bearer" and token else None
    if record is None or record.expired(time.time()):
        raise StreamRefused(401, "a valid bearer token is needed; the operator makes one with `tallystick signals token`")
    return record.principal


def guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Refusals as answers."""
    seldom = Seldom()

    async def answering(request: Request) -> Response:
        try:
            return await handler(request)
        except StreamRefused as error:
            headers = {**_NO_STORE, **({"www-authenticate": 'Bearer realm="tallystick signals"'} if error.status == 401 else {})}
            if error.retry_after_s is not None:
                headers["retry-after"] = str(error.retry_after_s)
            return JSONResponse({"error": error.text}, error.status, headers)
        except BodyRefused as error:
            # What was not read would be taken for the next request.
            return JSONResponse({"error": error.text}, error.status, {**_NO_STORE, "connection": "close"})

        except TallystickError as error:
            # Ours, not the caller's: the disk, the keys, the spool.
            others = seldom.ask(time.monotonic())
            if others is not None:
                log.error("%s %s cannot be answered now: %s%s", request.method, request.url.path, error, others)
            return JSONResponse({"error": "not now; try again"}, 503, {**_NO_STORE, "retry-after": "5"})

    return answering

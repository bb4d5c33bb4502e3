"""ClickHouse's HTTP interface over the engine: loopback, TLS, one user a process. `python -m tallystick_infra.clickhouse`."""

import asyncio
import base64
import binascii
import itertools
import logging
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

import anyio
import lz4.frame
import zstandard
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .asking import COMMITTED, MEND, checked
from .bodies import read_body
from .engine import Engine, EngineError
from .form import is_form, parse_form
from .grants import OWNER, Role, user_of
from .passwords import Passwords
from .statements import BadRequest, Statement, http_status, parse_request

log = logging.getLogger(__name__)
_SERVER: Final = {"X-ClickHouse-Server-Display-Name": "tallystick-embedded", "Server": "ClickHouse (embedded)"}
_WORKERS: Final = 16
_BEGIN: Final = 2
"""Blocks of an answer that are there before its status is sent."""
_DENIED: Final = "Code: 497. DB::Exception: default: Not enough privileges."
T = TypeVar("T")
_Encode = Callable[[bytes, bool], bytes]
"""(block, is it the end) -> what goes over the wire."""


class Server:
    """The ASGI application's handlers."""

    def __init__(self, engine: Engine, passwords: Passwords) -> None:
        self._engine, self._passwords = engine, passwords
        self._limiter: anyio.CapacityLimiter | None = None

    def application(self) -> Starlette:
        """Ready to be served."""
        return Starlette(routes=[Route("/ping", self.ping), Route("/", self.query, methods=["GET", "POST"])])

    async def ping(self, _: Request) -> Response:
        return Response("Ok.\n", headers=_SERVER)

    async def query(self, request: Request) -> Response:
        """One statement."""
        user, password = _credentials(request)
        role = self._passwords.role(user, password)
        if role is None:
            return _failure(516, "Authentication failed: password is incorrect, or there is no user with such name.")
        try:
            return await self._answer(request, role, await self._parsed(request, role, dict(request.query_params)))
        except BadRequest as error:
            return _failure(error.code, str(error))
        except EngineError as error:
            log.info("refused: %s", error.text.split("\n", 1)[0][:300])
            return _failure(error.code, _own_words(role, error.text), whole=True)

    async def _parsed(self, request: Request, role: Role, query: dict[str, str]) -> Statement:
        default = request.headers.get("x-clickhouse-format", "TabSeparated")
        if request.method == "GET":
            if not query.get("query"):
                query["query"] = "SELECT 'Ok.'"
            return parse_request(query, b"", readonly=True, default_format=default)
        body, kind = await read_body(request, role, self._in_thread), request.headers.get("content-type", "")
        if is_form(kind):
            query, body = query | parse_form(kind, body), b""
        return parse_request(query, body, readonly=False, default_format=default)

    async def _allowed(self, role: Role, asked: str, statement: Statement) -> Statement:
        """What the engine shall run for a user who is not the owner."""
        statement = checked(role, self._engine.database, asked, statement)
        if not statement.reads and statement.data is None:
            committed = Statement(COMMITTED, statement.params, "TabSeparated", reads=True)
            found = await self._in_thread(lambda: self._engine.execute(OWNER, self._engine.database, committed))
            if found.strip() != b"0":
                raise BadRequest(497, f"{user_of(role)}: Not enough privileges: the ledger has entries of these rows; {MEND}")
        return statement

    async def _answer(self, request: Request, role: Role, statement: Statement) -> Response:
        database = request.query_params.get("database") or request.headers.get("x-clickhouse-database") or "default"
        if role != OWNER:
            statement, database = await self._allowed(role, database, statement), self._engine.database
        if not database.replace("_", "").isalnum():
            raise BadRequest(81, f"Database {database!r} does not exist")
        headers = {**_SERVER, "X-ClickHouse-Format": statement.format, "X-ClickHouse-Query-Id": request.query_params.get("query_id", "")}
        if not statement.streams:
            result = await self._in_thread(lambda: self._engine.execute(role, database, statement))
            return Response(result, headers={**headers, "X-ClickHouse-Summary": "{}"}, media_type=_media(statement.format))
        blocks = self._engine.stream(role, database, statement)
        # Blocks before the status: most errors show there and become an honest status. Most answers have one, and need no other thread after it.
        begun = await self._in_thread(lambda: _begun(blocks))
        name, encode = _encoding(request)
        headers |= {"X-ClickHouse-Summary": "{}", **({"Content-Encoding": name} if name else {})}
        if len(begun) < _BEGIN:
            whole = b"".join(begun)
            return Response(
                encode(whole, False) + encode(b"", True) if encode else whole, headers=headers, media_type=_media(statement.format)
            )
        return StreamingResponse(self._encoded(begun, blocks, encode), headers=headers, media_type=_media(statement.format))

    async def _encoded(self, begun: list[bytes], blocks: Iterator[bytes], encode: _Encode | None) -> AsyncIterator[bytes]:
        coming = None
        try:
            for block in begun[:-1]:
                yield encode(block, False) if encode else block
            block = begun[-1]
            while block:
                # The engine works on the next block while this one is on its way.
                coming = asyncio.ensure_future(self._in_thread(lambda: next(blocks, b"")))
                yield encode(block, False) if encode else block
                block = await coming
            if encode:
                yield encode(b"", True)
        finally:
            if coming is not None:
                await asyncio.gather(coming, return_exceptions=True)
            await self._in_thread(blocks.close)  # type: ignore[attr-defined]  # a generator: gives its connection back

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_WORKERS)
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


def _begun(blocks: Iterator[bytes]) -> list[bytes]:
    """The first blocks of an answer; fewer than `_BEGIN` are all of it, and what the engine held for it is given back."""
    begun = list(itertools.islice(blocks, _BEGIN))
    if len(begun) < _BEGIN:
        blocks.close()  # type: ignore[attr-defined]  # a generator
    return begun


def _encoding(request: Request) -> tuple[str, _Encode | None]:
    if request.query_params.get("enable_http_compression") != "1":
        return "", None
    accepted = {part.split(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
    if "lz4" in accepted:
        frame = lz4.frame.LZ4FrameCompressor()
        begun = [frame.begin()]
        return "lz4", lambda block, last: (begun.pop() if begun else b"") + frame.compress(block) + (frame.flush() if last else b"")
    if "zstd" in accepted:
        zstd = zstandard.ZstdCompressor(level=1).compressobj()
        return "zstd", lambda block, last: zstd.compress(block) + (zstd.flush() if last else b"")
    if "gzip" in accepted:
        zipped = zlib.compressobj(1, zlib.DEFLATED, 31)
        return "gzip", lambda block, last: zipped.compress(block) + (zipped.flush() if last else b"")
    return "", None


def _credentials(request: Request) -> tuple[str, str]:
    headers, query = request.headers, request.query_params
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    return (
        headers.get("x-clickhouse-user") or query.get("user", ""),
        headers.get("x-clickhouse-key") or query.get("password", ""),
    )


def _own_words(role: Role, text: str) -> str:
    """The engine knows one user of its own; who asked is told by their name, and where the grants stand."""
    if role == OWNER or not text.startswith(_DENIED):
        return text
    return f"Code: 497. DB::Exception: {user_of(role)}: Not enough privileges.{text.removeprefix(_DENIED).rstrip()} {MEND}"


def _failure(code: int, text: str, *, whole: bool = False) -> Response:
    body = text if whole and text.startswith("Code: ") else f"Code: {code}. DB::Exception: {text}"
    return Response(body + "\n", status_code=http_status(code), headers={**_SERVER, "X-ClickHouse-Exception-Code": str(code)})


def _media(fmt: str) -> str:
    if fmt.startswith("JSON"):
        return "application/json; charset=UTF-8"
    return "text/tab-separated-values; charset=UTF-8" if fmt.startswith("T") else "application/octet-stream"

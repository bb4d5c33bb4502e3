"""The gateway's ASGI application: decide, record, answer. One method a step of a request; a Refusal anywhere becomes a sentence."""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, quote

import msgspec

from tallystick_schemas.events import Source

from . import hub_api
from .catalog import Catalog, Listing, entity_tag
from .conditions import evaluate, range_applies
from .errors import AuditUnavailable, Refusal, StoreChanged, bad_request, not_found, try_later
from .events import EventSink, RequestLog
from .instants import Instant, now
from .locks import LockTable
from .ranges import RangeRefused, Span, parse_range
from .routes import Route, parse_route
from .token_file import TokenFile
from .tokens import TokenRecord
from .transfer import Receive, Send, Transfer

log: Final = logging.getLogger(__name__)
_MAX_BODY: Final = 256 * 1024
_BOUNDARY: Final = "tallystick-range"
_READS: Final = frozenset({"GET", "HEAD"})
Headers = dict[str, str]


class Gateway:
    """`collection` is the default for repositories whose owner names none."""

    def __init__(
        self, catalog: Catalog, tokens: TokenFile, locks: LockTable, sink: EventSink, collection: str, clock: Callable[[], Instant] = now
    ) -> None:
        self._catalog, self._tokens, self._locks, self._sink = catalog, tokens, locks, sink
        self._collection, self._clock = collection, clock

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client") or ("", 0)
        source = Source(ip=client[0] or None, user_agent=headers.get("user-agent", "")[:300] or None)
        request = RequestLog(self._sink, uuid.uuid4().hex, scope["method"][:16], source)
        try:
            try:
                await self._serve(scope, headers, request, receive, send)
            except StoreChanged as error:
                raise try_later("Changed", f"{error}; ask again.", 1) from error
        except Refusal as refusal:
            await self._refuse(request, refusal, send, head=scope["method"] == "HEAD")
        except AuditUnavailable as error:
            log.error("nothing is served: %s", error)
            answer = try_later("AuditUnavailable", "This access cannot be recorded now, so it is not granted. Try again shortly.", 2)
            await _send_refusal(send, request.request_id, answer, head=scope["method"] == "HEAD")

    async def _refuse(self, request: RequestLog, refusal: Refusal, send: Send, *, head: bool) -> None:
        await request.refuse(refusal)
        await _send_refusal(send, request.request_id, refusal, head=head)

    async def _serve(self, scope: dict[str, Any], headers: Headers, request: RequestLog, receive: Receive, send: Send) -> None:
        method = scope["method"]
        raw_path = scope.get("raw_path") or scope["path"].encode()
        route = parse_route(raw_path.split(b"?")[0])
        if route.door == "health":
            await _send_json(send, 200, {"status": "ok"}, {}, head=method == "HEAD")
            return
        if method not in (("POST",) if route.door == "paths" else _READS):
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                f"{method} is not something this path can do.",
                facts={"allow": "GET, HEAD"},
            )
        token = self._authenticate(headers)
        request.actor = token.actor()
        self._check_locks(token)
        if route.kind is None:
            raise not_found("EntryNotFound", "Name models or datasets, and a repository.")
        listing, path = await self._catalog.find(route)
        request.names(listing, path, self._collection)
        roles = listing.manifest.meta.roles
        if roles is not None and not set(roles) & set(token.roles):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "GatedRepo",
                f"{listing.repo.id} is for the roles {', '.join(roles)}.",
                outcome="denied",
                policies=["repo.roles"],
            )
        # Once more: finding the repository took a moment, and a lock must not be overtaken by it.
        self._check_locks(token)
        if route.door in ("files", "resolve") and path in listing.manifest.files:
            await self._file(listing, path, token, headers, request, receive, send, head=method == "HEAD")
        else:
            await self._listing(route, scope, listing, path, request, receive, send, head=method == "HEAD")

    def _authenticate(self, headers: Headers) -> TokenRecord:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        record = self._tokens.book(self._clock().mono).find(token.strip()) if scheme.lower() == "bearer" and token else None
        if record is None or record.expired(self._clock().wall):
            text = (
                "This token has expired; ask for a new one."
                if record
                else "A valid bearer token is needed: `tallystick token add` makes one."
            )
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", text, outcome="denied", policies=["token.valid"])
        return record

    def _check_locks(self, token: TokenRecord) -> None:
        denial = self._locks.check(token.principal, token.credential, self._clock())
        if denial is not None:
            raise denial.refusal()

    async def _listing(
        self,
        route: Route,
        scope: dict[str, Any],
        listing: Listing,
        path: str,
        request: RequestLog,
        receive: Receive,
        send: Send,
        *,
        head: bool,
    ) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        extra: Headers = {"x-repo-commit": listing.commit}
        if route.door == "info":
            body: Any = hub_api.info(listing)
        elif route.door == "paths":
            body = hub_api.paths_info(listing, await _wanted_paths(receive))
        elif route.door == "tree" or (route.door == "files" and _is_folder(listing, path)):
            recursive = (query.get("recursive", ["false"])[0]).lower() in ("true", "1")
            body, cursor = hub_api.tree(listing, path, query.get("cursor", [""])[0], recursive=recursive)
            if cursor is not None:
                base = f"{_origin(scope)}{scope['path']}"
                extra["link"] = f'<{base}?recursive={str(recursive).lower()}&cursor={quote(cursor)}>; rel="next"'
        else:
            raise not_found("EntryNotFound", f"{listing.repo.id} holds no file {path}.", commit=listing.commit)
        await request.allow(["token.valid", "lock.none"], counts=False)
        sent = await _send_json(send, 200, body, extra, head=head)
        request.done("artifact.list", 0 if head else sent, 0)

    async def _file(
        self,
        listing: Listing,
        path: str,
        token: TokenRecord,
        headers: Headers,
        request: RequestLog,
        receive: Receive,
        send: Send,
        *,
        head: bool,
    ) -> None:
        key = listing.manifest.files[path]
        tag, modified = entity_tag(key), key.mtime_ns // 1_000_000_000
        common = {
            "etag": f'"{tag}"',
            "last-modified": formatdate(modified, usegmt=True),
            "accept-ranges": "bytes",
            "x-repo-commit": listing.commit,
            "x-linked-etag": f'"{tag}"',
            "x-linked-size": str(key.size),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
            "x-request-id": request.request_id,
        }
        status = evaluate(headers, tag, modified)
        if status is not HTTPStatus.OK:
            await request.allow(["token.valid", "lock.none"], counts=False)
            await _send_empty(send, int(status), common)
            return
        spans = self._spans(headers, tag, modified, key.size) if not head else None
        await request.allow(["token.valid", "lock.none"], counts=not head)
        if head:
            await _send_empty(send, 200, {**common, "content-length": str(key.size), "content-type": "application/octet-stream"})
            return
        fd = await asyncio.to_thread(self._catalog.store.open, listing.repo, path, key)
        action = ("dataset.read" if listing.repo.kind == "dataset" else "artifact.download") if key.size > 0 else "artifact.read"
        began = time.monotonic()
        transfer = Transfer(send, receive, lambda: self._still_allowed(token), lambda sent: request.progress(action, sent))
        problem = "ended by an error"
        try:
            problem = await self._transfer(transfer, fd, spans, key.size, common, send)
        finally:
            os.close(fd)
            request.done(action, transfer.sent, int((time.monotonic() - began) * 1000), problem)

    def _still_allowed(self, token: TokenRecord) -> bool:
        return self._locks.check(token.principal, token.credential, self._clock()) is None

    def _spans(self, headers: Headers, tag: str, modified: int, size: int) -> list[Span] | None:
        if not range_applies(headers, tag, modified):
            return None
        try:
            return parse_range(headers.get("range"), size)
        except RangeRefused as error:
            raise Refusal(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "Range", f"{error}.", facts={"content_range": f"bytes */{size}"}
            ) from error

    async def _transfer(self, transfer: Transfer, fd: int, spans: list[Span] | None, size: int, common: Headers, send: Send) -> str:
        if spans is None:
            await _start(send, 200, {**common, "content-length": str(size), "content-type": "application/octet-stream"})
            return await transfer.spans(fd, [(b"", Span(0, size))])
        if len(spans) == 1:
            span = spans[0]
            extra = {"content-length": str(span.length), "content-range": span.header(size), "content-type": "application/octet-stream"}
            await _start(send, 206, {**common, **extra})
            return await transfer.spans(fd, [(b"", span)])
        parts = [
            (f"\r\n--{_BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Range: {s.header(size)}\r\n\r\n".encode(), s)
            for s in spans
        ]
        closing = f"\r\n--{_BOUNDARY}--\r\n".encode()
        length = sum(len(prefix) + span.length for prefix, span in parts) + len(closing)
        await _start(send, 206, {**common, "content-length": str(length), "content-type": f"multipart/byteranges; boundary={_BOUNDARY}"})
        return await transfer.spans(fd, parts, closing)


async def _wanted_paths(receive: Receive) -> list[str]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY:
            raise bad_request("The request's body is too large.")
        if not message.get("more_body"):
            break
    try:
        paths: list[str] = msgspec.json.decode(body, type=dict[str, Any]).get("paths", [])
        return [path for path in paths if isinstance(path, str)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return [path for name, values in parse_qs(body.decode("latin-1")).items() if name == "paths" for path in values]


def _is_folder(listing: Listing, path: str) -> bool:
    return not path or any(name.startswith(f"{path}/") for name in listing.manifest.files)


def _origin(scope: Mapping[str, Any]) -> str:
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "127.0.0.1")
    return f"{scope.get('scheme', 'http')}://{host}"


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _start(send: Send, status: int, headers: Headers) -> None:
    fields = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, (b"x-content-type-options", b"nosniff")]})


async def _send_empty(send: Send, status: int, headers: Headers) -> None:
    await _start(send, status, headers)
    await send({"type": "http.response.body", "body": b""})


async def _send_json(send: Send, status: int, value: Any, headers: Headers, *, head: bool) -> int:
    body = msgspec.json.encode(value)
    await _start(send, status, {**headers, "content-type": "application/json", "content-length": str(len(body))})
    await send({"type": "http.response.body", "body": b"" if head else body})
    return len(body)


async def _send_refusal(send: Send, request_id: str, refusal: Refusal, *, head: bool) -> None:
    facts = refusal.facts
    headers = {"x-request-id": request_id, "x-error-code": refusal.code, "x-error-message": refusal.text}
    names = {"retry_after": "retry-after", "allow": "allow", "content_range": "content-range", "commit": "x-repo-commit"}
    headers |= {names[name]: value for name, value in facts.items() if name in names}
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="tallystick"'
    body = {"error": refusal.text, "code": refusal.code, "request_id": request_id, **({"lock": facts["lock"]} if "lock" in facts else {})}
    await _send_json(send, int(refusal.status), body, headers, head=head)

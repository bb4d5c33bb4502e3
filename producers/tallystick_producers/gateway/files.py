"""Answering for one file: conditions, ranges, the decision, and then its bytes."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from tallystick_schemas.events import Usage

from .catalog import WEIGHTS, Listing, entity_tag
from .conditions import evaluate, range_applies
from .errors import Refusal
from .events import RequestLog
from .exchange import Exchange, Headers
from .folder_store import FileKey, FolderStore, Repo
from .ranges import RangeRefused, Span, parse_range
from .transfer import BLOCK, Transfer, UnderWay

POLICIES: Final = ("token.valid", "lock.none")
_BYTES: Final = "application/octet-stream"
_ABOUT: Final = (".md", ".gitattributes", ".gitignore", "LICENSE", ".py")
"""What stands beside the data of a dataset."""


@dataclass(frozen=True)
class _Layout:
    """How an answer is put together: its status and headers, each span after its prefix, and an ending."""

    status: HTTPStatus
    headers: Headers
    parts: list[tuple[bytes, Span]]
    closing: bytes = b""


@dataclass(frozen=True)
class FileDoor:
    """`stall_s`: how long a client may take nothing."""

    store: FolderStore
    stall_s: float
    under_way: UnderWay

    async def serve(
        self, exchange: Exchange, request: RequestLog, listing: Listing, path: str, allowed: Callable[[], Refusal | None]
    ) -> None:
        """Answer GET or HEAD. Before the first byte: Refusal, StoreChanged, AuditUnavailable."""
        key = listing.manifest.files[path]
        tag, modified = entity_tag(key), key.mtime_ns // 1_000_000_000
        headers = _headers(listing, path, key, tag, modified)
        status = evaluate(exchange.headers, tag, modified)
        if exchange.head or status is not HTTPStatus.OK:
            if status is HTTPStatus.OK:
                headers |= {"content-length": str(key.size), "content-type": _BYTES}
            await request.allow(POLICIES, counts=False)
            await exchange.empty(int(status), headers)
            request.done("artifact.list", Usage(bytes=0))
            return
        layout = _layout(_spans(exchange.headers, tag, modified, key.size), key.size, exchange.request_id)
        # Opened before the decision: what can't be opened is no download that was allowed.
        fd, first = await asyncio.to_thread(self._open, listing.repo, path, key, layout.parts[0][1])
        try:
            await request.allow(POLICIES, counts=True)
            if (refusal := allowed()) is not None:  # a lock that came while the decision was written
                raise refusal
            action = action_of(listing.repo, path)
            transfer = Transfer(exchange, allowed, lambda sent: request.progress(action, sent), self.stall_s)
            with self.under_way.with_(transfer):
                await _send(exchange, request, action, transfer, _Sending(fd, first, layout, headers))
        finally:
            os.close(fd)

    def _open(self, repo: Repo, path: str, key: FileKey, span: Span) -> tuple[int, bytes]:
        """The file, and the first block of what is asked for: one hop to a thread is enough for a small file."""
        fd = self.store.open(repo, path, key)
        try:
            return fd, os.pread(fd, min(BLOCK, span.length), span.start)
        except BaseException:
            os.close(fd)
            raise


@dataclass(frozen=True)
class _Sending:
    fd: int
    first: bytes
    layout: _Layout
    headers: Headers


async def _send(exchange: Exchange, request: RequestLog, action: str, transfer: Transfer, what: _Sending) -> None:
    began = time.monotonic()
    problem: Refusal | str = "the gateway ended it"
    try:
        await exchange.start(int(what.layout.status), {**what.headers, **what.layout.headers})
        problem = await transfer.run(what.fd, what.layout.parts, what.layout.closing, what.first)
        if problem:
            # Before anything is written down: what the kernel still buffers goes out meanwhile.
            exchange.connection.cut() if isinstance(problem, Refusal) else exchange.connection.abort()
    finally:
        request.done(action, Usage(bytes=transfer.sent, objects=1, duration_ms=int((time.monotonic() - began) * 1000)), problem)
    if problem:
        await asyncio.sleep(0)  # the server hears of it before the application returns with an answer that is not whole


def action_of(repo: Repo, path: str) -> str:
    """The action of sending a file's content: weights and data are downloads, what describes them is read."""
    if repo.kind == "dataset":
        return "dataset.read" if path.endswith(_ABOUT) else "artifact.download"
    return "artifact.download" if path.endswith(WEIGHTS) else "artifact.read"


def _headers(listing: Listing, path: str, key: FileKey, tag: str, modified: int) -> Headers:
    return {
        "etag": f'"{tag}"',
        "last-modified": formatdate(modified, usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",  # a shared cache would answer past the decision
        "x-repo-commit": listing.commit,
        "x-linked-etag": f'"{tag}"',
        "x-linked-size": str(key.size),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2])}",
    }


def _spans(headers: Headers, tag: str, modified: int, size: int) -> list[Span] | None:
    if not range_applies(headers, tag, modified):
        return None
    try:
        return parse_range(headers.get("range"), size)
    except RangeRefused as error:
        facts = {"content_range": f"bytes */{size}"}
        raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "Range", f"{str(error).capitalize()}.", facts=facts) from error


def _layout(spans: list[Span] | None, size: int, boundary: str) -> _Layout:
    """The answer that RFC 9110, sections 14.4 to 14.6, wants for these spans of a file of `size` bytes."""
    if spans is None:
        return _Layout(HTTPStatus.OK, {"content-length": str(size), "content-type": _BYTES}, [(b"", Span(0, size))])
    if len(spans) == 1:
        headers = {"content-length": str(spans[0].length), "content-range": spans[0].header(size), "content-type": _BYTES}
        return _Layout(HTTPStatus.PARTIAL_CONTENT, headers, [(b"", spans[0])])
    parts = [(f"\r\n--{boundary}\r\nContent-Type: {_BYTES}\r\nContent-Range: {s.header(size)}\r\n\r\n".encode(), s) for s in spans]
    closing = f"\r\n--{boundary}--\r\n".encode()
    length = sum(len(prefix) + span.length for prefix, span in parts) + len(closing)
    headers = {"content-length": str(length), "content-type": f"multipart/byteranges; boundary={boundary}"}
    return _Layout(HTTPStatus.PARTIAL_CONTENT, headers, parts, closing)

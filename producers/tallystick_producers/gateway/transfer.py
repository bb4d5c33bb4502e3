"""Sending bytes: chunk by chunk, with an eye on the client, the clock and the locks."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from .ranges import Span

CHUNK: Final = 512 * 1024
STALL_S: Final = 30.0
"""A client that takes nothing for so long is let go."""
REPORT_BYTES: Final = 64 << 20
REPORT_S: Final = 5.0
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Transfer:
    """One file's spans to one client. `sent` counts bytes of the file, not of headers between them."""

    def __init__(self, send: Send, receive: Receive, allowed: Callable[[], bool], report: Callable[[int], None]) -> None:
        self._send, self._allowed, self._report = send, allowed, report
        self._gone = asyncio.ensure_future(_disconnect(receive))
        self.sent = 0
        self._reported, self._reported_at = 0, time.monotonic()

    async def spans(self, fd: int, spans: Sequence[tuple[bytes, Span]], closing: bytes = b"") -> str:
        """Send each span after its prefix; why it ended early, or nothing."""
        try:
            for prefix, span in spans:
                if prefix:
                    await self._chunk(prefix)
                problem = await self._span(fd, span)
                if problem:
                    return problem
            await self._send({"type": "http.response.body", "body": closing, "more_body": False})
            return "client went away" if self._gone.done() and self.sent < sum(span.length for _, span in spans) else ""
        except TimeoutError:
            return f"client took nothing for {STALL_S:.0f} s"
        finally:
            self._gone.cancel()

    async def _span(self, fd: int, span: Span) -> str:
        at = span.start
        while at < span.end:
            if self._gone.done():
                return "client went away"
            if not self._allowed():
                return "locked while it was sent"
            data = await asyncio.to_thread(os.pread, fd, min(CHUNK, span.end - at), at)
            if not data:
                return "the file became shorter"
            await self._chunk(data)
            if self._gone.done():
                return "client went away"
            at += len(data)
            self.sent += len(data)
            self._maybe_report()
        return ""

    async def _chunk(self, data: bytes) -> None:
        await asyncio.wait_for(self._send({"type": "http.response.body", "body": data, "more_body": True}), STALL_S)

    def _maybe_report(self) -> None:
        now = time.monotonic()
        if self.sent - self._reported >= REPORT_BYTES or now - self._reported_at >= REPORT_S:
            self._reported, self._reported_at = self.sent, now
            self._report(self.sent)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

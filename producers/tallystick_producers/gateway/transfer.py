"""Sending a file's bytes: block by block, with an eye on the client, the clock, the locks and the token."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from .errors import Refusal
from .exchange import Exchange
from .ranges import Span

BLOCK: Final = 256 * 1024
"""Read from disk at once, and the most that goes out between two looks at the locks and at the token."""
PIECE: Final = 64 * 1024
"""Written at once; the next waits until the operating system has it, so what is counted as sent errs by less than this."""
REPORT_BYTES: Final = 64 << 20
REPORT_S: Final = 5.0
LOOK_S: Final = 0.25
"""How often those are looked at who take nothing: nobody tells us of a token that was taken out of its file, or whose time is over."""


class Transfer:
    """One file's spans to one client. `sent` counts bytes of the file, not of what stands between them."""

    def __init__(self, exchange: Exchange, allowed: Callable[[], Refusal | None], report: Callable[[int], None], stall_s: float) -> None:
        self._exchange, self._connection = exchange, exchange.connection
        self._allowed, self._report, self._stall_s = allowed, report, stall_s
        self._handed = 0
        self._refused: Refusal | None = None
        self.sent = 0
        self._reported, self._reported_at = 0, time.monotonic()

    async def run(self, fd: int, spans: Sequence[tuple[bytes, Span]], closing: bytes, first: bytes) -> Refusal | str:
        """Send each span after its prefix, then `closing`; why it ended early, or nothing. `first`: the first span's first bytes, read already."""
        for prefix, span in spans:
            problem = await self._piece(prefix, 0) or await self._span(fd, span, first)
            if problem:
                return problem
            first = b""
        return await self._piece(closing, 0) or await self._end()

    async def _span(self, fd: int, span: Span, first: bytes) -> Refusal | str:
        at, data = span.start, first
        while at < span.end:
            if (refusal := self._allowed()) is not None:
                return refusal
            data = data or await asyncio.to_thread(os.pread, fd, min(BLOCK, span.end - at), at)
            if not data:
                return "the file became shorter"
            at += len(data)
            view = memoryview(data)
            for start in range(0, len(data), PIECE):
                if problem := await self._piece(view[start : start + PIECE], min(PIECE, len(data) - start)):
                    return problem
            data = b""
            self._maybe_report()
        return ""

    def look_again(self) -> None:
        """Whoever may not go on is cut at once: a client that takes nothing would keep us from the next look, and go on with what is buffered.

        One that is told to try again in a moment is left to the next look.
        """
        refusal = self._allowed() if self._refused is None else None
        if refusal is not None and "retry_after" not in refusal.facts:
            self._look()
            self._refused = refusal
            self._connection.cut()

    async def _piece(self, data: bytes | memoryview, counted: int) -> Refusal | str:
        """One write, when all before it is with the operating system; `counted` bytes of it are the file's."""
        return await self._write(data, counted, more=True) if data else ""

    async def _end(self) -> Refusal | str:
        return await self._write(b"", 0, more=False)

    async def _write(self, data: bytes | memoryview, counted: int, *, more: bool) -> Refusal | str:
        try:
            async with asyncio.timeout(self._stall_s):
                await self._exchange.piece(data, more=more)
        except TimeoutError:
            if self._refused is not None:
                return self._refused
            self._look()
            return f"the client took nothing for {self._stall_s:.0f} s"
        if self._refused is not None:
            return self._refused
        if self._connection.gone():
            # What was handed over last may have been dropped: `sent` stays at what was known before.
            return "the client went away"
        self._handed += counted
        self._look()
        return ""

    def _look(self) -> None:
        self.sent = max(self.sent, self._handed - self._connection.unsent())

    def _maybe_report(self) -> None:
        now = time.monotonic()
        if self.sent - self._reported >= REPORT_BYTES or now - self._reported_at >= REPORT_S:
            self._reported, self._reported_at = self.sent, now
            self._report(self.sent)


class UnderWay:
    """The transfers of one loop. When locks change, and a few times a second, each is looked at: off the way of the bytes, and without waiting for a slow
    client."""

    def __init__(self) -> None:
        self._transfers: set[Transfer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def with_(self, transfer: Transfer) -> Iterator[None]:
        """As long as it sends."""
        self._loop = asyncio.get_running_loop()
        self._transfers.add(transfer)
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._tick)
        try:
            yield
        finally:
            self._transfers.discard(transfer)
            if not self._transfers and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def changed(self) -> None:
        """From the thread that writes the lock table."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and every transfer with it
                self._loop.call_soon_threadsafe(self._look)

    def _tick(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(LOOK_S, self._tick)
        self._look()

    def _look(self) -> None:
        for transfer in list(self._transfers):
            transfer.look_again()

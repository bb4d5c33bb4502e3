"""A transfer to a client that takes nothing: a lock ends it at once, from the thread that hears of locks, and not at the next look."""

import asyncio
import os
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tallystick_producers.gateway.errors import Refusal
from tallystick_producers.gateway.ranges import Span
from tallystick_producers.gateway.transfer import BLOCK, PIECE, Transfer, UnderWay

LOCKED = Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", "Suspended.", outcome="denied", facts={"lock": "cmd-1"})
UNKNOWN = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "LocksUnknown", "Nobody knows.", outcome="denied", facts={"retry_after": "2"})
REVOKED = Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Taken out.", outcome="denied")


class Stalled:
    """An exchange whose client takes `pieces` and then nothing, until the connection is cut."""

    def __init__(self, pieces: int) -> None:
        self.connection: Any = self
        self._left, self._cut = pieces, asyncio.Event()
        self.cuts = 0
        self.waiting = asyncio.Event()

    async def piece(self, _data: bytes, *, more: bool = True) -> None:
        assert more
        if self._left:
            self._left -= 1
            return
        self.waiting.set()
        await self._cut.wait()

    def cut(self) -> None:
        self.cuts += 1
        self._cut.set()

    def gone(self) -> bool:
        return self._cut.is_set()

    def unsent(self) -> int:
        return 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(4 * BLOCK))
    return path


async def send(file: Path, refusals: list[Refusal], then: Refusal) -> tuple[Refusal | str, Stalled, Transfer]:
    """Send until the client stalls, change the locks from another thread, and what the transfer ends with."""
    exchange, under_way = Stalled(2), UnderWay()
    transfer = Transfer(exchange, lambda: refusals[0] if refusals else None, lambda _: None, 5.0)  # type: ignore[arg-type]
    fd = os.open(file, os.O_RDONLY)
    try:
        with under_way.with_(transfer):
            running = asyncio.ensure_future(transfer.run(fd, [(b"", Span(0, 4 * BLOCK))], b"", b""))
            await exchange.waiting.wait()
            refusals.append(then)
            thread = threading.Thread(target=under_way.changed)
            thread.start()
            await asyncio.to_thread(thread.join)
            if then is not LOCKED:
                await asyncio.sleep(0)
                exchange.cut()
            return await running, exchange, transfer
    finally:
        os.close(fd)


def test_a_lock_does_not_wait_for_a_slow_client(file: Path) -> None:
    problem, exchange, transfer = asyncio.run(send(file, [], LOCKED))
    assert problem is LOCKED
    assert exchange.cuts == 1
    assert transfer.sent == 2 * PIECE


def test_nor_does_the_end_of_a_token_of_which_nobody_tells(file: Path) -> None:
    async def waits() -> tuple[Refusal | str, int]:
        exchange, under_way = Stalled(2), UnderWay()
        refusals: list[Refusal] = []
        transfer = Transfer(exchange, lambda: refusals[0] if refusals else None, lambda _: None, 5.0)  # type: ignore[arg-type]
        fd = os.open(file, os.O_RDONLY)
        try:
            with under_way.with_(transfer):
                running = asyncio.ensure_future(transfer.run(fd, [(b"", Span(0, 4 * BLOCK))], b"", b""))
                await exchange.waiting.wait()
                refusals.append(REVOKED)
                return await running, exchange.cuts
        finally:
            os.close(fd)

    assert asyncio.run(waits()) == (REVOKED, 1)


def test_what_cannot_be_known_does_not_cut_before_the_next_look(file: Path) -> None:
    problem, _, _ = asyncio.run(send(file, [], UNKNOWN))
    assert problem == "the client went away", "the cut was the test's own"


def test_who_is_through_is_no_longer_looked_at(file: Path) -> None:
    async def done() -> int:
        exchange, under_way = Stalled(100), UnderWay()
        transfer = Transfer(exchange, lambda: LOCKED, lambda _: None, 1.0)  # type: ignore[arg-type]
        with under_way.with_(transfer):
            pass
        under_way.changed()
        await asyncio.sleep(0)
        return exchange.cuts

    assert asyncio.run(done()) == 0

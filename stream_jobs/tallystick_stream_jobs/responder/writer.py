"""Who writes topic `locks`: one owner, under its fence, each value with a number of its own, and each lock first in the history.

A turn is: number, event on disk, value sent, book. So the book, the topic and a heartbeat between two of them always agree.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from tallystick_producers import Actor
from tallystick_schemas.envelope import Numbers, Signer
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import HEARTBEAT_KEY, Decision, Lock, encode_json
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import LOCKS

from ..errors import NotTheOwner
from .book import LockBook
from .lock_events import bounded, lock_event

log: Final = logging.getLogger(__name__)
ME: Final = Actor("responder", "service")


class Sending(Protocol):
    """Outlet, as far as it is needed."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Awaitable[Any]: ...


class Recording(Protocol):
    """Recorder, as far as it is needed."""

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str: ...


class LockWriter:
    """Writes for one owner until `stop`; NotTheOwner after that."""

    def __init__(self, signer: Signer, outlet: Sending, recorder: Recording, book: LockBook, fence: int) -> None:
        self._signer, self._outlet, self._recorder, self._book = signer, outlet, recorder, book
        self.numbers = Numbers(fence)
        self._turn = asyncio.Lock()
        self._owner = True

    def stop(self) -> None:
        """Somebody else owns the topic by now: nothing is written any more."""
        self._owner = False

    def check(self) -> None:
        """NotTheOwner after `stop`."""
        if not self._owner:
            raise NotTheOwner(self.numbers.fence)

    async def write(self, lock: Lock, decision: Decision) -> Lock:
        """The lock as it stands now: in the history, on the topic, in the book."""
        lock = bounded(lock)
        async with self._turn:
            self.check()
            number = self.numbers.next()
            action, resource, why, attrs = lock_event(lock, number, decision.id)
            await self._recorder.record_async(action, actor=ME, resource=resource, why=why, attrs=attrs, durable=True)
            # If we crash here, the next start finds the lock in the spool or in the history, and writes the value.
            sent = await self._send(Held(lock, number, self._signer.agent, self._signer.key))
        await sent
        return lock

    async def again(self, held: Held) -> None:
        """The same word under a new number: what the topic lost, or what a key signed that counts no longer."""
        async with self._turn:
            self.check()
            sent = await self._send(Held(held.lock, self.numbers.next(), self._signer.agent, self._signer.key))
        await sent

    async def role(self, key: bytes, record: bytes) -> None:
        """An operator's directive, as it was signed, on the topic again."""
        self.check()
        await (await self._outlet.send(LOCKS, key, record))

    async def beat(self, now: float) -> None:
        """That everything decided before `now` is out, and what the topic holds."""
        async with self._turn:
            self.check()
            body = encode_json(self._book.topic.heartbeat(wire_time(now)))
            sent = await self._outlet.send(LOCKS, HEARTBEAT_KEY, self._signer.sign(LOCKS, HEARTBEAT_KEY, self.numbers.next(), body))
        await sent

    async def _send(self, held: Held) -> Awaitable[Any]:
        key = held.lock.subject.encode()
        sent = await self._outlet.send(LOCKS, key, self._signer.sign(LOCKS, key, held.number, encode_json(held.lock)))
        # Not after the broker's answer: the next value, a heartbeat perhaps, stands behind this one and speaks of it.
        self._book.put(held)
        lock = held.lock
        log.info("%r is %s (%s): %r (by %r, command %r)", lock.subject, lock.state, lock.level, lock.reason, lock.by, lock.command)
        return sent

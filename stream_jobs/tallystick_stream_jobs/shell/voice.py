"""What an owner says: envelopes under the numbers of its fence."""

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

from tallystick_schemas.envelope import Number, Numbers, Signer


class Sending(Protocol):
    """Where a voice sends: an `Outlet`."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Awaitable[Any]: ...


class Said(NamedTuple):
    """A message on its way: `sent` waits for the broker."""

    number: Number
    sent: Awaitable[Any]


class Voice:
    """Signs for one process; any thread may call `says`."""

    def __init__(self, signer: Signer, fence: int) -> None:
        self._signer = signer
        self._signing = threading.Lock()
        self._turn = asyncio.Lock()
        self.renew(fence)

    def renew(self, fence: int) -> None:
        """From here on under another fence, counted from 0."""
        with self._signing:
            self.fence = fence
            self._numbers = Numbers(fence)
            self._counted: dict[tuple[str, int], Numbers] = {}

    def says(self, topic: str, key: bytes | None, body: bytes) -> bytes:
        """A value for this place. Whoever reads numbers in order needs it sent before the next is signed: see `send`."""
        with self._signing:
            return self._signer.sign(topic, key, self._numbers.next(), body)

    async def send(
        self, outlet: Sending, topic: str, key: bytes | None, body: bytes, partition: int | None = None, *, signed_as: bytes | None = None
    ) -> Said:
        """Sign and send, one message after the other, so that numbers rise in the topic. `signed_as`: another key than Kafka's to sign."""
        async with self._turn:
            with self._signing:
                number = self._numbers.next()
            value = self._signer.sign(topic, key if signed_as is None else signed_as, number, body)
            return Said(number, await outlet.send(topic, key, value, partition))

    async def send_counted(self, outlet: Sending, topic: str, messages: Sequence[tuple[int, bytes]]) -> list[Said]:
        """The same without a key, (partition, body) each, signed together and counted in each partition by itself: who reads it sees when one is missing."""
        async with self._turn:
            numbers = [self._counted.setdefault((topic, partition), Numbers(self.fence)).next() for partition, _ in messages]
            bodies = [body for _, body in messages]
            values = self._signer.sign_together(topic, None, list(zip(numbers, bodies, strict=True)))
            placed = zip(numbers, values, messages, strict=True)
            return [Said(number, await outlet.send(topic, None, value, partition)) for number, value, (partition, _) in placed]

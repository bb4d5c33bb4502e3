"""Where jobs send: one idempotent producer, made in the job's loop at the first message."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import LeaderNotAvailableError, UnknownError, for_code
from aiokafka.protocol.fetch import FetchRequest

from tallystick_producers.tls import kafka_context
from tallystick_schemas.settings import KafkaSettings

_MAX_REQUEST = 8 << 20
_FETCH_MS = 1
"""How long a broker waits for what is not there yet: whoever asks knows that it is."""


def aiokafka_kwargs(kafka: KafkaSettings) -> dict[str, Any]:
    """The settings as aiokafka names them."""
    kwargs = kafka.client_kwargs()
    kwargs["bootstrap_servers"] = ",".join(kwargs["bootstrap_servers"])
    kwargs.pop("reconnect_backoff_max_ms")
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        kwargs.pop(name, None)
    if (context := kafka_context(kafka)) is not None:
        kwargs["ssl_context"] = context
    return kwargs


class Outlet:
    """`await send(...)` waits until the producer took the message; the awaitable it gives waits for the broker."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._making: asyncio.Task[AIOKafkaProducer] | None = None
        self.failed: Callable[[BaseException], None] = lambda _: None
        """Called in the job's loop when the producer learns no more where partitions are: what was sent would wait for ever."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Awaitable[Any]:
        """Send one message, to the key's partition when none is given."""
        producer = await self._ready()
        sent: Awaitable[Any] = await producer.send(topic, value=value, key=key, partition=partition)
        return sent

    async def fetch(self, topic: str, partition: int, offset: int) -> bytes:
        """The batch that has this offset, as the broker keeps it, over the connection that stands. KafkaError, as for a place that is gone."""
        producer = await self._ready()
        await producer.partitions_for(topic)
        leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader < 0:
            raise LeaderNotAvailableError(f"{topic}, partition {partition}")
        # A broker sends the first batch whole, whatever its size (KIP-74), and with one byte none behind it.
        wanted = FetchRequest(_FETCH_MS, 1, 1, 0, [(topic, [(partition, offset, 1)])])
        answer = await producer.client.send(leader, wanted)
        for name, found in answer.topics or ():
            for number, code, *_, records in found:
                if (name, number) == (topic, partition):
                    if code:
                        raise for_code(code)(f"{topic}, partition {partition}, offset {offset}")
                    return bytes(records or b"")
        raise UnknownError(f"the broker left {topic}, partition {partition}, out of its answer")

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        # Those who send the first messages at once share one attempt, and its failure: one made beside it would fly on unseen and never be closed,
        # and one after the other they would wait for a silent broker for half a minute each.
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make())
        return await asyncio.shield(self._making)

    async def _make(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **aiokafka_kwargs(self._kafka),
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            compression_type="lz4",
            max_batch_size=1 << 20,
            max_request_size=_MAX_REQUEST,
            request_timeout_ms=30_000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer
        producer.client._sync_task.add_done_callback(self._ended)
        return producer

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(error)

    async def close(self) -> None:
        """Flush and close; a producer that is being made is given up."""
        if self._making is not None and not self._making.done():
            self._making.cancel()
            await asyncio.wait([self._making])
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

"""Where the responder's knowledge comes from: the topic, the ledger, its spool, and single records of `events`. All but coroutines block."""

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import clickhouse_connect
from aiokafka.errors import KafkaError as AioKafkaError
from kafka.errors import KafkaError

from tallystick_producers import Recorder
from tallystick_schemas.envelope import Opener
from tallystick_schemas.evidence import Ask
from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Decision
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, JobSettings
from tallystick_schemas.stored import read_entries
from tallystick_schemas.topics import EVENTS

from ..fence import claim_fence
from ..shell import Outlet
from .history import Words, asking, read_words, words_in
from .lock_topic import ReadTopic, read_lock_topic
from .order_history import Found, Ordered, read_acting, read_decided, read_orders
from .record_reader import RecordReader, is_quick, record_in
from .shown_roots import Shown, read_roots, read_shown
from .topics import read_decisions

log: Final = logging.getLogger(__name__)
_NOW_S: Final = 0.5
_STORE_S: Final = 10
_FRESH_S: Final = 1.0
"""So long after an answer a connection is not asked whether it still is one."""


class Sources(Protocol):
    """What a responder reads. Fakes are the quick twin of `RealSources` in tests."""

    def topic(self) -> ReadTopic: ...
    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words: ...
    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered: ...
    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found: ...
    def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]: ...
    def spooled(self, keyring: Keyring) -> list[Held]: ...
    def entries(self, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]: ...
    def decisions(self, opener: Opener) -> list[Decision]: ...
    def fence(self, above: int) -> int: ...
    def shown(self, marks: Mapping[int, int], since: float) -> Shown: ...
    def roots(self, sizes: Sequence[int]) -> set[tuple[int, str]]: ...
    def record_at(self, shard: int, offset: int) -> bytes: ...
    async def record_now(self, shard: int, offset: int) -> bytes | None: ...
    def warm(self) -> None: ...


@dataclass(frozen=True)
class RealSources:
    """Kafka, the store and the recorder's spool."""

    settings: JobSettings
    recorder: Recorder
    opener: Opener
    reader: RecordReader
    store: "Store"
    outlet: Outlet

    def topic(self) -> ReadTopic:
        return read_lock_topic(self.settings.kafka, self.opener)

    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words:
        with self.store.asking() as ask:
            return read_words(ask, keyring, marks)

    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered:
        with self.store.asking() as ask:
            return read_orders(ask, keyring, marks, since)

    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found:
        with self.store.asking() as ask:
            return read_acting(ask, keyring, marks, since)

    def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]:
        with self.store.asking() as ask:
            return read_decided(ask, keyring, commands)

    def spooled(self, keyring: Keyring) -> list[Held]:
        return words_in(self.recorder.unconfirmed(), keyring)

    def entries(self, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        with self.store.asking() as ask:
            return read_entries(ask, segments)

    def decisions(self, opener: Opener) -> list[Decision]:
        return read_decisions(self.settings.kafka, opener)

    def fence(self, above: int) -> int:
        return claim_fence(self.settings.kafka, self.recorder, "responder", above)

    def shown(self, marks: Mapping[int, int], since: float) -> Shown:
        with self.store.asking() as ask:
            return read_shown(ask, self.settings.log.shards, marks, since)

    def roots(self, sizes: Sequence[int]) -> set[tuple[int, str]]:
        with self.store.asking() as ask:
            return read_roots(ask, self.settings.log, sizes)

    def record_at(self, shard: int, offset: int) -> bytes:
        return self.reader.read(shard, offset)

    async def record_now(self, shard: int, offset: int) -> bytes | None:
        """`record_at` in the job's loop, over the connection that the outlet has: no other thread is waited for. None when it did not come at once."""
        try:
            fetched = await asyncio.wait_for(self.outlet.fetch(EVENTS, shard, offset), _NOW_S)
            return record_in(fetched, offset) if is_quick(fetched) else await asyncio.to_thread(record_in, fetched, offset)
        except (TimeoutError, KafkaError, AioKafkaError) as error:
            log.info("offset %d of %s/%d is read another way (%s: %s)", offset, EVENTS, shard, type(error).__name__, error)
            return None

    def warm(self) -> None:
        self.reader.warm(self.settings.log.shards)


class Store:
    """One client of the store for whoever asks next, one at a time. Anew after any error, and where the store was started again meanwhile."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._client: Any = None
        self._asked_at = 0.0

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """Whatever the client raises goes to who asks."""
        with self._guard:
            try:
                yield asking(self._ready())
                self._asked_at = time.monotonic()
            except BaseException:
                self._drop()
                raise

    def _ready(self) -> Any:
        """The client of before when it still has a connection; a new one reads all of the store's settings, which costs more than a question."""
        if self._client is not None and time.monotonic() - self._asked_at > _FRESH_S and not self._client.ping():
            self._drop()
        if self._client is None:
            kwargs = self._settings.client_kwargs()
            self._client = clickhouse_connect.get_client(**kwargs, connect_timeout=_STORE_S, send_receive_timeout=_STORE_S)
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

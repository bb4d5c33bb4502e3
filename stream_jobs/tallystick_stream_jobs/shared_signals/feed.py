"""Reads topic `decisions` for the transmitter, from where its store says. A thread of its own, for ever; no group, no Faust: one partition, few messages."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from kafka import TopicPartition

from tallystick_producers.following import POLL_MS, follow
from tallystick_schemas.envelope import NO_NUMBER, Opener
from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.messages import Decision, parse_message
from tallystick_schemas.topics import DECISIONS

from .store import Store
from .transmitter import Transmitter

log: Final = logging.getLogger(__name__)
PARTITION: Final = TopicPartition(DECISIONS, 0)


class DecisionFeed:
    """Until closed. A store that fails is tried again like a broker that is away: the position moves with what was queued, or not at all."""

    def __init__(self, transmitter: Transmitter, store: Store, connect: Callable[[], Any], opener: Opener) -> None:
        self._transmitter, self._store, self._connect, self._opener = transmitter, store, connect, opener
        self._newest = NO_NUMBER
        self._stopping = threading.Event()
        self.reading = threading.Event()
        """Set once the place in the topic is known: decisions from then on reach the streams."""
        self._thread = threading.Thread(target=self._run, name="tallystick-decisions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        follow("decisions", self._connect, self._read, self._stopping)

    def _read(self, consumer: Any) -> None:
        consumer.assign([PARTITION])
        consumer.seek(PARTITION, self._begin(consumer))
        self.reading.set()
        while not self._stopping.is_set():
            for record in consumer.poll(timeout_ms=POLL_MS).get(PARTITION, []):
                self._transmitter.decided(self._decision(record), (DECISIONS, record.offset + 1), time.time())

    def _begin(self, consumer: Any) -> int:
        """Where the store says; at the end the first time, since no stream can be older; at the beginning when the topic was made anew."""
        first, end = consumer.beginning_offsets([PARTITION])[PARTITION], consumer.end_offsets([PARTITION])[PARTITION]
        kept = self._store.position(DECISIONS)
        if kept is None:
            self._transmitter.decided(None, (DECISIONS, end), time.time())
            return int(end)
        if not first <= kept <= end:
            log.warning("topic %s holds offsets %d to %d and %d was wanted; it is read from its beginning", DECISIONS, first, end, kept)
            return int(first)
        return kept

    def _decision(self, record: Any) -> Decision | None:
        """The decision that a responder signed, with a number above those before it; None for what is nobody's word, or said again."""
        try:
            opened = self._opener.open(DECISIONS, record.key, record.value or b"")
            if opened.number <= self._newest:
                raise OldMessage(opened.number, self._newest)
            decision = parse_message(Decision, opened.body)
        except ParseError as error:
            log.error("topic %s, offset %d: %s; no receiver is told", DECISIONS, record.offset, error)
            return None
        self._newest = opened.number
        return decision

"""Shell: one thread that reads Kafka into the hub. Topic `verified` near its end while somebody looks at the tail, the others from the beginning.

No consumer group: every console reads everything, and nothing is committed. The thread starts again after any failure of Kafka.
Who has which role is read first, to the end of topic `locks`: a word is judged once, by what is known then. What is refused for want of a role is
read again when another role becomes known, for topics come in no order among each other.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event, Thread
from typing import Any, Final

from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_producers.keyring import ROLES, read_roles
from tallystick_producers.refused import Refused
from tallystick_schemas.errors import NoRole
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, EVENTS, FINDINGS, LOCKS, VERIFIED

from .hub import Hub
from .intake import Origin, take_message
from .unheard import Unheard

_log = logging.getLogger(__name__)
_TOPICS: Final = (VERIFIED, FINDINGS, LOCKS, DECISIONS, ENFORCEMENT)
_POLL_MS: Final = 200
_GATHER_S: Final = 0.1
"""While events flow they are fetched ten times a second: a page hears of them five times."""
_POLL_RECORDS: Final = 500
_FETCH: Final = 16 * 1024 * 1024
_WAIT_FOR_TOPICS_S: Final = 2.0
_MOST_GATHERED: Final = 2_000
_MEASURE_EVERY_S: Final = 2.0
_BEFORE: Final = 30
"""Messages of each partition of `verified` that whoever comes to the tail sees at once."""


class TopicAnew(Exception):
    """A topic is shorter than what was read of it: it was made anew, and everything is read from the beginning."""


def consumer_of(settings: KafkaSettings) -> Any:
    """The console's: fetches much, and begins anew where its place is gone."""
    return Consumer(
        **settings.client_kwargs(),
        client_id="tallystick-console",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH,
        max_poll_records=_POLL_RECORDS,
        fetch_max_wait_ms=500,
    )


class KafkaFeed:
    """Reads until `close`. `ready` is set once every topic was found and the positions stand."""

    def __init__(self, hub: Hub, settings: KafkaSettings, connect: Callable[[KafkaSettings], Any] = consumer_of) -> None:
        self._hub, self._settings, self._connect = hub, settings, connect
        self._stop = Event()
        self.ready = Event()
        self.refused = {topic: Refused(topic) for topic in _TOPICS}
        self._unheard = Unheard()
        self._known = ""
        """The keyring's digest when words were last judged."""
        self._places: dict[TopicPartition, int] = {}
        self._tailing = False
        self._ends: dict[TopicPartition, int] = {}
        """Of partitions of `verified` that are not read up to where they ended when somebody came to look."""
        self._gathered: list[Any] = []
        self._measured = 0.0
        self._thread = Thread(target=self._run, name="console-kafka", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait until the thread has let go of its connections."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except TopicAnew as error:
                _log.error("%s", error)
            except Exception as error:  # noqa: BLE001  # whatever a client library raises: a feed that ends would show old news as if it were new
                _log.warning("Kafka does not answer, trying again: %s", error)
                self._hub.tail.end()
                self._stop.wait(_WAIT_FOR_TOPICS_S)

    def _read(self) -> None:
        consumer = self._connect(self._settings)
        try:
            parts = _partitions(consumer, _TOPICS)
            if parts is None:
                self._stop.wait(_WAIT_FOR_TOPICS_S)
                return
            self._begin(consumer, parts)
            self.ready.set()
            while not self._stop.is_set():
                self._follow_tail(consumer)
                found = consumer.poll(timeout_ms=_POLL_MS)
                self._judge(consumer, found)
                self._measure(consumer)
                # A poll that is full leaves more behind, of locks and findings perhaps.
                if any(part.topic == VERIFIED for part in found) and sum(map(len, found.values())) < _POLL_RECORDS:
                    self._stop.wait(_GATHER_S)
        finally:
            consumer.close()

    def _begin(self, consumer: Any, parts: Sequence[TopicPartition]) -> None:
        consumer.assign([ROLES])
        read_roles(consumer, self._hub.opener.keyring, self.refused[LOCKS])
        consumer.assign(parts)
        consumer.seek_to_beginning(*[p for p in parts if p.topic != VERIFIED])
        consumer.seek_to_end(*[p for p in parts if p.topic == VERIFIED])
        # seek_to_end is lazy: ask, or what is sent before the first poll would be missed.
        self._places = {part: consumer.position(part) for part in parts}
        consumer.pause(*[p for p in parts if p.topic == VERIFIED])
        self._tailing = False
        self._hub.tail.end()
        self._known, self._unheard = self._hub.opener.keyring.digest(), Unheard()

    def _follow_tail(self, consumer: Any) -> None:
        """Read `verified` while somebody looks: what came last, then what comes."""
        now = self._hub.clock()
        if (wanted := self._hub.tail.wanted(now)) == self._tailing:
            return
        self._tailing = wanted
        self._unheard.forget_tail()
        parts = [part for part in self._places if part.topic == VERIFIED]
        if not wanted:
            self._hub.tail.end()
            consumer.pause(*parts)
            return
        self._hub.tail.begin(now)
        first, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        for part in parts:
            self._places[part] = max(first[part], ends[part] - _BEFORE)
            consumer.seek(part, self._places[part])
        self._gathered, self._ends = [], {part: ends[part] for part in parts if self._places[part] < ends[part]}
        consumer.resume(*parts)

    def _gather(self, part: TopicPartition, record: Any) -> None:
        """What was there before somebody looked is shown in the order of its times: partitions come one after the other."""
        self._gathered.append(record)
        if record.offset + 1 >= self._ends.get(part, 0):
            self._ends.pop(part, None)
        if self._ends and len(self._gathered) < _MOST_GATHERED:
            return
        self._ends, gathered, self._gathered = {}, sorted(self._gathered, key=lambda one: int(one.timestamp)), []
        for one in gathered:
            self._put(TopicPartition(VERIFIED, one.partition), one, live=False)

    def _judge(self, consumer: Any, found: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """What one poll brought, roles first. A partition that is read again from an earlier place is left at that: the rest of it comes again, in order."""
        rewound: set[TopicPartition] = set()
        for part in sorted(found, key=lambda one: one != ROLES):
            if found[part] and found[part][0].offset < self._places[part]:
                raise TopicAnew(f"topic {part.topic} begins again at offset {found[part][0].offset}: it was made anew")
            for record in found[part]:
                if part in rewound:
                    break
                self._places[part] = record.offset + 1
                self._take(part, record)
                if part == ROLES:
                    rewound |= self._hear_again(consumer)
        self._hub.seen.unheard = self._unheard.count

    def _take(self, part: TopicPartition, record: Any) -> None:
        if part.topic == VERIFIED and self._ends:
            self._gather(part, record)
        else:
            self._put(part, record, live=True)

    def _put(self, part: TopicPartition, record: Any, *, live: bool) -> None:
        origin = Origin(part.partition, record.timestamp / 1000, live)
        error = take_message(self._hub, record.topic, record.key, record.value, origin)
        if error is None:
            return
        self.refused[part.topic].note(record.key, error)
        if isinstance(error, NoRole):
            self._unheard.note(part, record.offset)

    def _hear_again(self, consumer: Any) -> set[TopicPartition]:
        """Go back to what was refused for want of a role, once another one is known: only an operator can make us, and once for all of them in a poll."""
        known = self._hub.opener.keyring.digest()
        if known == self._known:
            return set()
        self._known, again = known, self._unheard.again()
        for part, offset in again.items():
            consumer.seek(part, offset)
        self._places.update(again)
        return set(again)

    def _measure(self, consumer: Any) -> None:
        """How many records of `events` the ledger does not hold yet; TopicAnew when a topic that we read ends before our place."""
        now = self._hub.clock()
        if now - self._measured < _MEASURE_EVERY_S:
            return
        self._measured = now
        parts = [TopicPartition(EVENTS, n) for n in range(self._hub.log.shards)]
        held = {shard.shard: shard.offset for shard in self._hub.history.shards}
        ends = consumer.end_offsets([*parts, *self._places])
        self._hub.seen.kafka_read = self._hub.clock()
        self._hub.seen.behind = sum(max(0, ends[p] - held.get(p.partition, -1) - 1) for p in parts)
        for part, place in self._places.items():
            if ends[part] < place:
                raise TopicAnew(f"topic {part.topic} ends at offset {ends[part]}, and {place} were read: it was made anew")


def _partitions(consumer: Any, topics: Iterable[str]) -> list[TopicPartition] | None:
    """Every partition of the topics, or None while one of them is not there."""
    parts: list[TopicPartition] = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            return None
        parts += [TopicPartition(topic, n) for n in sorted(numbers)]
    return parts

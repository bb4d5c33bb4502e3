"""Reads the record while drills run: events of ClickHouse by place, and five topics from where they ended. A thread of its own; closed on every way out."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import clickhouse_connect
from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_producers.keyring import read_opener, take_role
from tallystick_schemas.drills import DRILL_ATTR, drill_of
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.messages import ROLE_KEY, Decision, Delivery, Denial, Lock, parse_finding, parse_lock, parse_message
from tallystick_schemas.settings import ClickHouseSettings, KafkaSettings, LogSettings
from tallystick_schemas.stored_bytes import AGENT, APPEND_MS, VERDICT
from tallystick_schemas.topics import DECISIONS, FINDINGS, LOCKS, OUTBOX, PROOFS
from tallystick_schemas.verdicts import Verdict

from .seen import Fact, Refused, Said, Seen, run_of_event, run_of_message

log: Final = logging.getLogger(__name__)
_TOPICS: Final = (FINDINGS, LOCKS, DECISIONS, OUTBOX, PROOFS)
_LOOK_S: Final = 0.25
_PAGE: Final = 20_000
# An index stands in the ledger only when its events are in the store (notary/ledger.py), so reading up to the ledger's end misses none.
_PART: Final = "shard = {shard:UInt32} AND index > {after:Int64} AND index <= {upto:Int64}"
_QUERY: Final = f"""
SELECT e.index, e.pos, e.raw, l.agent, l.ms
FROM (SELECT index, pos, raw FROM events WHERE {_PART}
      AND (position(raw, 'drill-') > 0 OR position(raw, {{mark:String}}) > 0 OR JSONExtractString(raw, 'resource', 'kind') = 'finding')) AS e
INNER JOIN (SELECT index, {AGENT} AS agent, {APPEND_MS} AS ms FROM ledger_entries WHERE {_PART}) AS l
ON e.index = l.index ORDER BY e.index, e.pos
"""  # noqa: S608 - values are parameters
_REFUSED: Final = f"""
SELECT index, {AGENT} AS who, {VERDICT} AS judged, {APPEND_MS} FROM ledger_entries WHERE {_PART} AND judged > 0 AND startsWith(who, 'drill-')
"""  # noqa: S608 - values are parameters
"""By the bytes of entries and events, as what is graded must be."""


class Record:
    """What every drill of this process has left in the record since this was opened."""

    def __init__(self, clickhouse: ClickHouseSettings, kafka: KafkaSettings, settings: LogSettings) -> None:
        self._opener = read_opener(kafka, settings)
        self._client = clickhouse_connect.get_client(**clickhouse.client_kwargs())
        self._consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="latest", fetch_max_wait_ms=100)
        self._consumer.assign([TopicPartition(topic, 0) for topic in _TOPICS])
        self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            self._consumer.position(partition)
        self._read: dict[int, int] = self._ends()
        self._runs: dict[str, Seen] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._loop, name="drill-record", daemon=True)
        self._thread.start()

    def of(self, run: str) -> Seen:
        """What there is of one drill now."""
        with self._guard:
            return self._runs.get(run, Seen()).copy()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _loop(self) -> None:
        try:
            while not self._stopping.wait(_LOOK_S):
                self._guarded(self._topics)
                self._guarded(self._events)
        finally:
            self._consumer.close()
            self._client.close()

    def _guarded(self, look: Callable[[], None]) -> None:
        """A store that is away for a moment is read again; for good, the drill fails for want of what it has to see, and says why."""
        try:
            look()
            self.trouble = None
        except Exception as error:  # noqa: BLE001 - client libraries raise their own families
            self.trouble = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            log.warning("the record cannot be read: %s", self.trouble)

    def _topics(self) -> None:
        for partition, messages in self._consumer.poll(timeout_ms=50).items():
            for message in messages:
                try:
                    said = _parse(self._opener, partition.topic, message.key, message.value or b"")
                except ParseError:
                    continue  # anybody may write garbage on a topic; it shows nothing
                if said is not None and (run := run_of_message(said)) is not None:
                    with self._guard:
                        self._runs.setdefault(run, Seen()).take(said)

    def _ends(self) -> dict[int, int]:
        rows = self._client.query("SELECT shard, max(index) FROM ledger_entries GROUP BY shard").result_rows
        return {shard: int(index) for shard, index in rows}

    def _events(self) -> None:
        for shard, end in self._ends().items():
            after = self._read.get(shard, -1)
            while after < end:
                upto = min(end, after + _PAGE)
                given = {"shard": shard, "after": after, "upto": upto, "mark": f'"{DRILL_ATTR}":"'}
                self._take(shard, self._client.query(_QUERY, parameters=given).result_rows)
                self._take_refused(shard, self._client.query(_REFUSED, parameters=given).result_rows)
                after = self._read[shard] = upto

    def _take(self, shard: int, rows: Any) -> None:
        with self._guard:
            known = [(finding, run) for run, seen in self._runs.items() for finding in seen.findings]
            for index, pos, raw, agent, append_ms in rows:
                event = parse_event(raw if isinstance(raw, bytes) else raw.encode())
                run = run_of_event(event, known)
                if run is not None:
                    place = (shard, int(index), int(pos))
                    self._runs.setdefault(run, Seen()).facts[place] = Fact(place, append_ms / 1000, agent, event)

    def _take_refused(self, shard: int, rows: Any) -> None:
        with self._guard:
            for index, agent, verdict, append_ms in rows:
                if (run := drill_of(agent)) is not None:
                    self._runs.setdefault(run, Seen()).refused[(shard, int(index))] = Refused(append_ms / 1000, agent, Verdict(verdict))


def _parse(opener: Opener, topic: str, key: bytes | None, value: bytes) -> Said | None:
    """What a part with the right role signed; None for what says nothing about drills. ParseError for everybody else's words."""
    if topic == LOCKS and key is not None and key.startswith(ROLE_KEY):
        take_role(opener.keyring, key, value)
        return None
    body = opener.open(topic, key, value).body
    if not body:
        return None
    if topic == FINDINGS:
        return parse_finding(body)
    if topic == LOCKS:
        lock = parse_lock(key, body)
        return lock if isinstance(lock, Lock) else None
    if topic == DECISIONS:
        return parse_message(Decision, body)
    return parse_message(Delivery, body) if topic == OUTBOX else parse_message(Denial, body)

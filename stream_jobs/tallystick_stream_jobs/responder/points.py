"""Which enforcement points there are, and which lock each has acknowledged, as topic `enforcement` says. `standing` is pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_producers.keyring import read_opener
from tallystick_producers.refused import Refused
from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Lock, Point
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.times import seconds_of
from tallystick_schemas.topics import ENFORCEMENT

SILENT_S: Final = 15.0
"""Points say every 3 s that they are there."""
FORGOTTEN_S: Final = 86_400.0


@dataclass(frozen=True)
class Standing:
    """How one point stands. `age_s` since it last said that it is there; `acked_ms` per subject that is locked: from the lock to the broker's
    time of the acknowledgement, None where it is missing. `at_start`: subjects whose lock is older than the point and that it has acknowledged:
    it applied them when it started, so their times say nothing about how long a lock takes. The two clocks may part: no time is below 0."""

    point: Point
    age_s: float
    acked_ms: dict[str, float | None]
    at_start: frozenset[str] = frozenset()

    @property
    def silent(self) -> bool:
        return self.age_s > SILENT_S


def standing(enforcement: Enforcement, locks: Iterable[Lock], now: float) -> list[Standing]:
    """Every point that was heard of within a day, by name, against the locks in force."""
    held = list(locks)
    return [
        _standing(enforcement, point, held, now - at) for _, (point, at) in sorted(enforcement.points.items()) if now - at < FORGOTTEN_S
    ]


def _standing(enforcement: Enforcement, point: Point, held: list[Lock], age_s: float) -> Standing:
    acked = {lock.subject: _acked(enforcement, point.name, lock) for lock in held}
    older = {lock.subject for lock in held if acked[lock.subject] is not None and _began_after(point, lock)}
    return Standing(point, max(0.0, age_s), acked, frozenset(older))


def _began_after(point: Point, lock: Lock) -> bool:
    return point.started is not None and seconds_of(point.started) > seconds_of(lock.at)


def _acked(enforcement: Enforcement, point: str, lock: Lock) -> float | None:
    found = enforcement.acks.get((point, lock.subject))
    if found is None or found[0].command != lock.command:
        return None
    return max(0.0, round((found[1] - seconds_of(lock.at)) * 1000, 1))


def read_enforcement(kafka: KafkaSettings, log: LogSettings) -> Enforcement:
    """The topic as it is now; values that are nobody's word are left out."""
    found, refused = Enforcement(read_opener(kafka, log)), Refused(ENFORCEMENT)
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(ENFORCEMENT, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek_to_beginning(partition)
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                try:
                    found.take(record.key, record.value, record.timestamp / 1000)
                except ParseError as error:
                    # The topic has the append time of the broker: no writer can claim an earlier one.
                    refused.note(record.key, error, record.timestamp / 1000)
    finally:
        consumer.close()
    return found

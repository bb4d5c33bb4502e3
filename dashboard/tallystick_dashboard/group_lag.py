"""Shell: how far the detectors are behind what is verified. It reads as their group and never joins it, so it takes no partition from them."""

import time
from types import TracebackType
from typing import Final, Self

from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import VERIFIED, VERIFIED_PARTITIONS

from .health import Waiting

DETECTORS_GROUP: Final = "tallystick-detectors"
"""As the job's application names it."""
_WAIT_S: Final = 2.0
_FETCH: Final = 64 * 1024
"""One record is wanted. Kafka gives a larger one whole."""


class GroupLag:
    """A consumer that commits nothing. Close it, or use it in `with`; not for several threads."""

    def __init__(
        self, settings: KafkaSettings, group: str = DETECTORS_GROUP, topic: str = VERIFIED, partitions: int = VERIFIED_PARTITIONS
    ) -> None:
        self._parts = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer = Consumer(
            **settings.client_kwargs(),
            client_id="tallystick-lag",
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH,
            max_poll_records=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def measure(self) -> Waiting:
        """What waits now. KafkaError when the broker does not answer."""
        ends = self._consumer.end_offsets(self._parts)
        first = self._consumer.beginning_offsets(self._parts)
        # What the broker dropped nobody waits for; a group that never committed has everything before it.
        done = {part: max(first[part], self._consumer.committed(part) or 0) for part in self._parts}
        behind = {part: done[part] for part, end in ends.items() if end > done[part]}
        times = [self._time_of(part, offset) for part, offset in behind.items()]
        return Waiting(
            sum(ends[part] - offset for part, offset in behind.items()), min((at for at in times if at is not None), default=None)
        )

    def _time_of(self, part: TopicPartition, offset: int) -> float | None:
        """When the broker took a record, in seconds since 1970; None when it does not come in time."""
        self._consumer.assign([part])
        self._consumer.seek(part, offset)
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            for record in self._consumer.poll(timeout_ms=200).get(part, []):
                return float(record.timestamp) / 1000
        return None

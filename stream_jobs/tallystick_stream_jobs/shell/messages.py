"""The port between a job and the shell: batches in offset order, and a commit that the shell awaits before anything is acked."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol

Commit = Callable[[], Awaitable[None]]


class Message(NamedTuple):
    """One Kafka record. `timestamp_ms`: the broker's append time on topics that have it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class BatchJob(Protocol):
    """What the shell drives, one batch at a time. An exception from any of these ends the process; nothing is acked then."""

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Partitions that are ours now, and the first offset wanted of each; what is not named goes on where the group stood, and at its end for a
        job that commits nothing (`run_job`)."""
        ...

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Kafka no longer holds `wanted`: raise, or accept `earliest`."""
        ...

    def revoked(self, partitions: Collection[int]) -> None:
        """Partitions that somebody else has now."""
        ...

    async def process(self, messages: list[Message]) -> Commit | None:
        """Take a batch in; the commit makes it durable. Commits run one at a time, in order, while the next batch is taken in."""
        ...

    async def tick(self, now: float) -> None:
        """Called about ten times a second; `now` in seconds since 1970."""
        ...

    async def stop(self) -> None:
        """Once, after the last commit."""
        ...

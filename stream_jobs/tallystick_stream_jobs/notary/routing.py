"""What a batch sends on: segments and signals by partition of `verified`, cut into messages of bounded size."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tallystick_schemas.messages import BATCH, Signal, VerifiedBatch, VerifiedSegment, encode_batch
from tallystick_schemas.topics import verified_partition

MAX_MESSAGE_BYTES = 512 * 1024


@dataclass
class Outbound:
    """Collected while folding; `messages` cuts it up. Indexes rise within each partition, which is what detectors rely on."""

    segments: dict[int, list[VerifiedSegment]] = field(default_factory=dict)
    signals: dict[int, list[Signal]] = field(default_factory=dict)
    acts: list[VerifiedSegment] = field(default_factory=list)

    def segment(self, partition: int, segment: VerifiedSegment) -> None:
        self.segments.setdefault(partition, []).append(segment)

    def signal(self, signal: Signal) -> None:
        """A signal travels with its agent's name as principal."""
        self.signals.setdefault(verified_partition(signal.agent), []).append(signal)

    def messages(self, shard: int) -> Iterator[tuple[int, bytes]]:
        """(partition, body) for topic `verified`."""
        for partition in sorted({*self.segments, *self.signals}):
            signals = self.signals.get(partition, [])
            for chunk in _chunks(self.segments.get(partition, [])):
                yield partition, encode_batch(VerifiedBatch(BATCH, shard, chunk, [], partition))
            if signals:
                yield partition, encode_batch(VerifiedBatch(BATCH, shard, [], signals, partition))

    def act_message(self, shard: int) -> bytes | None:
        """The body for topic `acts`, if there is one; it has one partition."""
        return encode_batch(VerifiedBatch(BATCH, shard, self.acts, [], 0)) if self.acts else None


def _chunks(segments: list[VerifiedSegment]) -> Iterator[list[VerifiedSegment]]:
    chunk: list[VerifiedSegment] = []
    size = 0
    for segment in segments:
        chunk.append(segment)
        size += sum(len(raw) for _, raw in segment.events)
        if size >= MAX_MESSAGE_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk

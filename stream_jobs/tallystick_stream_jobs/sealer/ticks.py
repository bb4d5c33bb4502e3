"""When which seal goes to which partition (SPEC section 5): one in flight a shard, kept until its receipt comes. Given the time."""

from dataclasses import dataclass, field

from tallystick_schemas.receipts import Receipt
from tallystick_schemas.verdicts import Verdict


@dataclass
class Tick:
    """A seal in flight."""

    epoch: int
    record: bytes
    sent_at: float


@dataclass
class Ticks:
    """Shards are independent of each other: one whose notary stands still does not keep the others from being sealed."""

    epochs: list[int]
    """Next epoch a shard."""
    interval_s: float
    resend_s: float = 5.0
    due_at: list[float] = field(default_factory=list)
    flying: dict[int, Tick] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.due_at = self.due_at or [0.0] * len(self.epochs)

    def to_send(self, now: float) -> list[int]:
        """Shards whose seal goes out now: a new one that is due, or one that waited too long for its receipt."""
        return [shard for shard in range(len(self.epochs)) if self._due(shard, now)]

    def _due(self, shard: int, now: float) -> bool:
        flying = self.flying.get(shard)
        return now >= (flying.sent_at + self.resend_s if flying else self.due_at[shard])

    def sent(self, shard: int, record: bytes, now: float) -> None:
        """The shard's seal, new or again, was handed to Kafka."""
        self.flying[shard] = Tick(self.epochs[shard], record, now)

    def receipt(self, receipt: Receipt, now: float) -> bool:
        """Whether the receipt ended a seal in flight. An epoch that is already there counts as sent: the next one follows."""
        flying = self.flying.get(receipt.shard)
        if flying is None or receipt.n != flying.epoch or receipt.verdict > Verdict.SEEN:
            return False
        del self.flying[receipt.shard]
        self.epochs[receipt.shard] = flying.epoch + 1
        # From when it was sent, so that the pace is the interval's however long the receipt took.
        self.due_at[receipt.shard] = max(flying.sent_at + self.interval_s, now)
        return True

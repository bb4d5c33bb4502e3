"""Segments (SPEC section 4): the one signature that covers up to 512 events, and the links of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import digest, lp
from .headers import MAX_SEGMENT_EVENTS, Kind, Seen, SegmentHeader, encode_header
from .keys import key_id
from .merkle import leaf_hashes, root_of
from .records import MAX_BODY_BYTES, frame_record, pack_items, signed_bytes

_LINK: Final = b"tallystick/v1/agent-link\0"
_GENESIS: Final = b"tallystick/v1/agent-genesis\0"

__all__ = ["MAX_BODY_BYTES", "MAX_SEGMENT_EVENTS", "SegmentSigner", "SignedSegment", "genesis_link", "new_run", "segment_link"]


def new_run(start_number: int, random8: bytes) -> str:
    """A run id: u64 start number, then 8 random bytes, as hex, so that runs sort by age."""
    return start_number.to_bytes(8, "big").hex() + random8.hex()


def genesis_link(agent: str, run: str, public_key: bytes) -> bytes:
    """`prev` of a run's segment 0."""
    return digest(_GENESIS + lp(agent.encode()) + bytes.fromhex(run) + public_key)


def segment_link(header: bytes) -> bytes:
    """link(n): `prev` of the segment after the one with this header."""
    return digest(_LINK + signed_bytes(Kind.SEGMENT, header))


@dataclass(frozen=True, slots=True)
class SignedSegment:
    """One signed segment; `record` is what travels."""

    n: int
    first: int
    count: int
    record: bytes


class SegmentSigner:
    """Signs the segments of one run, in order. Not thread-safe: one thread owns a run."""

    def __init__(self, agent: str, private_key: Ed25519PrivateKey, run: str) -> None:
        self.agent, self.run = agent, run
        self._private_key = private_key
        public = private_key.public_key().public_bytes_raw()
        self._key = key_id(public)
        self._prev = genesis_link(agent, run, public)
        self.n = 0
        self.first = 0

    def sign(self, events: Sequence[bytes], time: str, seen: Seen | None = None) -> SignedSegment:
        """The next segment over 1 to 512 events whose body has at most MAX_BODY_BYTES; `time` in the format's form."""
        root = root_of(leaf_hashes(events)).hex()
        header = encode_header(
            SegmentHeader(1, self.agent, self._key, self.run, self.n, self.first, len(events), root, self._prev.hex(), time, seen)
        )
        signature = self._private_key.sign(signed_bytes(Kind.SEGMENT, header))
        segment = SignedSegment(self.n, self.first, len(events), frame_record(Kind.SEGMENT, header, signature, pack_items(events)))
        self._prev = segment_link(header)
        self.n += 1
        self.first += len(events)
        return segment

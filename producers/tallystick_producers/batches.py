"""Batches of one fetch, as both of our client libraries ask for them: unpacked one at a time, each within a bound, and all of a fetch within another.

A batch over a bound, or one that a library would stop at for ever, gives a record with an empty key and an empty value at each of its offsets. So nobody
reads what it says, everybody reads the same, and the next batch is read: the notary makes its entry `malformed` of each, others refuse what nobody signed.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .batch_form import PREFIX, Header, checked, header_of
from .errors import BatchRefused
from .refused import Refused

MOST_OF_A_FETCH: Final = 16 << 20
"""After so many unpacked bytes a fetch ends early: one poll keeps the values of them all. The rest is fetched again."""
MOST_OFFSETS: Final = 8 << 20
"""Of a refused batch. The broker counts what it takes in, and takes in no more bytes than that; beyond it the header lies, and its last offset is enough."""
_APPEND_TIME: Final = 0x08


class EmptyRecord(NamedTuple):
    """Nobody's word, in the place of a record that is not read. The names are the libraries'."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes = b""  # a compacted topic takes no record without a key, so its readers expect one
    value: bytes = b""  # never None: that would delete what stands under the key
    headers: tuple[()] = ()
    checksum: None = None
    size_in_bytes: int = 0

    def validate_crc(self) -> bool:
        return True


class RefusedBatch:
    """Stands in the place of a library's batch, with what the libraries ask of one."""

    magic = 2
    is_control_batch = is_transactional = False
    producer_id = -1

    def __init__(self, header: Header) -> None:
        self.base_offset, self.leader_epoch = header.base, header.epoch
        self.last_offset = header.base + max(header.last_delta, 0)
        self.next_offset = self.last_offset + 1
        self._time = header.last_ms, int(bool(header.attributes & _APPEND_TIME))

    def has_producer_id(self) -> bool:
        return False

    def validate_crc(self) -> bool:
        return True

    def __iter__(self) -> Iterator[EmptyRecord]:
        """Made one after the other: how many there are costs no memory."""
        lies = self.last_offset - self.base_offset >= MOST_OFFSETS
        for offset in range(self.last_offset if lies else self.base_offset, self.next_offset):
            yield EmptyRecord(offset, *self._time)


class Batches:
    """The port that both libraries call MemoryRecords. `library` is theirs, which parses what passed."""

    def __init__(self, fetched: bytes, library: Callable[[bytes], Any], refused: Refused) -> None:
        self._fetched, self._library, self._refused = memoryview(fetched), library, refused
        self._at = self._unpacked = 0

    def size_in_bytes(self) -> int:
        return len(self._fetched)

    def has_next(self) -> bool:
        return self._end() is not None

    def next_batch(self) -> Any:
        """None after the last whole one: the broker cuts a fetch off anywhere."""
        if (end := self._end()) is None:
            return None
        batch, self._at = bytes(self._fetched[self._at : end]), end
        try:
            batch = checked(batch)
        except BatchRefused as error:
            header = header_of(batch)
            self._refused.note(None, f"the batch from offset {header.base} on is not read: {error}")
            return RefusedBatch(header)
        self._unpacked += len(batch)
        return self._library(batch).next_batch()

    def _end(self) -> int | None:
        if self._unpacked >= MOST_OF_A_FETCH or len(self._fetched) - self._at < PREFIX.size:
            return None
        end: int = self._at + PREFIX.size + PREFIX.unpack_from(self._fetched, self._at)[1]
        return end if self._at < end <= len(self._fetched) else None

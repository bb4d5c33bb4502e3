"""Jobs read batches within bounds: aiokafka's fetcher is told to take them from `batches`.

The whole process is the job's, so the name is replaced where the fetcher looks it up: aiokafka's own classes are compiled and can be replaced nowhere else.
"""

from typing import Final

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from tallystick_producers.batches import Batches
from tallystick_producers.refused import Refused

_REFUSED: Final = Refused("that this job reads")


def read_within_bounds() -> None:
    """Every consumer of this process, from its next fetch on. A test with a broker fails when aiokafka no longer asks here."""
    fetcher.MemoryRecords = _records


def _records(fetched: bytes) -> Batches:
    return Batches(fetched, MemoryRecords, _REFUSED)

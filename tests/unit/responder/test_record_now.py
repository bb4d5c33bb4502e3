"""A record of `events` read in the responder's own loop: whatever a broker sends is the record or an error, and nobody is held up by how much it says."""

import asyncio
import contextlib
import threading
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError, KafkaError
from tests.support.batches import CODECS, Told, make_batch

from tallystick_producers.batch_form import MOST_PARTS
from tallystick_stream_jobs.responder import sources
from tallystick_stream_jobs.responder.record_reader import is_quick, record_in
from tallystick_stream_jobs.responder.sources import RealSources

TOLD: list[Told] = [(b"agent", b"record %d" % number, []) for number in range(5)]
packed = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


@packed
@given(places=st.dictionaries(st.integers(0, 100), st.integers(0, 255), min_size=1, max_size=4), length=st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_a_damaged_batch_is_an_error_that_readers_know_or_says_what_it_said(codec: int, places: dict[int, int], length: int) -> None:
    """A disk that flips bits ended the responder at each start, and all doors shut: codecs raise what they like."""
    damaged = bytearray(make_batch(TOLD, codec))
    for at, byte in places.items():
        damaged[at % len(damaged)] = byte
    with contextlib.suppress(KafkaError):
        assert record_in(bytes(damaged[:length]), 3) == b"record 3"


@packed
def test_a_flipped_bit_of_a_record_is_damage(codec: int) -> None:
    damaged = bytearray(make_batch(TOLD, codec))
    damaged[-3] ^= 1
    with pytest.raises(CorruptRecordError):
        record_in(bytes(damaged), 3)


def test_damage_that_the_checksum_fits_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick_stream_jobs.responder.record_reader.Batches", lambda *_: 1 / 0)
    with pytest.raises(CorruptRecordError):
        record_in(b"", 0)


class Sent:
    """An outlet over which a broker sends this."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched

    async def fetch(self, *_: Any) -> bytes:
        return self._fetched


def read_now(fetched: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes | None, bool]:
    """What `record_now` gives of it, and whether it was taken apart in the loop."""
    where: list[bool] = []

    def noted(batch: bytes, offset: int) -> bytes:
        where.append(threading.current_thread() is threading.main_thread())
        return record_in(batch, offset)

    monkeypatch.setattr(sources, "record_in", noted)
    real = RealSources(*cast("list[Any]", [None] * 5), outlet=cast("Any", Sent(fetched)))
    found = asyncio.run(real.record_now(0, 3))
    [in_loop] = where
    return found, in_loop


MANY: list[Told] = [(b"", b"", [])] * (MOST_PARTS - 1)
HEADERS: list[Told] = [*TOLD, (b"", b"", [("", b"")] * 60_000)]
TOO_MANY: list[Told] = [*TOLD, (b"", b"", [("", b"")] * (MOST_PARTS + 1))]
"""Refused."""


@packed
def test_a_usual_batch_is_read_without_another_thread(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_now(make_batch(TOLD, codec), monkeypatch) == (b"record 3", True)


@pytest.mark.parametrize(("told", "record"), [(MANY, b""), (HEADERS, b"record 3"), (TOO_MANY, b"")], ids=["records", "headers", "refused"])
def test_a_few_bytes_that_say_a_hundred_thousand_things_hold_nobody_up(
    told: list[Told], record: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some 230 bytes of an agent took the loop 0.1 s, and it is asked for again with each finding: no heartbeat went out, and all doors shut."""
    assert read_now(make_batch(told, CODECS["gzip"]), monkeypatch) == (record, False)


def test_what_cannot_be_unpacked_is_not_looked_at_in_the_loop() -> None:
    broken = bytearray(make_batch(TOLD, CODECS["lz4"]))
    broken[65:69] = b"nope"
    assert not is_quick(bytes(broken))

"""One suite for both libraries: honest batches are read as ever, all others give empty records at their offsets, and what follows is read."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords as AioRecords
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record import MemoryRecords
from tests.support.batches import CODECS, LAST_DELTA_AT, RECORDS_AT, Told, announce, make_batch, payload_batch

from tallystick_producers.batch_form import MOST_PARTS
from tallystick_producers.batches import MOST_OF_A_FETCH, MOST_OFFSETS, Batches
from tallystick_producers.refused import Refused
from tallystick_producers.unpacking import MOST_BYTES

LIBRARIES = {"kafka-python": MemoryRecords, "aiokafka": AioRecords}
both = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
packed = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
Library = Callable[[bytes], Any]
HONEST: list[Told] = [(b"key", b"value", []), (None, b"v" * 3000, []), (b"gone", None, []), (b"h", b"", [("name", b"1"), ("name", None)])]
EMPTY = (b"", b"", [])


def read(batches: Any) -> list[tuple[int, Told]]:
    """As the fetchers of both do it."""
    found: list[tuple[int, Told]] = []
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        if batch.is_control_batch:
            continue
        for record in batch:
            assert batch.base_offset <= record.offset < batch.next_offset
            assert record.timestamp_type in (0, 1)
            found.append((record.offset, (record.key, record.value, list(record.headers))))
    assert batches.next_batch() is None
    return found


def within(fetched: bytes, library: Library, refused: Refused | None = None) -> Batches:
    return Batches(fetched, library, refused or Refused("a topic"))


def check_refused(batch: bytes, offsets: range, library: Library, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """Between two honest ones."""
    after = make_batch(HONEST, 3, offsets.stop)
    refused = Refused("a topic")
    caplog.clear()
    assert read(within(batch + after, library, refused)) == [
        *((offset, EMPTY) for offset in offsets),
        *((offsets.stop + number, told) for number, told in enumerate(HONEST)),
    ]
    assert refused.count == 1
    assert why in caplog.text


@both
@packed
def test_honest_batches_are_read_as_the_library_alone_reads_them(library: Library, codec: int) -> None:
    fetched = make_batch(HONEST, codec, 7) + make_batch(HONEST * 200, codec, 11)
    refused = Refused("a topic")
    assert read(within(fetched, library, refused)) == read(library(fetched)) == [(7 + n, told) for n, told in enumerate(HONEST * 201)]
    assert refused.count == 0


@both
@packed
def test_the_broker_may_cut_a_fetch_anywhere(library: Library, codec: int) -> None:
    first, second = make_batch(HONEST, codec), make_batch(HONEST, codec, 4)
    for cut in (0, 5, 11, 12, 40, 61, len(second) - 1):
        batches = within(first + second[:cut], library)
        assert batches.size_in_bytes() == len(first) + cut
        assert len(read(batches)) == len(HONEST)
    assert not within(b"", library).has_next()


@both
@pytest.mark.parametrize("codec", [1, 3, 4])
def test_a_batch_over_the_bound_gives_an_empty_record_for_each_announced(
    library: Library, codec: int, caplog: pytest.LogCaptureFixture
) -> None:
    value = bytes(MOST_BYTES // 3)
    check_refused(make_batch([(b"k", value, [])] * 4, codec, 100), range(100, 104), library, "it ", caplog)
    assert len(read(within(make_batch([(b"k", value, [])] * 2, codec), library))) == 2


@both
def test_snappy_too(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    # A block's length, as it says: 2 GiB.
    check_refused(payload_batch(b"\xff\xff\xff\xff\x07" + bytes(30), 2, 3, 5), range(5, 8), library, "unpacks to more", caplog)


@both
@pytest.mark.parametrize("codec", [0, 3])
def test_more_records_than_the_bound_are_as_many_empty_ones(library: Library, codec: int, caplog: pytest.LogCaptureFixture) -> None:
    """Their objects are what costs memory, thirty times what they take unpacked."""
    most: list[Told] = [(b"", b"", [])] * MOST_PARTS
    assert len(read(within(make_batch(most, codec), library))) == MOST_PARTS
    check_refused(make_batch([*most, (b"k", b"v", [])], codec, 9), range(9, 9 + MOST_PARTS + 1), library, "announces 65537 records", caplog)


@both
@packed
def test_headers_count_as_records_do(library: Library, codec: int, caplog: pytest.LogCaptureFixture) -> None:
    assert len(read(within(make_batch([(b"k", b"v", [("", None)] * (MOST_PARTS - 1))], codec), library))) == 1
    check_refused(make_batch([(b"k", b"v", [("", None)] * MOST_PARTS)], codec), range(1), library, "records and headers", caplog)
    shared: Told = (b"k", b"v", [("", None)] * (MOST_PARTS // 2))
    check_refused(make_batch([shared, shared], codec), range(2), library, "records and headers", caplog)


@both
@pytest.mark.parametrize(
    ("count", "last_delta", "offsets"),
    [
        (5, 3, range(4)),
        (3, 3, range(4)),
        (-1, 3, range(4)),
        (4, -1, range(1)),
        (2**31 - 1, 3, range(4)),
        (2**31 - 1, 2**31 - 1, range(2**31 - 1, 2**31)),
        (4, 2, range(3)),
    ],
)
def test_a_header_that_announces_others_than_there_are(
    library: Library, count: int, last_delta: int, offsets: range, caplog: pytest.LogCaptureFixture
) -> None:
    for codec in CODECS.values():
        check_refused(announce(make_batch(HONEST, codec), count=count, last_delta=last_delta), offsets, library, "is not read", caplog)


@both
def test_offsets_are_given_one_by_one_up_to_what_a_broker_can_have_counted(library: Library) -> None:
    lie = announce(make_batch(HONEST, 1), count=MOST_OFFSETS, last_delta=MOST_OFFSETS - 1)
    records = iter(within(lie, library).next_batch())
    assert [next(records).offset for _ in range(3)] == [0, 1, 2]
    lie = announce(make_batch(HONEST, 1), count=MOST_OFFSETS, last_delta=MOST_OFFSETS)
    assert [record.offset for record in within(lie, library).next_batch()] == [MOST_OFFSETS]


@both
def test_records_that_compaction_took_are_no_lie(library: Library) -> None:
    kept = announce(make_batch(HONEST, 3), last_delta=9)
    batch = within(kept, library).next_batch()
    assert [record.offset for record in batch] == [0, 1, 2, 3]
    assert batch.next_offset == 10


@both
def test_what_no_broker_looks_at_and_every_reader_stops_at(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    """Before, one such record was the last that anybody read of its topic."""
    named = make_batch([(b"k", b"v", [("aa", b"1")])])
    check_refused(announce(named.replace(b"aa", b"\xff\xfe")), range(1), library, "utf-8", caplog)
    attributes = bytearray(make_batch([(b"k", b"v" * 50, [])]))
    attributes[RECORDS_AT + 1 + (attributes[RECORDS_AT] > 127)] = 0x80
    check_refused(announce(bytes(attributes)), range(1), library, "is not what it says", caplog)


@both
def test_a_payload_that_breaks_off_or_goes_on_is_refused(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    plain = make_batch(HONEST)
    for end in range(RECORDS_AT, len(plain), 97):
        check_refused(announce(plain[:end]), range(4), library, "is not read", caplog)
    check_refused(announce(plain + b"\0"), range(4), library, "longer than its records", caplog)
    for codec in (1, 3, 4):
        whole = make_batch(HONEST, codec)
        check_refused(announce(whole[:-20]), range(4), library, "is not read", caplog)


@both
def test_a_damaged_batch_is_still_the_librarys_to_refuse(library: Library) -> None:
    damaged = bytearray(make_batch(HONEST, 3))
    damaged[-1] ^= 1
    assert not within(bytes(damaged), library).next_batch().validate_crc()


@both
def test_a_fetch_ends_early_and_the_next_goes_on(library: Library) -> None:
    value = bytes(MOST_BYTES - 200)
    fetched = b"".join(make_batch([(b"k", value, [])], 1, offset) for offset in range(5))
    assert [offset for offset, _ in read(within(fetched, library))] == list(range(1 + MOST_OF_A_FETCH // MOST_BYTES))


@both
def test_old_formats_pass_only_where_they_cannot_unpack(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    assert [record.value for record in within(make_batch([(b"k", b"v", [])], magic=1), library).next_batch()] == [b"v"]
    check_refused(make_batch([(b"k", bytes(1000), [])] * 3, 1, 6, magic=1), range(6, 7), library, "before Kafka 0.11", caplog)


@both
@settings(max_examples=400)
@given(st.data())
def test_whatever_bytes_somebody_writes_no_reader_stops(library: Library, data: st.DataObject) -> None:
    """With a checksum that is right: the broker would refuse another."""
    batch = bytearray(make_batch(HONEST, data.draw(st.sampled_from([0, 0, 0, 1, 3, 4]))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(LAST_DELTA_AT + 4, len(batch) - 1) | st.integers(RECORDS_AT, RECORDS_AT + 20))
        batch[at] = data.draw(st.integers(0, 255))
    changed = announce(bytes(batch))
    found = read(within(changed + make_batch(HONEST, 3, 4), library))
    assert [told for _, told in found[-4:]] == HONEST
    assert struct.unpack_from(">i", changed, LAST_DELTA_AT)[0] == 3
    assert all(0 <= offset < 4 for offset, _ in found[:-4])

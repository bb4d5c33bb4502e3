"""What one insert is cut into: whole rows, whatever they are made of. A row that is cut in two stops the notary for ever."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_stream_jobs.notary import ledger
from tallystick_stream_jobs.notary.ledger import _blocks
from tallystick_stream_jobs.notary.rows import EVENT_PIECES, event_rows


@given(sizes=st.lists(st.integers(1, 300), max_size=30), bound=st.integers(1, 1000))
def test_blocks_are_whole_rows_in_order_and_no_larger_than_they_must_be(sizes: list[int], bound: int) -> None:
    items = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    pieces = event_rows(0, 7, items)
    assert len(pieces) == EVENT_PIECES * len(items)
    rows = [b"".join(pieces[at : at + EVENT_PIECES]) for at in range(0, len(pieces), EVENT_PIECES)]
    ends = [sum(map(len, rows[: n + 1])) for n in range(len(rows))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "INSERT_BYTES", bound)
        blocks = list(_blocks(pieces, EVENT_PIECES))
    assert b"".join(blocks) == b"".join(rows)
    cuts = [sum(map(len, blocks[: n + 1])) for n in range(len(blocks))]
    assert set(cuts) <= set(ends)
    assert all(len(block) <= bound or block in rows for block in blocks)
    assert len(blocks) < 2 or all(len(one) + len(other) > bound for one, other in itertools.pairwise(blocks))

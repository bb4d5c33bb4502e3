"""Whether an event that a store shows is the one that its agent signed: whatever was done to the rows."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.history import make_event, private_key

from tallystick_schemas.entries import Entry, encode_entry, entry_leaf
from tallystick_schemas.events import event_leaf
from tallystick_schemas.records import parse_frame
from tallystick_schemas.segments import SegmentSigner, new_run
from tallystick_schemas.standing import Standing, StoredSegment, standings
from tallystick_schemas.verdicts import Verdict

RAWS = [make_event(number) for number in range(9)]
Rows = dict[int, tuple[bytes, bytes]]
"""Position -> (bytes, stored leaf)."""


def entry_of(raws: list[bytes], verdict: Verdict = Verdict.ACCEPTED) -> bytes:
    signed = SegmentSigner("gateway", private_key("gateway"), new_run(0, bytes(8))).sign(raws, "2026-11-23T04:00:00.000000Z")
    frame = parse_frame(signed.record)
    return encode_entry(Entry(1, 2, 0, 7, 1_795_406_400_000, verdict, frame.header, frame.sig, b""))


ENTRY = entry_of(RAWS)


def told(
    change: Callable[[Rows], None] = lambda rows: None,
    entry: bytes | None = ENTRY,
    leaf: bytes | None = None,
    cited: tuple[int, ...] = (1, 4, 8),
) -> str:
    rows: Rows = {pos: (raw, event_leaf(raw)) for pos, raw in enumerate(RAWS)}
    change(rows)
    segment = StoredSegment(entry, leaf if leaf is not None else entry_leaf(entry or b""), [(pos, row[1]) for pos, row in rows.items()])
    found = standings(segment, {pos: rows[pos][0] for pos in cited if pos in rows}, cited)
    return " ".join(found[pos] for pos in cited)


def put(pos: int, raw: bytes, leaf: bytes | None = None) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[pos] = (raw, event_leaf(raw) if leaf is None else leaf)

    return change


OTHER = make_event(77)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: None, "holds holds holds"),
        (put(4, OTHER, event_leaf(RAWS[4])), "holds changed holds"),
        (put(4, OTHER), "unproven unproven unproven"),
        (put(4, RAWS[4], bytes(32)), "holds holds holds"),
        (put(4, b"", event_leaf(RAWS[4])), "holds erased holds"),
        (put(4, b"", bytes(32)), "unproven unproven unproven"),
        (put(3, OTHER), "unproven unproven unproven"),
        (put(9, OTHER), "unproven unproven unproven"),
        (lambda rows: rows.pop(4), "unproven removed unproven"),
        (lambda rows: rows.pop(0), "unproven unproven unproven"),
        (lambda rows: rows.clear(), "removed removed removed"),
    ],
)
def test_what_was_done_to_the_rows_is_told(change, said):
    assert told(change) == said


def test_two_rows_at_one_position_prove_nothing():
    leaves = [(pos, event_leaf(raw)) for pos, raw in enumerate(RAWS)] + [(4, event_leaf(OTHER))]
    assert standings(StoredSegment(ENTRY, entry_leaf(ENTRY), leaves), {4: OTHER}, [4])[4] == Standing.UNPROVEN


@pytest.mark.parametrize(
    ("entry", "leaf", "said"),
    [
        (None, None, "waiting waiting waiting"),
        (b"no entry", None, "unproven unproven unproven"),
        (ENTRY, bytes(32), "unproven unproven unproven"),
        (entry_of(RAWS, Verdict.BAD_SIGNATURE), None, "unproven unproven unproven"),
        (entry_of(RAWS[:8]), None, "unproven unproven unproven"),
        (entry_of([*RAWS[:8], OTHER]), None, "unproven unproven unproven"),
    ],
)
def test_an_entry_that_does_not_hold_proves_nothing(entry, leaf, said):
    assert told(entry=entry, leaf=leaf) == said


@given(pos=st.integers(0, 8), number=st.integers(100, 10_000), leaves=st.booleans())
def test_no_other_event_ever_holds(pos: int, number: int, leaves: bool) -> None:
    """With its own leaf in the column, or with the signed one's."""
    forged = make_event(number)
    assert told(put(pos, forged, None if leaves else event_leaf(RAWS[pos])), cited=(pos,)) in ("changed", "unproven")

"""The tamper cases of tests/faults/test_tampering.py over the in-memory twin, and the law behind them: no change of any row goes unseen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.history import History, make_history
from tests.support.history_source import MemorySource
from tests.support.tampering import CASES, Tampering, flip

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.step7_columns import EVENT_COLUMNS
from tallystick_audit.verify.step7_entries import ENTRY_COLUMNS


def judged(history: History) -> Report:
    return verify_source(MemorySource(history), history.log, history.now)


def test_true_history_passes() -> None:
    report = judged(make_history())
    assert report.failures == ()
    assert report.exit_code == 0
    assert (report.entries, report.events) == (29, 72)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_found(case: Tampering) -> None:
    history = make_history()
    case.change(history)
    report = judged(history)
    assert report.exit_code == case.exit_code
    assert case.found in [(failure.step, failure.shard, failure.index) for failure in report.failures]
    assert report.integrity == ("unknown" if case.exit_code == 2 else "fail")


# The root checkpoints before the newest are left out: none but the newest is needed, and the root log itself shows what they said.
TABLES = ("entries", "events", "checkpoints", "root_leaves")


def _rows(history: History, table: str) -> list[Any]:
    rows = getattr(history, table)
    newest = max(row[1] for row in history.checkpoints if row[0] == history.log.root_origin)
    return [row for row in rows if table != "checkpoints" or row[0] != history.log.root_origin or row[1] == newest]


@given(table=st.sampled_from(TABLES), data=st.data())
def test_no_byte_may_change(table: str, data: st.DataObject) -> None:
    history = make_history()
    row = data.draw(st.sampled_from(_rows(history, table)))
    column = data.draw(st.sampled_from([n for n, value in enumerate(row) if isinstance(value, bytes)]))
    at = data.draw(st.integers(0, len(row[column]) - 1))
    changed = (*row[:column], flip(row[column], at), *row[column + 1 :])
    rows = getattr(history, table)
    rows[rows.index(row)] = changed
    assert judged(history).integrity == "fail"


@given(table=st.sampled_from(TABLES), data=st.data())
def test_no_row_may_go(table: str, data: st.DataObject) -> None:
    history = make_history()
    getattr(history, table).remove(data.draw(st.sampled_from(_rows(history, table))))
    assert judged(history).integrity == "fail"


@given(table=st.sampled_from(("entries", "events")), data=st.data())
def test_no_row_may_move(table: str, data: st.DataObject) -> None:
    history = make_history()
    rows = getattr(history, table)
    row = data.draw(st.sampled_from(rows))
    column = data.draw(st.sampled_from([n for n, value in enumerate(row) if isinstance(value, int)]))
    other = data.draw(st.integers(0, 20).filter(lambda number: number != row[column]))
    rows[rows.index(row)] = (*row[:column], other, *row[column + 1 :])
    assert judged(history).integrity == "fail"


@pytest.mark.parametrize("name", EVENT_COLUMNS)
def test_no_derived_column_of_an_event_may_change(name: str) -> None:
    history = make_history()
    history.columns[0, 4, 2] = {name: "7"}
    [failure] = judged(history).failures
    assert (failure.step, failure.shard, failure.index) == (7, 0, 4)
    assert failure.reason.startswith(f'the event at position 2: column {name} says "7", the event\'s bytes "')


@pytest.mark.parametrize("name", ENTRY_COLUMNS)
def test_no_derived_column_of_an_entry_may_change(name: str) -> None:
    history = make_history()
    history.columns[0, 9, None] = {name: "77"}
    [failure] = judged(history).failures
    assert (failure.step, failure.shard, failure.index) == (7, 0, 9)
    assert failure.reason.startswith(f'column {name} says "77", the entry\'s bytes "')


def test_a_value_that_holds_a_separator_is_no_two_values() -> None:
    """What is moved over the border of two columns joins to the same text."""
    history = make_history()
    history.columns[0, 4, 2] = {"principal": "reader\0human", "principal_kind": "x"}
    assert [(one.step, one.index) for one in judged(history).failures] == [(7, 4)]


@given(table=st.sampled_from(("entries", "events", "root_leaves", "checkpoints")), data=st.data())
def test_a_row_that_repeats_another_changes_nothing(table: str, data: st.DataObject) -> None:
    history = make_history()
    rows = getattr(history, table)
    rows.append(data.draw(st.sampled_from(rows)))
    report = judged(history)
    assert report.failures == ()
    assert (report.entries, report.events) == (29, 72)

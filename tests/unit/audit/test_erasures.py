"""Step 8: an emptied event is named by an erase record at its very place, and a record counts once however often it is played again."""

import pytest
from tests.support.history import HistoryBuilder
from tests.support.history_source import MemorySource
from tests.support.tampering import recompute_hashes, sign_again

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.entries import encode_entry, entry_leaf, parse_entry
from tallystick_schemas.headers import Kind
from tallystick_schemas.records import pack_items

Place = tuple[int, int]


def made(level: int) -> tuple[HistoryBuilder, int]:
    """A shard with a segment of six events, and the segment's index."""
    builder = HistoryBuilder(1)
    if level > 1:
        builder.directive(0, "rules", "", {"level": level})
    return builder, builder.segment(builder.enrol("gw", 0), 6).index


def empty(builder: HistoryBuilder, *places: Place) -> None:
    rows = builder.history.events
    rows[:] = [(shard, index, pos, b"" if (index, pos) in places else raw, leaf) for shard, index, pos, raw, leaf in rows]


def judged(builder: HistoryBuilder) -> Report:
    builder.tick(100)
    builder.seal()
    history = builder.history
    return verify_source(MemorySource(history), history.log, history.now)


def replay(builder: HistoryBuilder, times: int) -> None:
    """The last record once more, as whoever may write the topic can."""
    raw, _ = builder.history.records[0][-1]
    for _ in range(times):
        builder.record(0, raw)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_a_record_names_may_be_empty(level: int) -> None:
    builder, at = made(level)
    builder.erase(0, [(at, 1), (at, 4)])
    replay(builder, 2)
    empty(builder, (at, 1), (at, 4))
    report = judged(builder)
    assert (report.failures, report.exit_code, report.erased) == ((), 0, 2)


@pytest.mark.parametrize(("level", "outcome"), [(1, "fail"), (2, "fail"), (3, "fail")])
def test_a_record_that_is_played_again_covers_no_more_events(level: int, outcome: str) -> None:
    builder, at = made(level)
    builder.erase(0, [(at, 1)])
    replay(builder, 5)
    empty(builder, (at, 0), (at, 1), (at, 2), (at, 3))
    report = judged(builder)
    assert report.integrity == outcome
    assert [(one.step, one.index) for one in report.failures] == [(8, at)]


@pytest.mark.parametrize(("level", "outcome"), [(1, "unknown"), (2, "unknown"), (3, "fail")])
def test_as_many_events_at_other_places_do_not_pass(level: int, outcome: str) -> None:
    """Before level 3 the history does not have which places were named: that they were is not known, and unknown never passes."""
    builder, at = made(level)
    builder.erase(0, [(at, 1), (at, 2), (at, 3)])
    empty(builder, (at, 0), (at, 4), (at, 5))
    report = judged(builder)
    assert (report.integrity, report.exit_code) == (outcome, 2 if outcome == "unknown" else 1)
    assert [(one.step, one.index) for one in report.failures] == [(8, at)]


def test_a_record_about_another_shard_names_nothing_here() -> None:
    builder, at = made(3)
    builder.erase(0, [(at, 1)], about=1)
    empty(builder, (at, 1))
    assert judged(builder).integrity == "fail"


def test_a_notary_and_a_sealer_that_write_other_places_into_the_entry() -> None:
    """The operator signed the root over the places."""
    builder, at = made(3)
    index = builder.erase(0, [(at, 1)]).index
    empty(builder, (at, 2))
    builder.seal()
    history = builder.history
    row = next(number for number, one in enumerate(history.entries) if one[1] == index)
    entry = parse_entry(history.entries[row][2])
    assert entry.kind == Kind.ERASE
    raw = encode_entry(entry._replace(facts=pack_items([b'{"index":%d,"pos":2}' % at])))
    history.entries[row] = (0, index, raw, entry_leaf(raw), history.entries[row][4])
    recompute_hashes(history, 0)
    sign_again(history, builder.sealer)
    report = verify_source(MemorySource(history), history.log, history.now)
    assert (5, index) in [(one.step, one.index) for one in report.failures]

"""Step 5 and 6 against a notary that lies while the sealer signs: rejections, acceptances, repeats, erasures."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from tests.support.history import History, HistoryBuilder, make_event, private_key
from tests.support.history_source import MemorySource
from tests.support.tampering import flip, recompute_hashes, sign_again

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.bodies import Body, BodyRefused
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.entries import Entry, encode_entry, parse_entry
from tallystick_schemas.facts import encode_facts, parse_facts
from tallystick_schemas.merkle import leaf_hash
from tallystick_schemas.records import Record, split_items
from tallystick_schemas.verdicts import Verdict


def judged(builder: HistoryBuilder) -> Report:
    builder.tick(100)
    builder.seal()
    history = builder.history
    return verify_source(MemorySource(history), history.log, history.now)


def places(report: Report) -> list[tuple[int, int | None, int | None]]:
    return [(failure.step, failure.shard, failure.index) for failure in report.failures]


def accept_all(record: Record) -> Body:
    return Body(split_items(record.body), [], [])


def refuse_all(record: Record) -> Body:
    raise BodyRefused(Verdict.MALFORMED_EVENT, "says the notary")


def test_every_honest_rejection_is_judged_again() -> None:
    """One of each verdict that is about more than order, with the record kept: nothing to say."""
    builder = HistoryBuilder(1)
    agent, stranger = builder.enrol("gw", 0), private_key("nobody")
    good = agent.sign(builder.events(2), builder.tick()).record
    builder.record(0, b"garbage")
    builder.record(0, good[:5] + good[5:].replace(b'{"v":1', b'{"v":7', 1))
    builder.record(0, flip(good, good.index(b'"time"') - 200))
    builder.record(0, good[:-3])
    builder.record(0, good)
    builder.record(0, flip(good))
    other = builder.enrol("other", 0)
    builder.record(0, type(agent)("gw", 0, stranger).sign(builder.events(1), builder.tick()).record)
    builder.revoke(other)
    builder.segment(other, 1)
    report = judged(builder)
    assert report.failures == ()
    assert report.unproven_rejections == 0
    assert report.exit_code == 0


def test_good_segment_that_was_called_malformed() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    builder.record(0, agent.sign(builder.events(2), builder.tick()).record, refuse_all)
    assert (5, 0, 2) in places(judged(builder))


def test_rejection_whose_record_was_not_kept_is_unknown() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    builder.record(0, agent.sign(builder.events(2), builder.tick()).record, refuse_all)
    builder.history.rejected.clear()
    report = judged(builder)
    assert (report.integrity, report.completeness, report.unproven_rejections) == ("pass", "unknown", 1)


ODD_REJECTIONS: dict[str, Callable[[Entry], Entry]] = {
    "a header of its own": lambda entry: entry._replace(header=b"whatever the notary likes to keep"),
    "one space more": lambda entry: entry._replace(header=entry.header.replace(b":", b": ", 1)),
    "a second spelling of the length": lambda entry: entry._replace(header=entry.header.replace(b":7,", b":07,")),
    "a signature": lambda entry: entry._replace(sig=b"\1" * 64),
}


@pytest.mark.parametrize("change", ODD_REJECTIONS.values(), ids=ODD_REJECTIONS)
def test_the_entry_of_no_record_says_its_length_and_hash_alone(change: Callable[[Entry], Entry]) -> None:
    """The record is not kept, so nothing else holds the entry to what a fold writes."""
    builder = HistoryBuilder(1)
    at = builder.record(0, b"garbage").index
    builder.tick(100)
    builder.seal()
    history = builder.history
    history.rejected.clear()
    assert verify_source(MemorySource(history), history.log, history.now).exit_code == 0
    raw = change_entry(history, at, change)
    recompute_hashes(history, 0)
    # What the seal says of the chain is made to fit as well, so that this one entry is all that is odd.
    seal = parse_facts(parse_entry(history.entries[-1][2]).facts)
    facts = encode_facts(msgspec.structs.replace(seal, chain=history.entries[-2][4].hex()))
    change_entry(history, at + 1, lambda entry: entry._replace(facts=facts))
    recompute_hashes(history, 0)
    sign_again(history, private_key("sealer"))
    report = verify_source(MemorySource(history), history.log, history.now)
    assert places(report) == [(5, 0, at)], raw


def change_entry(history: History, at: int, change: Callable[[Entry], Entry]) -> bytes:
    number = next(number for number, row in enumerate(history.entries) if row[1] == at)
    raw = encode_entry(change(parse_entry(history.entries[number][2])))
    assert raw != history.entries[number][2]
    history.entries[number] = (0, at, raw, b"", b"")
    return raw


def test_kept_record_is_another_one() -> None:
    builder = HistoryBuilder(1)
    builder.record(0, b"garbage")
    builder.history.rejected[0] = (0, 1, b"other garbage")
    assert places(judged(builder)) == [(5, 0, 1)]


def test_accepted_segment_with_an_event_that_breaks_the_format() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    bad = make_event(1).replace(b"artifact.download", b"artifact.steal")
    builder.record(0, agent.sign([make_event(0), bad], builder.tick()).record, accept_all)
    report = judged(builder)
    assert places(report) == [(6, 0, 2)]
    assert "event 1 breaks the format" in report.failures[0].reason


def test_accepted_segment_whose_body_is_not_the_signed_one() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    record = agent.sign(builder.events(2), builder.tick()).record
    builder.record(0, record.replace(b'"method":"GET"', b'"method":"PUT"'), accept_all)
    assert places(judged(builder)) == [(6, 0, 2)]


def test_repeat_is_told_from_a_fork() -> None:
    builder = HistoryBuilder(1)
    agent = builder.enrol("gw", 0)
    twin = replace_run(builder)
    first = agent.sign(builder.events(2), builder.tick()).record
    builder.record(0, first)
    builder.segment(agent, 2)
    builder.record(0, first)
    assert judged_forks(builder) == []
    builder.record(0, twin)
    assert judged_forks(builder) == [7]


def replace_run(builder: HistoryBuilder) -> bytes:
    """Segment 0 of the same run, signed over other events."""
    agent = type(builder.enrol("x", 0))("gw", 0, private_key("gw"))
    return agent.sign(builder.events(3), builder.tick()).record


def judged_forks(builder: HistoryBuilder) -> list[int]:
    report = judged(builder)
    assert report.failures == ()
    return [fork.index for fork in report.forks]


def test_erased_with_a_record() -> None:
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 3)
    shard, index, pos, raw, leaf = builder.history.events[1]
    builder.history.events[1] = (shard, index, pos, b"", leaf)
    assert leaf == leaf_hash(raw)
    builder.erase(0, [(index, pos)])
    report = judged(builder)
    assert (report.exit_code, report.erased, report.events) == (0, 1, 3)


def test_more_erased_than_the_records_name() -> None:
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 3)
    builder.history.events = [(*row[:3], b"", row[4]) for row in builder.history.events]
    builder.erase(0, [(2, 0)])
    assert places(judged(builder)) == [(8, 0, 2)]


def test_checkpoint_that_the_sealer_signed_beside_the_root_log() -> None:
    """What is signed for a shard is shown to everybody, or it is a second story."""
    builder = HistoryBuilder(1)
    builder.seal()
    history = builder.history
    root = bytes(32)
    note = sign_checkpoint(Checkpoint(history.log.origin(0), 1, root), builder.sealer)
    history.checkpoints.append((history.log.origin(0), 1, root, note))
    assert places(judged(builder)) == [(2, 0, 1)]


def test_entries_that_change_between_two_readings() -> None:
    """Steps 3 to 5 and step 6 read entries separately; both must have seen the same."""
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 3)
    builder.seal()
    history = builder.history

    class Changing(MemorySource):
        readings = 0

        def entries(self, shard, first, end, *, columns=False):  # type: ignore[no-untyped-def]
            self.readings += 1
            for block in super().entries(shard, first, end, columns=columns):
                yield [replace(row, entry=flip(row.entry, 25)) if self.readings == 2 else row for row in block]

    report = verify_source(Changing(history), history.log, history.now)
    assert places(report) == [(6, 0, 0)]

"""The table of verdicts on the format's page: what each line speaks of is done to a history, and is judged as the line says."""

from collections.abc import Callable

import pytest
from tests.support import tampering
from tests.support.history import History, HistoryBuilder, make_history, private_key
from tests.support.history_source import MemorySource
from tests.support.pages import ROOT, Page

from tallystick_audit.verify.history import verify_source
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.directives import LEVEL
from tallystick_schemas.entries import encode_entry, entry_leaf, parse_entry
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import parse_record
from tallystick_schemas.signing import sign_record, wire_time

ROWS = {row[0]: row[1:] for row in Page(ROOT / "schemas" / "README.md").table("found")}


def built(change: Callable[[HistoryBuilder], object], settle: float = 100.0, *, seal: bool = True) -> History:
    builder = HistoryBuilder(1)
    change(builder)
    builder.tick(settle)
    if seal:
        builder.seal()
    return builder.history


def changed(*changes: Callable[[History], object]) -> History:
    history = make_history()
    for change in changes:
        change(history)
    return history


def by_a_stranger(history: History) -> None:
    tampering.sign_again(history, private_key("nobody"))


def by_the_sealer(history: History) -> None:
    tampering.sign_again(history, private_key("sealer"))


def no_entry(history: History) -> None:
    number = next(number for number, row in enumerate(history.entries) if row[:2] == (0, 9))
    history.entries[number] = (0, 9, b"no entry", b"", b"")
    tampering.recompute_hashes(history, 0)


def of_another_log(history: History) -> None:
    _, size, root, _ = history.checkpoints[0]
    note = sign_checkpoint(Checkpoint("test/elsewhere", size, root), private_key("sealer"))
    history.checkpoints.append(("test/elsewhere", size, root, note))


def gap(builder: HistoryBuilder) -> None:
    agent = builder.enrol("gw", 0)
    builder.segment(agent, 2)
    agent.sign(builder.events(2), builder.tick())
    builder.segment(agent, 2)


def refused(builder: HistoryBuilder) -> None:
    builder.record(0, builder.enrol("gw", 0).sign([b"{}"], builder.tick()).record)


def not_kept() -> History:
    history = built(refused)
    history.rejected.clear()
    return history


def kept_otherwise() -> History:
    history = built(refused)
    [(shard, index, raw)] = history.rejected
    history.rejected[0] = (shard, index, tampering.flip(raw, 40))
    return history


def above(*, behind_gap: bool) -> History:
    def more(builder: HistoryBuilder) -> None:
        agent = builder.enrol("gw", 0)
        builder.seal()
        for _ in range(2):
            builder.segment(agent, 1)

    history = built(more, 0.0, seal=False)
    if behind_gap:
        lost = history.entries.pop(-2)[1]
        history.events[:] = [row for row in history.events if row[1] != lost]
    return history


def put(history: History, at: int, record: bytes) -> History:
    """Another operator's record in the entry, hashed and signed again by notary and sealer."""
    parsed = parse_record(record)
    number = next(number for number, row in enumerate(history.entries) if row[:2] == (0, at))
    raw = encode_entry(parse_entry(history.entries[number][2])._replace(header=parsed.header_raw, sig=parsed.sig))
    history.entries[number] = (0, at, raw, entry_leaf(raw), b"")
    tampering.recompute_hashes(history, 0)
    tampering.sign_again(history, private_key("sealer"))
    return history


def rules(builder: HistoryBuilder) -> None:
    for n in (0, 1):
        builder.directive(0, "rules", "", {"level": 2}, n)


def other_rules(level: int, signer: str) -> History:
    """Entry 2, the second directive about rules, is another one."""
    key = private_key(signer)
    header = Directive(1, key_id(key.public_key().public_bytes_raw()), wire_time(1_795_406_400), "rules", "", 1, {"level": level})
    return put(built(rules), 2, sign_record(header, key))


def jumped(builder: HistoryBuilder) -> None:
    builder.seal()
    builder.epochs[0] += 2


def emptied(builder: HistoryBuilder) -> None:
    builder.segment(builder.enrol("gw", 0), 2)
    shard, index, pos, _, leaf = builder.history.events[0]
    builder.history.events[0] = (shard, index, pos, b"", leaf)


def late(seconds: float) -> History:
    history = built(lambda _: None)
    history.now += seconds
    return history


def lost_offset(builder: HistoryBuilder) -> None:
    builder.offsets[0] += 1
    builder.segment(builder.enrol("gw", 0), 1)


def no_seal() -> History:
    """The sealer signed a shard as it stood behind a segment."""

    def signed_early(builder: HistoryBuilder) -> None:
        builder.segment(builder.enrol("gw", 0), 1)
        builder._leaf(builder._sign(builder.history.log.origin(0), builder._trees[0]))

    return built(signed_early)


CASES: list[tuple[str, History]] = [
    ("no root checkpoint at all", changed(tampering.drop_all_checkpoints, lambda history: history.root_leaves.clear())),
    ("no root checkpoint that holds", changed(tampering.drop_all_checkpoints)),
    ("checkpoints, and none of them", changed(by_a_stranger)),
    ("a checkpoint whose note", changed(tampering.change_root_note)),
    ("a shard of which the root log", built(lambda builder: builder._sign(builder.history.log.root_origin, builder._root), seal=False)),
    ("leaves that are missing", changed(tampering.drop_root_leaf)),
    ("leaves that are missing", changed(tampering.drop_newest_root_checkpoint)),
    ("a shard's checkpoint in", changed(tampering.drop_checkpoint)),
    ("a shard's checkpoint in", changed(tampering.insert_forged_checkpoint)),
    ("a shard's checkpoint in", changed(of_another_log)),
    ("a row that is no entry", changed(no_entry, by_the_sealer)),
    ("entries that are missing", changed(tampering.truncate_entries)),
    ("an entry above the newest", above(behind_gap=True)),
    ("any other entry above", above(behind_gap=False)),
    ("rows of a shard", changed(tampering.insert_foreign_shard)),
    ("a seal that counts", changed(tampering.change_seal_facts_and_all_hashes, by_the_sealer)),
    ("a checkpoint that stands", no_seal()),
    ("epochs that were jumped", built(jumped)),
    ("epochs that were jumped", built(lost_offset)),
    ("an entry that the fold", changed(tampering.change_verdict_and_all_hashes, by_the_sealer)),
    ("an operator's record", other_rules(2, "nobody")),
    ("rules of a level", other_rules(LEVEL + 1, "operator")),
    ("verdict 7 or 10", not_kept()),
    ("a kept record", kept_otherwise()),
    ("a kept record", changed(tampering.insert_rejected)),
    ("numbers of a run", built(gap, 0.0)),
    ("the same, longer", built(gap)),
    ("events that are missing", changed(tampering.delete_event)),
    ("events that are missing", changed(tampering.insert_event_after_segment)),
    ("event rows above", changed(tampering.insert_event_above_the_seal)),
    ("a derived column", changed(tampering.rename_a_principal)),
    ("records that are kept above", changed(tampering.insert_rejected_above_the_seal)),
    ("emptied events", built(emptied)),
    ("a newest seal", late(1_000.0)),
    ("a newest seal", late(-100.0)),
]


def line(label: str) -> list[str]:
    [row] = [cells for found, cells in ROWS.items() if found.startswith(label)]
    return row


@pytest.mark.parametrize(("label", "history"), CASES, ids=[f"{label} {number}" for number, (label, _) in enumerate(CASES)])
def test_it_is_judged_as_the_page_says(label: str, history: History) -> None:
    *aspects, steps = line(label)
    report = verify_source(MemorySource(history), history.log, history.now)
    found = (report.integrity, report.completeness, report.freshness)
    said = [next((word for word in ("fail", "unknown") if cell.startswith(word)), "pass") for cell in aspects]
    assert list(found) == said, report.failures
    assert {failure.step for failure in report.failures} <= set(map(int, steps.split(", ") if steps else []))


def test_no_line_is_left_out() -> None:
    assert [found for found in ROWS if not any(found.startswith(label) for label, _ in CASES)] == []


def test_rows_that_agree_are_one_row() -> None:
    history = make_history()
    for table in (history.entries, history.events, history.rejected, history.checkpoints, history.root_leaves):
        table += list(table)
    report = verify_source(MemorySource(history), history.log, history.now)
    assert (report.failures, report.exit_code) == ((), 0)
    assert report.events == len(history.events) // 2

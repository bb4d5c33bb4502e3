"""Steps 1 to 4 against a sealer that signs what it should not, and second rows that the table sorts behind the true ones."""

from tests.support.history import History, HistoryBuilder, public_bytes
from tests.support.history_source import MemorySource

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.report import Findings
from tallystick_audit.verify.source import StoredEntry
from tallystick_audit.verify.step3_shard import ShardLog
from tallystick_audit.verify.step4_seals import SealBook
from tallystick_schemas.checkpoints import Checkpoint, Topology, encode_topology, sign_checkpoint
from tallystick_schemas.entries import entry_leaf, genesis_chain, next_chain, parse_entry
from tallystick_schemas.headers import Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import Frontier, leaf_hash
from tallystick_schemas.signing import sign_record

Place = tuple[int, int | None, int | None]


def small() -> HistoryBuilder:
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 2)
    builder.seal()
    return builder


def judged(history: History) -> Report:
    return verify_source(MemorySource(history), history.log, history.now)


def places(history: History) -> list[Place]:
    return [(failure.step, failure.shard, failure.index) for failure in judged(history).failures]


def sign_root(builder: HistoryBuilder, size: int, root: bytes) -> None:
    origin = builder.history.log.root_origin
    builder.history.checkpoints.append((origin, size, root, sign_checkpoint(Checkpoint(origin, size, root), builder.sealer)))


def test_two_stories_about_the_root_log() -> None:
    builder = small()
    sign_root(builder, 2, b"\xff" * 32)
    assert places(builder.history) == [(1, None, 2)]


def test_topology_is_not_the_first_leaf() -> None:
    builder = small()
    history = builder.history
    history.root_leaves = list(enumerate(data for _, data in reversed(history.root_leaves)))
    history.checkpoints = [row for row in history.checkpoints if row[0] != history.log.root_origin]
    tree = Frontier()
    tree.extend([leaf_hash(data) for _, data in history.root_leaves])
    sign_root(builder, 2, tree.root)
    assert (2, 0, 0) in places(history)
    assert (2, None, 1) in places(history)


def sealed_over(*leaves: bytes, after: tuple[bytes, ...] = ()) -> History:
    """The small history, whose root log begins with `leaves` and ends with those `after` the shard's checkpoint."""
    builder = small()
    history = builder.history
    history.checkpoints = [row for row in history.checkpoints if row[0] != history.log.root_origin]
    history.root_leaves = list(enumerate([*leaves, history.root_leaves[1][1], *after]))
    tree = Frontier()
    tree.extend([leaf_hash(data) for _, data in history.root_leaves])
    sign_root(builder, tree.size, tree.root)
    return history


def test_the_topology_has_one_form_and_one_place() -> None:
    topology = encode_topology(Topology(1, 0, ["test/shard/0"]))
    assert places(sealed_over(topology)) == []
    assert places(sealed_over(encode_topology(Topology(1, 1, ["test/shard/0"])))) == [(2, None, 0)]
    assert places(sealed_over(topology, topology)) == [(2, None, 1)]
    assert places(sealed_over(topology, after=(topology,))) == [(2, None, 2)]


def test_what_stands_in_its_place_does_not_touch_what_is_behind_it() -> None:
    report = judged(sealed_over(b"no topology"))
    assert {(failure.step, failure.index) for failure in report.failures} == {(2, 0)}
    assert (report.completeness, report.freshness) == ("pass", "pass")


def test_checkpoint_where_no_seal_is() -> None:
    builder = small()
    history = builder.history
    builder.segment(builder.enrol("other", 0), 1)
    builder._leaf(builder._sign(history.log.origin(0), builder._trees[0]))
    builder._sign(history.log.root_origin, builder._root)
    assert places(history) == [(4, 0, 5)]


def test_second_leaf_sorted_behind() -> None:
    history = small().history
    history.root_leaves.append((1, b"\xff"))
    assert places(history) == [(2, None, 1)]


def test_second_rejected_record_sorted_behind() -> None:
    builder = HistoryBuilder(1)
    builder.record(0, b"garbage")
    builder.seal()
    builder.history.rejected.append((0, 1, b"later garbage"))
    assert places(builder.history) == [(5, 0, 1)]


def test_entry_of_another_shard() -> None:
    findings = Findings()
    entry = HistoryBuilder(2).history.entries[1][2]
    leaf = entry_leaf(entry)
    ShardLog(0, "test/shard/0", [], findings).take(StoredEntry(0, entry, leaf, next_chain(genesis_chain("test/shard/0"), 0, leaf)))
    assert [(failure.step, failure.index) for failure in findings.kept] == [(3, 0)]
    assert "belongs to shard 1" in findings.kept[0].reason


def test_epoch_that_goes_back() -> None:
    findings = Findings()
    builder = small()
    seal = parse_entry(builder.history.entries[-1][2])
    book = SealBook(0, [], findings)
    for row in builder.history.entries:
        book.take(row[1], parse_entry(row[2]))
    book.take(4, seal._replace(offset=4))
    assert (4, 4) in [(failure.step, failure.index) for failure in findings.kept]
    assert "follows the one of epoch 0" in findings.kept[0].reason


def test_seal_on_a_day_that_its_month_does_not_have() -> None:
    builder = small()
    header = Seal(1, key_id(public_bytes(builder.sealer)), "2026-02-31T00:00:00.000000Z", 1)
    builder.record(0, sign_record(header, builder.sealer))
    builder._leaf(builder._sign(builder.history.log.origin(0), builder._trees[0]))
    builder._sign(builder.history.log.root_origin, builder._root)
    report = judged(builder.history)
    assert (report.integrity, report.freshness) == ("pass", "fail")
    assert "on no calendar" in report.failures[0].reason

"""`[log] sealer_ends`: a stolen sealer's key is believed up to the last root checkpoint that its owner signed, whatever a history says or leaves out."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.history import HistoryBuilder, private_key
from tests.support.history_source import MemorySource
from tests.support.rotating import KEY, by, rotating, said

from tallystick_audit.errors import UnusableNote
from tallystick_audit.notes import open_kept
from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.checkpoints import Checkpoint, sealer_ends, sign_checkpoint
from tallystick_schemas.errors import SettingsError, VerificationError
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.vouching import vouch


def judged(builder: HistoryBuilder, log: LogSettings | None = None) -> Report:
    return verify_source(MemorySource(builder.history), log or builder.history.log, builder.history.now)


def sealed(rounds: int) -> HistoryBuilder:
    """Each round a segment and a seal of both shards, by the first sealer."""
    builder = rotating(2)
    agents = [builder.enrol(f"gw-{shard}", shard) for shard in range(2)]
    for _ in range(rounds):
        for agent in agents:
            builder.segment(agent, 1)
        builder.seal()
    return builder


def ending(log: LogSettings, size: int) -> LogSettings:
    return replace(log, sealer_ends=(f"{KEY['sealer']} {size}",))


def test_a_rotated_history_passes_with_the_end_of_the_first_key() -> None:
    builder = sealed(2)
    end = builder.history.checkpoints[-1][1]
    by(builder, sealer="sealer-2")
    for shard in range(2):
        builder.record(shard, said("operator", "retire", KEY["sealer"]))
    builder.seal()
    report = judged(builder, ending(builder.history.log, end))
    assert (report.failures, report.exit_code) == ((), 0)


def test_a_history_that_leaves_the_retirement_out_fails_under_the_end_alone() -> None:
    """The thief has the store too: he drops what came after the second round, and seals a third one of his own."""
    builder = sealed(3)
    end = builder.history.checkpoints[-4][1]
    assert (end, judged(builder).integrity) == (5, "pass")
    report = judged(builder, ending(builder.history.log, end))
    assert (report.integrity, report.exit_code) == ("fail", 1)
    assert {(one.step, one.index) for one in report.failures} >= {(1, 7)}
    assert report.root_size == 5, "what the key signed while it was its owner's is judged"


def test_a_leaf_that_a_key_signed_after_its_end_fails_under_whatever_root() -> None:
    builder = sealed(2)
    by(builder, sealer="sealer")
    for shard in range(2):
        builder.seal_record(shard, builder.epochs[shard])
        builder._leaf(builder._sign(builder.history.log.origin(shard), builder._trees[shard]))
    by(builder, sealer="sealer-2")._sign(builder.history.log.root_origin, builder._root)
    assert judged(builder).integrity == "pass"
    report = judged(builder, ending(builder.history.log, 5))
    assert [(one.step, one.index) for one in report.failures if one.step == 2 and one.index in (5, 6)] != []


def test_a_note_after_the_end_is_neither_kept_nor_vouched_for(tmp_path: Path) -> None:
    log = ending(rotating(2).history.log, 5)
    for size, good in ((5, True), (6, False)):
        note = sign_checkpoint(Checkpoint(log.root_origin, size, bytes(32)), private_key("sealer"))
        if good:
            assert open_kept(tmp_path, note, log).checkpoint.size == vouch(note, log).size == 5
            continue
        with pytest.raises(UnusableNote, match="no signature of a key that is trusted"):
            open_kept(tmp_path, note, log)
        with pytest.raises(VerificationError):
            vouch(note, log)


@pytest.mark.parametrize(
    "text", ["", "x 5", f"{KEY['sealer']}", f"{KEY['sealer']} -1", f"{KEY['sealer']} 05", "0123456789abcdef 5", f"{KEY['operator']} 5"]
)
def test_an_end_that_says_nothing_is_a_mistake_that_is_told(text: str) -> None:
    log = replace(rotating().history.log, sealer_ends=(text,))
    with pytest.raises(SettingsError, match="sealer_ends"):
        sealer_ends(log)
    with pytest.raises(SettingsError, match="sealer_ends"):
        judged(rotating(), log)

"""Pinned keys that fit nothing: one sentence with both readings, and a failure: nobody may take replaced checkpoints for a slip."""

from dataclasses import replace

import pytest
from tests.support.history import History, HistoryBuilder, make_history, private_key, public_bytes
from tests.support.history_source import MemorySource
from tests.support.tampering import rewrite_and_sign_with_another_key

from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.keys import key_id
from tallystick_schemas.notes import parse_note
from tallystick_schemas.settings import LogSettings

THIEF = public_bytes(private_key("thief"))


def judged(history: History, log: LogSettings | None = None) -> Report:
    return verify_source(MemorySource(history), log or history.log, history.now)


def sentence(report: Report) -> str:
    """The one failure of a history that the pinned keys cannot judge; it never passes."""
    assert (report.exit_code, report.integrity, report.completeness) == (1, "fail", "unknown")
    assert (len(report.failures), report.failure_count) == (1, 1)
    assert report.to_json()["error"] == report.failures[0].reason
    assert report.to_json()["exit"] == 1
    return report.failures[0].reason


def test_a_mistyped_sealer_key() -> None:
    history = make_history()
    said = sentence(judged(history, replace(history.log, sealer_keys=(THIEF,))))
    note = next(row[3] for row in history.checkpoints if row[0] == history.log.root_origin)
    assert f"pinned sealer key {key_id(THIEF)}" in said
    assert f"name key {parse_note(note).signatures[0].key_hash.hex()}, which proves nothing" in said
    assert "Either [log] sealer_keys is wrong, or all checkpoints were replaced" in said


def test_all_checkpoints_replaced_is_told_as_the_same_ambiguity() -> None:
    history = make_history()
    rewrite_and_sign_with_another_key(history)
    assert "or all checkpoints were replaced" in sentence(judged(history))


def test_one_checkpoint_that_holds_makes_it_no_question_of_settings() -> None:
    history = make_history()
    kept = next(row for row in history.checkpoints if row[0] == history.log.origin(1))
    rewrite_and_sign_with_another_key(history)
    history.checkpoints.append(kept)
    report = judged(history)
    assert (report.exit_code, report.integrity) == (1, "fail")


def test_a_forged_signature_in_the_pinned_keys_name_is_no_question_of_settings() -> None:
    history = make_history()
    history.checkpoints = [(o, s, r, n.replace(f"\n{s}\n".encode(), f"\n{s + 1}\n".encode())) for o, s, r, n in history.checkpoints]
    history.root_leaves = history.root_leaves[:1]
    report = judged(history)
    assert (report.exit_code, report.integrity, report.unjudged) == (1, "fail", "")


@pytest.mark.parametrize("pinned", ["sealer", "thief"])
def test_a_wrong_name_of_the_deployment(pinned: str) -> None:
    history = make_history()
    log = replace(history.log, deployment="tset", sealer_keys=(public_bytes(private_key(pinned)),))
    said = sentence(judged(history, log))
    assert "no checkpoint is of the deployment 'tset'; the history names itself test" in said
    assert ("is signed by the pinned sealer key." in said) == (pinned == "sealer")
    assert "Either [log] deployment is wrong, or another history was put here" in said


def test_a_mistyped_operator_key() -> None:
    history = make_history()
    said = sentence(judged(history, replace(history.log, operator_keys=(THIEF,))))
    assert f"pinned operator key {key_id(THIEF)}" in said
    assert f"name key {key_id(history.log.operator_keys[0])}, which proves nothing" in said
    assert "Either [log] operator_keys is wrong, or the history was made with another operator's key" in said


def test_tampering_beside_a_wrong_operator_key_is_a_failure() -> None:
    history = make_history()
    del history.events[0]
    report = judged(history, replace(history.log, operator_keys=(THIEF,)))
    assert (report.exit_code, report.integrity, report.failure_count) == (1, "fail", 2)


def test_a_second_operator_that_is_not_pinned_is_a_failure() -> None:
    builder = HistoryBuilder(2)
    builder.folds[1].parameters.operators[key_id(THIEF)] = THIEF
    builder.operator = private_key("thief")
    builder.enrol("mole", 1)
    builder.seal()
    report = judged(builder.history)
    assert (report.exit_code, report.integrity) == (1, "fail")
    assert [(failure.step, failure.shard, failure.index) for failure in report.failures] == [(5, 1, 1)]
    assert "unknown-key" in report.failures[0].reason


def test_an_erasure_under_a_wrong_operator_key_is_one_sentence_too() -> None:
    builder = HistoryBuilder(1)
    builder.segment(builder.enrol("gw", 0), 2)
    builder.erase(0, [(2, 0)])
    builder.seal()
    history = builder.history
    history.events = [(s, i, pos, b"" if (i, pos) == (2, 0) else raw, leaf) for s, i, pos, raw, leaf in history.events]
    assert judged(history).exit_code == 0
    sentence(judged(history, replace(history.log, operator_keys=(THIEF,))))


def test_no_key_is_a_mistake_of_the_settings_with_its_mend() -> None:
    history = make_history()
    with pytest.raises(SettingsError) as told:
        judged(history, replace(history.log, sealer_keys=(), operator_keys=()))
    assert [mistake.split(" pins no key: put in the ")[0] for mistake in told.value.mistakes] == [
        "[log] sealer_keys",
        "[log] operator_keys",
    ]
    assert "64 hex digits" in told.value.mistakes[0]


def test_nothing_sealed_yet_is_unknown() -> None:
    history = HistoryBuilder(1).history
    report = judged(history)
    assert (report.exit_code, report.unjudged) == (2, "")


def test_a_key_that_was_copied_by_half_is_refused_and_not_taken_for_a_replaced_history() -> None:
    history = make_history()
    with pytest.raises(SettingsError, match="sealer_keys has a key of 2 bytes"):
        judged(history, replace(history.log, sealer_keys=(b"\x3d\x40",)))


def test_completeness_does_not_pass_where_an_entry_is_gone() -> None:
    history = make_history()
    history.entries.remove(next(row for row in history.entries if row[:2] == (0, 2)))
    report = judged(history)
    assert (report.integrity, report.completeness) == ("fail", "unknown")

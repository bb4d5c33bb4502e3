"""Notes that an auditor kept: today's history extends each of them, or integrity fails with both roots; and the file is never left half."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.history import History, HistoryBuilder, make_history, private_key, rewrite_tail
from tests.support.history_source import MemorySource
from tests.support.tampering import rewrite_and_sign_with_another_key

import tallystick_audit.verify as verify_package
from tallystick_audit.errors import UnusableNote
from tallystick_audit.notes import kept_to_extend, open_kept, read_note, save_note
from tallystick_audit.verify import Report
from tallystick_audit.verify.history import verify_source
from tallystick_audit.verify.kept import Kept
from tallystick_infra.cli import cli
from tallystick_infra.cli import common as cli_common
from tallystick_infra.deployment import Deployment
from tallystick_schemas.checkpoints import Checkpoint, sign_checkpoint
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.merkle import Frontier


def kept(history: History, *, root: bool = True) -> list[Kept]:
    """Every checkpoint that was ever published of the root log, or of the shards."""
    rows = [row for row in history.checkpoints if (row[0] == history.log.root_origin) == root]
    return [Kept(f"{row[0]}-{row[1]}", Checkpoint(*row[:3])) for row in rows]


def judged(history: History, notes: list[Kept]) -> Report:
    return verify_source(MemorySource(history), history.log, history.now, notes)


def sign(origin: str, size: int, root: bytes, key: str = "sealer") -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, root), private_key(key))


def test_a_true_history_extends_all_that_it_said() -> None:
    history = make_history()
    empty = [Kept("empty", Checkpoint(name, 0, Frontier().root)) for name in (history.log.root_origin, history.log.origin(0))]
    assert judged(history, kept(history) + kept(history, root=False) + empty).exit_code == 0


@pytest.mark.parametrize("origin", ["test/root", "test/shard/0", "test/shard/1"])
@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_another_root_at_a_size_is_a_failure(origin: str, size: int) -> None:
    report = judged(make_history(), [Kept("old.note", Checkpoint(origin, size, b"\xaa" * 32))])
    assert (report.exit_code, report.integrity, report.failure_count) == (1, "fail", 1)
    failure = report.failures[0]
    shard = int(origin[-1]) if "shard" in origin else None
    assert (failure.step, failure.shard) == (2 if shard is None else 3, shard)
    assert f"the first {size} leaves of today's history have root " in failure.reason
    assert f"the note kept in old.note, which says {size} leaves with root {'aa' * 32}" in failure.reason


@pytest.mark.parametrize("root", [True, False])
def test_a_history_set_back_to_an_earlier_time_is_a_failure(root: bool) -> None:
    """Everything that is there is signed by the right key: only who kept a note can tell."""
    today, earlier = make_history(rounds=3), make_history(segments=4, rounds=2)
    assert verify_source(MemorySource(earlier), earlier.log, earlier.now).exit_code == 0
    report = judged(earlier, kept(today, root=root)[-1:])
    newest = kept(earlier)[-1].checkpoint
    assert (report.exit_code, report.integrity) == (1, "fail")
    if root:
        assert f"today's history has {newest.size} leaves with root {newest.root.hex()}" in report.failures[0].reason


def test_a_past_made_anew_with_the_sealers_key_is_a_failure() -> None:
    true = make_history()
    other = HistoryBuilder(2)
    team = [other.enrol(f"agent-{number}", number % 2) for number in range(3)]
    for _ in range(3):
        for agent in team:
            other.segment(agent, 5)
        other.seal()
    assert judged(other.history, []).exit_code == 0
    report = judged(other.history, kept(true) + kept(true, root=False))
    assert report.integrity == "fail"
    assert {failure.step for failure in report.failures} == {2, 3}


def test_a_kept_note_shows_that_replaced_checkpoints_are_no_typing_mistake() -> None:
    history = make_history()
    notes = kept(history)[:1] + kept(history, root=False)[:1]
    rewrite_and_sign_with_another_key(history)
    report = judged(history, notes)
    assert (report.exit_code, report.integrity, report.unjudged, report.failure_count) == (1, "fail", "", 3)


def test_missing_entries_leave_no_kept_note_unproven() -> None:
    history = make_history()
    notes = kept(history, root=False)[-2:]
    history.entries = [row for row in history.entries if row[1] != 1]
    reasons = [failure.reason for failure in judged(history, notes).failures]
    assert sum("does not extend the note kept in" in reason and "1 of its leaves could be computed" in reason for reason in reasons) == 2


def test_the_report_says_what_was_verified_and_with_which_keys() -> None:
    history = make_history()
    whole = judged(history, []).to_json()
    newest = max((row for row in history.checkpoints if row[0] == history.log.root_origin), key=lambda row: row[1])
    assert (whole["root_hash"], whole["note"], whole["deployment"]) == (newest[2].hex(), newest[3].decode(), "test")
    assert (len(whole["keys"]["sealer"][0]), len(whole["keys"]["operator"][0]), whole["at"][:10]) == (16, 16, "2026-11-23")
    assert json.loads(json.dumps(whole)) == whole | {"failures": [], "forks": []}


def test_files_that_are_no_kept_note(tmp_path: Path) -> None:
    log, path = make_history().log, tmp_path / "a.note"
    for raw, reason in (
        (b"nonsense", "a note has a text"),
        (sign("other/root", 1, bytes(32)), "no log of the deployment 'test'"),
        (sign("test/root", 1, bytes(32), "thief"), "no signature of a key that is trusted"),
    ):
        with pytest.raises(UnusableNote, match=reason) as told:
            open_kept(path, raw, log)
        assert told.value.exit_code == 3
    with pytest.raises(UnusableNote, match="No such file"):
        read_note(path)
    with pytest.raises(SettingsError, match="sealer_keys"):
        open_kept(path, b"", replace(log, sealer_keys=()))
    path.write_bytes(sign("test/shard/0", 1, bytes(32)))
    with pytest.raises(UnusableNote, match="a root note is not saved over it"):
        kept_to_extend(path, log)


def test_a_note_is_saved_whole_and_not_over_a_stranger(tmp_path: Path) -> None:
    path = tmp_path / "root.note"
    save_note(path, b"one", None)
    with pytest.raises(UnusableNote, match="changed while"):
        save_note(path, b"two", None)
    save_note(path, b"two", b"one")
    assert (path.read_bytes(), [p.name for p in tmp_path.iterdir()]) == (b"two", ["root.note"])
    with pytest.raises(UnusableNote, match="was not saved"):
        save_note(tmp_path / "nowhere" / "root.note", b"one", None)


class Auditor:
    """`tallystick audit verify` over a made history."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.history, self._directory = make_history(), directory
        log = self.history.log
        section = {
            "deployment": "test",
            "shards": 2,
            "operator_keys": [log.operator_keys[0].hex()],
            "sealer_keys": [log.sealer_keys[0].hex()],
        }
        Deployment.create(directory / "audit", {"log": section})
        monkeypatch.setattr(cli_common, "knock", lambda *_: None)
        monkeypatch.setattr(verify_package, "verify_history", self._verify)

    def _verify(self, _clickhouse: object, log: object, _now: float, _progress: object, kept: list[Kept], definitions: list[str]) -> Report:
        return verify_source(MemorySource(self.history), log, self.history.now, kept)

    def __call__(self, *arguments: str) -> tuple[object, str, str]:
        command = ["audit", "verify", "--data", str(self._directory / "audit"), *arguments]
        done = CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)
        return done.return_value, done.stdout, done.stderr


def test_the_command_keeps_a_note_and_compares_with_it_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor, note = Auditor(tmp_path, monkeypatch), tmp_path / "root.note"
    today = auditor.history
    auditor.history = make_history(segments=4, rounds=2)
    code, stdout, _ = auditor("--save-note", str(note), "--json")
    assert (code, note.read_text()) == (0, json.loads(stdout)["note"])
    old = note.read_bytes()
    auditor.history = today
    shard = tmp_path / "shard.note"
    shard.write_bytes(next(row[3] for row in today.checkpoints if row[0] == "test/shard/1"))
    (tmp_path / "seen.note").write_bytes(old)
    code, stdout, stderr = auditor("--save-note", str(note), "--seen", str(tmp_path / "seen.note"), "--seen", str(shard), "--json")
    assert (code, note.read_text()) == (0, json.loads(stdout)["note"])
    assert note.read_bytes() != old
    assert f"the root note of {json.loads(stdout)['root_size']} leaves is kept in {note}" in stderr


def test_the_command_leaves_the_old_note_when_the_history_went_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor, note = Auditor(tmp_path, monkeypatch), tmp_path / "root.note"
    assert auditor("--save-note", str(note))[0] == 0
    old = note.read_bytes()
    auditor.history = make_history(segments=4, rounds=2)
    code, stdout, stderr = auditor("--save-note", str(note), "--json")
    assert (code, note.read_bytes(), json.loads(stdout)["integrity"]) == (1, old, "fail")
    assert f"the note {note} was not saved: integrity is fail" in stderr
    assert auditor("--seen", str(note))[0] == 1


def test_a_tail_rewritten_under_a_kept_note_fails_and_nothing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor, note = Auditor(tmp_path, monkeypatch), tmp_path / "root.note"
    rewrite_tail(auditor.history, 0, 10)
    assert auditor("--save-note", str(note))[0] == 1
    assert not note.exists()

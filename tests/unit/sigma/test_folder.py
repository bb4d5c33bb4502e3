"""Rules in force: files that come, change, break and go, while the stream goes on."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.sigma import SHIPPED

from tallystick_stream_jobs.policy import Reloader
from tallystick_stream_jobs.sigma import folder as module
from tallystick_stream_jobs.sigma.folder import RuleFolder
from tallystick_stream_jobs.triage.desk import Desk, open_desk

GOOD = (SHIPPED / "scripted_client.yml").read_text()


def settle(folder: RuleFolder, now: float) -> bool:
    """Look, and let the compiler finish."""
    if folder.check(now):
        return True
    folder._worker.submit(int).result()
    return folder.check(now)


def test_files_come_change_break_and_go(tmp_path: Path) -> None:
    own = RuleFolder(tmp_path / "rules")
    assert (own.rules, settle(own, 1)) == ((), False)
    (tmp_path / "rules").mkdir()
    file = tmp_path / "rules" / "one.yml"
    file.write_text(GOOD)
    assert settle(own, 2)
    assert [rule.meta.id for rule in own.rules] == ["U-6b2e4081"]
    assert not settle(own, 3)
    version = own.rules[0].meta.version
    file.write_text(GOOD.replace("curl|wget", "curl|wget|aria2"))
    assert settle(own, 4)
    assert own.rules[0].meta.version != version
    file.write_text("title: [")
    assert settle(own, 5)
    assert (own.rules, [error.part for error in own.errors]) == ((), ["line 1"])
    file.unlink()
    assert settle(own, 6)
    assert (own.errors, own.texts) == ((), {"rules-one.yml": None})


def test_a_folder_that_cannot_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    own = RuleFolder(tmp_path)
    assert own.rules == ()
    assert [(error.part, error.reason) for error in own.errors] == [("the folder", "it cannot be read: Permission denied")]


def test_it_looks_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = RuleFolder(tmp_path)
    looks: list[Path] = []
    monkeypatch.setattr(module, "_stamps", lambda path: looks.append(path) or {})
    for now in (5.0, 5.2, 5.9, 6.1):
        own.check(now)
    assert len(looks) == 2


def test_the_desk_has_both_kinds_and_tells_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    desk = open_desk(str(tmp_path / "detection.yaml"), str(tmp_path / "jobs"), None)
    built_in = {rule.meta.id for rule in desk.rules()}
    assert "D01" in built_in
    (tmp_path / "rules" / "one.yml").write_text(GOOD)
    assert desk._own is not None
    own = desk._own
    assert not desk.check(1.0)
    own._worker.submit(int).result()
    assert desk.check(1.0)
    assert {rule.meta.id for rule in desk.rules()} - built_in == {"U-6b2e4081"}
    assert {rule.meta.id for rule in Desk(Reloader(tmp_path / "detection.yaml", tmp_path / "jobs"), None).rules()} == built_in


def test_a_deployment_without_rules_needs_neither_pysigma_nor_re2(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tallystick_stream_jobs.triage.desk import open_desk; "
        f"open_desk({str(tmp_path / 'detection.yaml')!r}, {str(tmp_path)!r}, None); "
        "sys.exit(bool({'sigma', 're2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

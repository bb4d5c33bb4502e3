"""Where a deployment may be made: an empty or a new directory, and a sentence for everything else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick_infra.cli import main
from tallystick_infra.deployment import Deployment
from tallystick_infra.errors import NotMade, NotOurs, NotWritable
from tallystick_infra.supervisor import Supervisor

NOBODY = 65534


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, capsys.readouterr().err


def test_a_directory_that_holds_something_else_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["Makefile", "README.md", "docs", "setup.py", "src"]
    for name in names:
        (tmp_path / name).write_text("ours")
    code, said = ended(["up", "--data", str(tmp_path)], capsys)
    assert (code, said.count("\n")) == (3, 1)
    assert f"{tmp_path} is no deployment and holds Makefile, README.md, docs and 2 more; nothing was made there" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_an_interrupted_making_is_gone_on_with(tmp_path: Path) -> None:
    made = Deployment.create(tmp_path / "d", {})
    key = made.agent_key("cli").read_bytes()
    (made.path / "tallystick.toml").rename(made.path / ".tallystick.toml.new")
    assert Deployment.create(tmp_path / "d", {}).agent_key("cli").read_bytes() == key


def test_what_an_operator_lays_out_beforehand_is_no_hindrance(tmp_path: Path) -> None:
    for folder in ("artifacts/models/m", "rules", "lost+found"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "detection.yaml").write_text("# ours\n")
    Deployment.create(tmp_path, {})
    (tmp_path / "x/y").mkdir(parents=True)
    Deployment.create(tmp_path, {})
    with pytest.raises(NotOurs, match="holds y; nothing"):
        Deployment.create(tmp_path / "x", {})


@pytest.mark.parametrize("place", ["/proc/x", "file/d", "n" * 300])
def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / place
    code, said = ended(["up", "--data", str(path)], capsys)
    assert (code, said.count("\n")) == (3, 1)
    assert f"no deployment can be made in {path}: " in said
    with pytest.raises(NotMade):
        Deployment.create(path, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("inner", ["d", "d/new"])
def test_a_directory_of_another_user_is_one_sentence(tmp_path: Path, inner: str) -> None:
    if inner == "d":
        Deployment.create(tmp_path / "d", {})
    else:
        (tmp_path / "d").mkdir(mode=0o700)
    program = f"import os, sys; from tallystick_infra.cli import main, up; os.setuid({NOBODY}); main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "up", "--data", str(tmp_path / inner)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode not in (0, 1)
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_takes_no_writes_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    supervisor = Supervisor(deployment, [])
    shutil.rmtree(deployment.path)  # what a disk that is mounted read-only says, tests that run as root cannot see
    with pytest.raises(NotWritable, match=f"nothing can be written in {deployment.path}: "):
        supervisor.start()
    assert not deployment.path.exists()

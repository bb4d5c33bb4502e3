"""The Makefile: standard output is the command's alone, and whoever waits is told for what. With stand-ins for Python, pip and the command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[3] / "Makefile"
PIP = '#!/bin/sh\necho "$@" >> steps\necho "pip was here"\necho "pip was here" >&2\n'
COMMAND = '#!/bin/sh\necho "{\\"asked\\": \\"$*\\"}"\n'
PYTHON = '#!/bin/sh\nif [ "$1" = -m ]; then mkdir -p .venv/bin; cp pip .venv/bin/python; cp command .venv/bin/tallystick; fi\n'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(MAKEFILE, tmp_path)
    for name, text in (("pip", PIP), ("command", COMMAND), ("python", PYTHON)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "PYTHON=./python", *arguments], cwd=checkout, env=clean, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("target", ["demo", "bench"])
def test_standard_output_is_the_commands_alone(checkout: Path, target: str) -> None:
    first = make(checkout, target, "ARGS=--headless --json")
    assert first.stdout == f'{{"asked": "{target} --headless --json"}}\n'
    assert "pip was here" in first.stderr
    again = make(checkout, target, "ARGS=--headless --json")
    assert (again.stdout, again.stderr) == (first.stdout, "")


@pytest.mark.parametrize(("given", "asked"), [((), ""), (("ADVISORIES=a b.zip", "ARGS=--json"), " --advisories a b.zip --json")])
def test_an_audit_asks_what_it_is_given(checkout: Path, given: tuple[str, ...], asked: str) -> None:
    make(checkout, "audit", *given)
    assert (checkout / "steps").read_text().splitlines()[-1].rstrip() == f"-m tallystick_infra.supply{asked}"


def test_who_installs_is_told_what_comes_before_the_first_package(checkout: Path) -> None:
    said = make(checkout, "install").stderr.splitlines()
    assert "minutes" in said[0]
    assert said[1] == "pip was here"
    steps = (checkout / "steps").read_text().splitlines()
    assert [step.split()[:3] for step in steps] == [
        ["-m", "pip", "install"],
        ["-m", "pip", "install"],
        ["-m", "tallystick_infra.compiling"],
    ]

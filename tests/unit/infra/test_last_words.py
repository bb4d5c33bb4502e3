"""What `up` tells of a part that ended."""

import subprocess
from pathlib import Path

import pytest

from tallystick_infra.processes import Child
from tallystick_infra.supervisor.run import _reason


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (
            1,
            "2026-11-29 13:11:24,255 sealer CRITICAL tallystick_stream_jobs.shell.runner: sealer stops: shard 0 parts from what was signed\n\n",
            "sealer stops: shard 0 parts from what was signed; exit code 1, see sealer.log",
        ),
        (3, "Traceback\nValueError: no\n", "ValueError: no; exit code 3, see sealer.log"),
        (0, "x: served\nx: Task <Task> ran for 0.335s, blocking the event loop\n" * 2, "x: served; exit code 0, see sealer.log"),
        (2, "", "it says nothing; exit code 2, see sealer.log"),
        (-9, "task: <Task pending>\n", "killed by signal 9"),
        (137, "task: <Task pending>\n", "killed by signal 9"),
    ],
)
def test_who_gave_up_says_why_and_who_was_killed_does_not(tmp_path: Path, code: int, log: str, said: str) -> None:
    path = tmp_path / "sealer.log"
    path.write_text(log)
    process = subprocess.Popen(["true"])
    process.wait()
    process.returncode = code
    assert _reason(Child("sealer", process, -1, path)) == said

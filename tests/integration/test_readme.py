"""README's code runs as it stands there: against a deployment, by an agent that was enrolled with README's command."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.deployment import check_history, cli, ids_in_history, running

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]
README = (Path(__file__).parents[2] / "README.md").read_text()


def test_record_an_event_in_five_lines(tmp_path):
    block = re.search(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line]) == 5
    assert "tallystick agent enrol trainer" in README
    with running(tmp_path / "data", ["notary", "sealer"], ()) as supervisor:
        cli(supervisor, "agent", "enrol", "trainer")
        done = subprocess.run(
            [sys.executable, "-c", block[1]],
            env={**os.environ, "TALLYSTICK_DATA": str(supervisor.deployment.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        deadline = time.monotonic() + 30
        while not ids_in_history(supervisor, "alice@example.org"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(ids_in_history(supervisor, "alice@example.org")) == 1
        check_history(supervisor)

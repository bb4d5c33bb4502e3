"""The product's main job, as a newcomer runs it: real Kafka, real ClickHouse engine, real HTTP clients."""

import json
import os
import subprocess
import sys
import uuid

import psutil
import pytest

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(240)]


def test_the_thief_is_stopped_and_the_history_proves_it():
    command = [sys.executable, "-m", "tallystick_infra.cli", "demo", "--headless", "--json"]
    mark = {"TALLYSTICK_TEST_RUN": uuid.uuid4().hex}  # other tests' processes may run beside: ours are those that inherit this
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False, env={**os.environ, **mark})
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["stopped"] is True
    assert figures["verdicts"] == {"integrity": "pass", "completeness": "pass", "freshness": "pass"}
    assert 0 < figures["thief_parts"] < figures["parts"]
    assert figures["thief_bytes"] > 0
    assert figures["emit_to_denied_ms"] > 0
    assert figures["events"] > figures["parts"]
    assert "startup_s" in figures
    assert [p for p in psutil.process_iter(["environ"]) if mark.items() <= (p.info["environ"] or {}).items()] == []

"""The product's main job, as a newcomer runs it: real Kafka, real ClickHouse engine, real HTTP clients."""

import json
import subprocess
import sys

import psutil
import pytest

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]


def test_the_thief_is_stopped_and_the_history_proves_it():
    command = [sys.executable, "-m", "tallystick_infra.cli", "demo", "--headless", "--json"]
    before = {process.pid for process in psutil.process_iter()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["stopped"] is True
    assert figures["verdicts"] == {"integrity": "pass", "completeness": "pass", "freshness": "pass"}
    assert 0 < figures["thief_parts"] < figures["parts"]
    assert figures["thief_bytes"] > 0
    assert figures["emit_to_denied_ms"] > 0
    assert figures["events"] > figures["parts"]
    assert "startup_s" in figures
    ours = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before and "tallystick_infra" in " ".join(p.info["cmdline"] or [])]
    assert ours == []

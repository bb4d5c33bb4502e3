"""`tallystick bench`: what it says is there, and what it starts goes with it."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tallystick_infra.bench.load import driving, results
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import make_key
from tallystick_infra.processes import Child

BENCH = [sys.executable, "-m", "tallystick_infra.cli", "bench"]
PATIENCE_S = 30


def of_run(mark: dict[str, str]) -> list[psutil.Process]:
    """Processes that inherited the mark."""
    return [one for one in psutil.process_iter(["environ"]) if mark.items() <= (one.info["environ"] or {}).items()]


@contextmanager
def bench(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command at work in a scratch folder of its own; nothing of it outlives the test."""
    mark = {"TALLYSTICK_TEST_RUN": uuid.uuid4().hex}
    env = {**os.environ, **mark, "TMPDIR": str(folder)}
    process = subprocess.Popen([*BENCH, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        yield process, mark
    finally:
        for left in of_run(mark):
            left.kill()
        process.communicate()


@pytest.mark.embedded
@pytest.mark.alone
@pytest.mark.timeout(240)
def test_a_small_ingest_loses_nothing_and_tells_the_keys_of_its_contract(tmp_path):
    with bench(tmp_path, "ingest", "--events", "3200", "--json") as (process, mark):
        out, err = process.communicate(timeout=220)
        assert process.returncode == 0, err[-3000:]
        figures = json.loads(out.splitlines()[-1])
        assert (figures["events"], figures["lost"]) == (3200, 0)
        assert figures["detected_events"] >= 3200
        assert {"seconds", "events_per_s", "cpu_us_per_event", "rss_mib", "machine"} <= figures.keys()
        assert figures["cpu_us_per_event"]["drivers"] > 0
        assert of_run(mark) == []
    assert list(tmp_path.glob("tallystick-bench-*")) == []


def begun(driver: Child, spool: Path) -> list[psutil.Process]:
    """The guard and what it guards, once that records."""
    deadline = time.monotonic() + PATIENCE_S
    while not spool.exists():
        assert driver.poll() is None, driver.log.read_text()
        assert time.monotonic() < deadline, "it does not begin"
        time.sleep(0.05)
    guard = psutil.Process(driver.pid)
    return [guard, *guard.children(recursive=True)]


def test_load_ends_with_the_measurement_however_that_ends(tmp_path):
    deployment = Deployment.create(tmp_path / "data", {"kafka": {"bootstrap": "127.0.0.1:1"}})
    make_key(deployment.agent_key("a"))
    deployment.broker_users.admit("a", point=False)
    supervisor = SimpleNamespace(deployment=deployment)
    with suppress(KeyboardInterrupt), driving(supervisor, 1_000_000, 10, ["a"], 1) as [driver]:
        family = begun(driver, tmp_path / "data" / "spool" / "a")
        raise KeyboardInterrupt
    assert len(family) > 1
    assert psutil.wait_procs(family, timeout=20)[1] == []


def test_a_load_process_that_fails_is_told_with_its_last_words(tmp_path):
    nowhere = SimpleNamespace(deployment=SimpleNamespace(path=tmp_path / "nothing"))
    with (
        driving(nowhere, 10, 0, ["a", "b"], 2) as drivers,
        pytest.raises(RuntimeError, match=r"driver 0 ended with exit code 1: .*nothing"),
    ):
        results(drivers)
    assert all(driver.poll() is not None for driver in drivers)

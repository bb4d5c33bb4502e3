"""A deployment under faults that last: the store away for a minute, no room for the spool, wrong clocks, a copied key."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.deployment import check_exactly_once, check_history, cli, ids_in_history, record, running, wait_confirmed

from tallystick_producers import Recorder

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
AWAY_S = 60.0


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    parts = ["notary", "detectors", "responder", "sealer"]
    with running(tmp_path_factory.mktemp("faults"), parts, ("one", "two", "full", "early", "late", "copied")) as started:
        yield started


def test_a_store_that_is_away_for_a_minute_delays_and_loses_nothing(supervisor):
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        ids = record(recorder, 200, "away")
        wait_confirmed(supervisor, recorder)
        os.killpg(supervisor.children["clickhouse"].pid, signal.SIGKILL)
        back = time.monotonic() + AWAY_S
        while time.monotonic() < back:  # nobody starts it again meanwhile
            ids += record(recorder, 10, "away")
            time.sleep(0.2)
        assert recorder.stats().waiting
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "away@example.org")
    check_history(supervisor)


FULL = """
import resource, sys, time
from pathlib import Path
from tallystick_infra.deployment import Deployment
from tallystick_producers import Actor, Recorder, Resource, SpoolFailed

def one(recorder):
    return recorder.record("artifact.read", actor=Actor("full@example.org", "human"), resource=Resource("model", "m" * 5000), durable=True)

recorder = Recorder.open(Deployment.open(Path(sys.argv[1])).agent("full"))
promised, refused = [one(recorder)], 0
# Files may not grow any more: what a full disk looks like to one process.
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
for _ in range(1000):
    try:
        promised.append(one(recorder))
    except SpoolFailed as error:
        refused, said = refused + 1, str(error)
        if refused == 3:
            break
assert refused == 3, "the disk never refused"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
deadline = time.monotonic() + 30
while True:
    try:
        promised.append(one(recorder))
        break
    except SpoolFailed:
        assert time.monotonic() < deadline
        time.sleep(0.1)
recorder.wait_receipts(60)
recorder.close()
print(said)
print(" ".join(promised))
"""


def test_a_full_disk_is_said_to_the_caller_and_what_was_promised_is_kept(supervisor):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(supervisor.deployment.path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said, promised = done.stdout.splitlines()
    assert "spool.sqlite" in said
    found = ids_in_history(supervisor, "full@example.org")
    assert len(found) == len(set(found))
    # An event whose caller was told of a failure is tried again all the same: it may be there, once.
    assert set(promised.split()) <= set(found)
    assert len(found) - len(promised.split()) <= 3
    check_history(supervisor)


@pytest.mark.parametrize(("agent", "days"), [("late", -1), ("early", 1)])
def test_an_agents_clock_that_is_a_day_off_changes_its_times_and_nothing_else(supervisor, monkeypatch, agent, days):
    true_time, true_ns = time.time, time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: true_time() + days * 86_400)
        patch.setattr(time, "time_ns", lambda: true_ns() + days * 86_400_000_000_000)
        recorder = Recorder.open(supervisor.deployment.agent(agent))
        ids = record(recorder, 300, f"{agent}-wrong")
        recorder.flush()
    with recorder:
        wait_confirmed(supervisor, recorder)
    with Recorder.open(supervisor.deployment.agent(agent)) as recorder:  # the clock is right again
        ids += record(recorder, 300, f"{agent}-wrong")
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, f"{agent}-wrong@example.org")
    check_history(supervisor)


def test_two_agents_with_one_key_are_found(supervisor, tmp_path):
    """A copied key signs runs beside the owner's: both are in the history, and D07a says so."""
    settings = supervisor.deployment.agent("copied")
    thief = dataclasses.replace(settings, spool_dir=str(tmp_path / "thief"))
    with Recorder.open(settings) as owner:
        ids = record(owner, 20, "copied")
        wait_confirmed(supervisor, owner)
        with Recorder.open(thief) as copy:
            ids += record(copy, 20, "copied")
            wait_confirmed(supervisor, copy)
        ids += record(owner, 20, "copied")
        wait_confirmed(supervisor, owner)
    check_exactly_once(supervisor, ids, "copied@example.org")
    deadline = time.monotonic() + 20
    while not (found := [one for one in cli(supervisor, "findings")["findings"] if one["detector"] == "D07a"]):
        assert time.monotonic() < deadline, "no finding of D07a"
        time.sleep(0.2)
    assert "copied" in found[0]["text"]
    check_history(supervisor)

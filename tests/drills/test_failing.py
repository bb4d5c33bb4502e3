"""A drill whose guard is gone fails; and whatever ends it, what it made is removed."""

import os
import signal
import time

import pytest
from tests.support.drilling import POLICY, drill, gone, result_of, start_drill

from tallystick_stream_jobs.responder.client import read_locks

pytestmark = [pytest.mark.embedded, pytest.mark.alone, pytest.mark.timeout(280)]
DECOY = """
title: A decoy is opened
seed: 1
techniques: [T1530]
story: Somebody opens a decoy.
principals: {{eve: {{hostile: true}}}}
resources: {{vault: {{parts: 20, part_bytes: 1024, canary: [decoy.bin]}}}}
needs: [drill-receiver]
steps:
  - {{do: download, who: eve, what: vault, extra: [decoy.bin], pause_s: 0.4}}
expect:
  - {{see: finding, detector: D13, of: eve, within_s: {finding}}}
  - {{see: lock, of: eve, within_s: {lock}}}
  - {{see: refused, of: eve, within_s: {refused}}}
  - {{see: probe, of: eve, within_s: {probe}}}
  - {{see: delivery, connector: drill-receiver, of: eve, within_s: {delivery}}}
must_not: {must_not}
settle_s: 1
"""


def decoy(folder, met=(True,) * 5, must_not="[]"):
    """A scenario of somebody's own, as a file. What cannot come, with its part gone, is waited for as long as it takes at other times, twice."""
    within = {kind: 14 if comes else 6 for kind, comes in zip(("finding", "lock", "refused", "probe", "delivery"), met, strict=True)}
    path = folder / "decoy.yaml"
    path.write_text(DECOY.format(must_not=must_not, **within))
    return str(path)


def kinds_met(result):
    return [mark["met"] for mark in result["grades"]["expected"]]


def test_what_must_not_come_fails_it(supervisor, tmp_path):
    """First of all: it shows that with every part at work all is seen, and the gateway has heard of the responder afterwards."""
    path = decoy(tmp_path, must_not="[{see: lock, of: eve}]")
    code, out, err = drill(supervisor, "run", path, "--headless", "--json")
    result = result_of(out)
    assert (code, kinds_met(result), result["grades"]["must_not"][0]["met"]) == (1, [True] * 5, False), err


@pytest.mark.parametrize(
    ("part", "met"),
    [("responder", [True, False, False, False, False]), ("detectors", [False] * 5), ("outbox", [True, True, True, False, False])],
)
def test_without_a_part_it_fails(supervisor, tmp_path, part, met):
    child = supervisor.children[part]
    os.killpg(child.pid, signal.SIGKILL)
    child.process.wait()
    try:
        code, out, err = drill(supervisor, "run", decoy(tmp_path, met), "--headless", "--json", watch=False)
        assert (code, kinds_met(result_of(out))) == (1, met), err
    finally:
        wait_for(supervisor, lambda: supervisor.children[part].process is not child.process)


def test_a_detector_that_only_observes_locks_nobody(supervisor, tmp_path):
    policy = supervisor.deployment.path / "detection.yaml"
    policy.write_text(POLICY + "  D13: {mode: observe}\n")
    try:
        wait_for(supervisor, lambda: (supervisor.deployment.path / "jobs" / "recorded-detection.yaml").read_text() == policy.read_text())
        code, out, err = drill(supervisor, "run", decoy(tmp_path), "--headless", "--json")
        assert (code, kinds_met(result_of(out))) == (1, [True, False, False, False, False]), err
    finally:
        policy.write_text(POLICY)


def test_ctrl_c_leaves_nothing_behind(supervisor):
    running = start_drill(supervisor, "run", "stolen-token-weight-grab", "--headless")
    wait_for(supervisor, lambda: gone(supervisor))
    second, _, said = drill(supervisor, "run", "stolen-token-weight-grab", "--headless")
    assert (second, "another" in said) == (3, True)
    running.send_signal(signal.SIGINT)
    wait_for(supervisor, lambda: running.poll() is not None)
    assert running.returncode == 130, running.stderr.read()
    assert gone(supervisor) == []


def test_what_a_killed_drill_left_is_cleaned(supervisor):
    running = start_drill(supervisor, "run", "break-glass-misuse", "--headless")
    wait_for(supervisor, lambda: any(str(one).startswith("drill-") for one in gone(supervisor)))
    running.kill()
    running.wait()
    assert "detection.yaml" in gone(supervisor)
    code, _, err = drill(supervisor, "clean")
    assert code == 0, err
    assert gone(supervisor) == []
    assert (supervisor.deployment.path / "detection.yaml").read_text() == POLICY


def test_a_lock_that_came_after_the_end_is_lifted_by_the_next_one(supervisor):
    """The responder that was killed above found the finding when it came back."""
    assert any("drill-" in one.subject for one in read_locks(supervisor.deployment.kafka(), supervisor.deployment.log()))
    assert [
        one.subject
        for one in read_locks(supervisor.deployment.kafka(), supervisor.deployment.log())
        if one.state == "locked" and "drill-" in one.subject
    ] == []


def wait_for(supervisor, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        supervisor.watch()
        assert time.monotonic() < deadline
        time.sleep(0.1)

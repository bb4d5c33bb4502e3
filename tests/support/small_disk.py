"""A program for a mount namespace of its own: a recorder whose spool has a whole disk, of a few megabytes. Prints what happened as JSON.

`python -m tests.support.small_disk FOLDER ROUNDS`: in each round it records until the disk is full, and then the history confirms everything.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.recorder import agent_settings

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.errors import SpoolFailed
from tallystick_producers.spool import Spool

BYTES = 3 << 20
PATIENCE_S = 60.0
WHO, WHAT = Actor("ann@example.org", "human"), Resource("model", "m/" + "x" * 2_000)


def record_until_full(recorder: Recorder) -> tuple[int, str]:
    """How many durable events the disk took, and what was said to the one that it did not take."""
    for number in range(100_000):
        try:
            recorder.record("artifact.read", actor=WHO, resource=WHAT, durable=True)
        except SpoolFailed as error:
            return number, str(error)
    return 100_000, ""


def confirm(spool: Spool) -> None:
    """As the history does, receipt for receipt: whatever waits goes out. As the sender does, again where the disk refuses."""
    deadline = time.monotonic() + PATIENCE_S
    for run, _ in spool.runs():
        for one in spool.waiting(run):
            while True:
                try:
                    spool.finish([(run, one.n)], [])
                    break
                except SpoolFailed:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)


def takes_again(recorder: Recorder) -> bool:
    """Whether a durable event gets in, the writer having had time for what it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            recorder.record("artifact.read", actor=WHO, resource=WHAT, durable=True)
        except SpoolFailed:
            time.sleep(0.05)
        else:
            return True
    return False


def unwritten(recorder: Recorder, other: Spool) -> str:
    """Why what was taken in is not all on disk, the history confirming as it comes; empty when it is."""
    deadline, said = time.monotonic() + PATIENCE_S, "not tried"
    while said and time.monotonic() < deadline:
        confirm(other)
        try:
            recorder.flush(1.0)
        except SpoolFailed as error:
            said = str(error)
        else:
            said = ""
    return said


def main(folder: Path, rounds: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)], check=True)
    settings = dataclasses.replace(agent_settings(folder, when_full="raise"), heartbeat_s=3600.0)
    told: list[dict[str, Any]] = []
    with Recorder.open(settings) as recorder:
        other = Spool(Path(settings.spool_dir))
        for _ in range(rounds):
            taken, said = record_until_full(recorder)
            waiting = sum(1 for run, _ in other.runs() for _ in other.waiting(run))
            confirm(other)
            told.append({"taken": taken, "said": said, "waiting": waiting, "again": takes_again(recorder)})
            confirm(other)
        burst = [recorder.record("artifact.read", actor=WHO, resource=WHAT) for _ in range(3 * BYTES // 2_000)]
        left = unwritten(recorder, other)
        other.close()
    free = os.statvfs(folder)
    print(json.dumps({"rounds": told, "burst": len(burst), "left": left, "free": free.f_bfree * free.f_frsize}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""A deployment for one measurement, and what its processes cost."""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ..admission import admit
from ..built_in import ANYTHING, mandate_of
from ..deployment import Deployment
from ..deployment.keyfiles import make_key
from ..enrolling import enrol_agents
from ..supervisor import Supervisor
from ..supervisor.run import Say

_ROUNDS = 2_000_000
_TABLES: dict[str, dict[str, Any]] = {
    "embedded": {"kafka_port": 0, "controller_port": 0, "clickhouse_port": 0},
    "gateway": {"port": 0},
    "console": {"port": 0},
    "jobs": {"breaker_limit": 1_000_000},
    "agent": {"resend_s": 60.0},
}


@contextmanager
def scratch(say: Say, agents: Sequence[str]) -> Iterator[Supervisor]:
    """All parts running on a directory of their own, with these agents enrolled; nothing is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-bench-"))
    try:
        deployment = Deployment.create(folder, _TABLES)
        with Supervisor(deployment, say=say) as supervisor:
            mandates = {agent: mandate_of(make_key(deployment.agent_key(agent)), scope=ANYTHING) for agent in agents}
            admit(deployment, agents)
            enrol_agents(deployment, mandates, "bench", 60)
            yield supervisor
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def costs(supervisor: Supervisor) -> dict[str, tuple[float, int]]:
    """Process -> (CPU seconds so far, resident bytes), with what it started."""
    found = {}
    for name, child in supervisor.children.items():
        seconds, size = 0.0, 0
        for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)):
            times = process.cpu_times()
            seconds += times.user + times.system
            size += process.memory_info().rss
        found[name] = (seconds, size)
    return found


def machine() -> dict[str, Any]:
    """What it was measured on, and how fast that was just then: where cores are shared, an hour differs from the next by more than any change here."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "loop_ns": round(_loop_ns(), 1),
    }


def _loop_ns() -> float:
    """CPU of one addition in Python: figures of two runs are compared by it."""
    total, began = 0, time.thread_time_ns()
    for number in range(_ROUNDS):
        total += number
    return (time.thread_time_ns() - began) / _ROUNDS


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

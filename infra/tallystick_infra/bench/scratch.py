"""A deployment for one measurement, and what its processes cost."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ..deployment import Deployment
from ..deployment.keyfiles import make_key, read_key
from ..operator import Operator, enrol_agents
from ..supervisor import Supervisor
from ..supervisor.run import Say

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
            publics = {agent: make_key(deployment.agent_key(agent)) for agent in agents}
            enrol_agents(deployment.kafka(), Operator(read_key(deployment.keys / "operator.key")), publics, "bench", 60)
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
    """What it was measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

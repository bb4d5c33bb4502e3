"""Load processes of a benchmark. They are guarded (docs/adr/0008): none outlives the measurement, however that ends."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from ..processes import Child, last_words, spawn, tail
from ..supervisor import Supervisor


@contextmanager
def driving(supervisor: Supervisor, events: int, rate: float, agents: Sequence[str], processes: int) -> Iterator[list[Child]]:
    """Load processes that share the agents, the events and the rate (events a second; 0 is as fast as it goes). What still runs at the end is ended."""
    path = supervisor.deployment.path
    command = [sys.executable, "-m", f"{__package__}.driver", str(path), str(events // processes), str(rate / processes)]
    drivers: list[Child] = []
    try:
        for number in range(processes):
            log = path / "logs" / f"driver-{agents[number]}.log"
            log.unlink(missing_ok=True)
            drivers.append(spawn(f"driver {number}", [*command, *agents[number::processes]], log))
        yield drivers
    finally:
        for driver in drivers:
            if driver.poll() is None:
                driver.kill()
            driver.close()


@contextmanager
def littering(supervisor: Supervisor, bytes_per_s: float, kind: str, agent: str) -> Iterator[Child]:
    """A process that writes garbage to `events` with this agent's password; it is ended with the block."""
    path = supervisor.deployment.path
    log = path / "logs" / "garbage.log"
    log.unlink(missing_ok=True)
    litter = spawn("garbage", [sys.executable, "-m", f"{__package__}.garbage", str(path), str(bytes_per_s), kind, agent], log)
    try:
        yield litter
    finally:
        if litter.poll() is None:
            litter.kill()
        litter.close()


def results(drivers: Sequence[Child], *, early: bool = False) -> list[dict[str, Any]]:
    """What each did, when all are done; `early`: they record no more. RuntimeError with the last words of one that failed."""
    for driver in drivers if early else []:
        driver.terminate()
    return [_result(driver) for driver in drivers]


def _result(driver: Child) -> dict[str, Any]:
    if code := driver.process.wait():
        raise RuntimeError(f"the load process {driver.name} ended with exit code {code}: {last_words(driver.log) or 'it said nothing'}")
    answer: dict[str, Any] = msgspec.json.decode(tail(driver.log))
    return answer

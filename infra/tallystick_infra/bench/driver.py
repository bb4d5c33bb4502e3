"""One load process: `python -m tallystick_infra.bench.driver DATA EVENTS RATE AGENT…`. Ends early on SIGTERM. Prints one JSON object."""

import dataclasses
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from tallystick_producers import Actor, Recorder, Resource, Source, Usage, Why

from ..deployment import Deployment

_ACTORS = [Actor(f"user-{n:04d}@example.org", "human", credential=f"cred-{n:04d}") for n in range(1000)]
_WHY = Why(purpose="evaluation", grant="grant-2026-0042")
_SOURCE = Source(ip="203.0.113.9", user_agent="hf-xet/1.2")
_ATTRS = {"request_id": "0123456789abcdef"}


def _feed(recorder: Recorder, count: int, rate: float, enough: threading.Event) -> int:
    """Events of about 500 bytes, `count` at the most; `rate` a second, 0 as fast as it goes. How many they were."""
    began = time.monotonic()
    for number in range(count):
        if rate and number % 10 == 0:
            if enough.is_set():
                return number
            time.sleep(max(0.0, number / rate - (time.monotonic() - began)))
        recorder.record(
            "artifact.read",
            actor=_ACTORS[number % 1000],
            resource=Resource(
                "model", "models/acme/atlas-7b", version="3", part=f"model-{number % 12:05d}.safetensors", collection="models"
            ),
            why=_WHY,
            usage=Usage(bytes=4096, objects=1, duration_ms=3),
            source=_SOURCE,
            attrs=_ATTRS,
        )
    return count


def main(data: str, events: str, rate: str, *agents: str) -> dict[str, Any]:
    """Record from one thread an agent, wait for the last receipt."""
    deployment = Deployment.open(Path(data))
    # One user for all: agents of one process share a connection where they share a user, as they would in an application.
    kafka = deployment.agent(agents[0]).kafka
    recorders = [Recorder.open(dataclasses.replace(deployment.agent(agent), kafka=kafka)) for agent in agents]
    share = int(events) // len(agents)
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    began = time.time()
    with ThreadPoolExecutor(len(agents)) as pool:
        counts = list(pool.map(lambda recorder: _feed(recorder, share, float(rate) / len(agents), enough), recorders))
    recorded = time.time()
    for recorder in recorders:
        recorder.wait_receipts(900)
    ended = time.time()
    stats = [recorder.stats() for recorder in recorders]
    for recorder in recorders:
        recorder.close()
    cpu = time.process_time()
    return {
        "events": sum(counts),
        "began": began,
        "recorded": recorded,
        "ended": ended,
        "cpu_s": cpu,
        "aside": sum(s.aside for s in stats),
    }


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(main(*sys.argv[1:])).decode() + "\n")

"""`bench orders`: from a person's order to lock to the first denied request, without and with garbage on topic `events`."""

import http.client
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tallystick_producers import Recorder
from tallystick_stream_jobs.responder.client import Ordering, suspend

from ..demo.artifacts import make_artifacts
from ..deployment import read_run
from ..supervisor import Supervisor
from .ingest import AGENTS
from .load import littering, results
from .respond import make_tokens, until
from .scratch import machine, percentile

_PAUSE_S = 0.1
_SETTLES_S = 5.0
"""So long the garbage flows before the first order beside it."""


def orders(supervisor: Supervisor, trials: int, mb_per_minute: float, kind: str) -> dict[str, Any]:
    """Each trial is a fresh credential; half of them without garbage, then half beside it."""
    deployment = supervisor.deployment
    make_artifacts(deployment.path / "artifacts", parts=4, part_bytes=1024)
    run = read_run(deployment.path)
    assert run is not None
    tokens = list(make_tokens(Path(deployment.gateway().tokens_file), 2 * trials).items())
    connection = http.client.HTTPConnection(urlsplit(run.gateway).netloc, timeout=30)
    with Recorder.open(deployment.agent("cli")) as recorder:
        until(connection, tokens[-1][1], 200)
        without = [_trial(recorder, connection, *one) for one in tokens[:trials]]
        with littering(supervisor, mb_per_minute * 1e6 / 60, kind, AGENTS[0]) as litter:
            time.sleep(_SETTLES_S)
            beside = [_trial(recorder, connection, *one) for one in tokens[trials:]]
            [thrown] = results([litter], early=True)
    flowed = thrown["bytes"] / 1e6 / (thrown["ended"] - thrown["began"]) * 60
    return {
        "trials": trials,
        "without_garbage": _figures(without),
        "beside_garbage": _figures(beside),
        "garbage": kind,
        "garbage_mb_per_minute": round(flowed, 1),
        "garbage_records_per_s": round(thrown["records"] / (thrown["ended"] - thrown["began"])),
        "machine": machine(),
    }


def _trial(recorder: Recorder, connection: http.client.HTTPConnection, credential: str, token: str) -> float:
    """Milliseconds from the order, as `tallystick lock` gives it, to the first denial."""
    until(connection, token, 200)
    began = time.time()
    suspend(Ordering(recorder, f"credential:{credential}", "a trial of the benchmark", "bench@example.org"), 60)
    denied = until(connection, token, 403)
    time.sleep(_PAUSE_S)
    return (denied - began) * 1000


def _figures(ms: list[float]) -> dict[str, Any]:
    return {
        "denied": sum(value != float("inf") for value in ms),
        "p50_ms": round(percentile(ms, 0.5), 1),
        "p99_ms": round(percentile(ms, 0.99), 1),
        "most_ms": round(max(ms), 1),
    }

"""`bench respond`: from record() of an event that must lock to the first denied request with that credential, under load."""

import http.client
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect

from tallystick_producers import Actor, Recorder, Resource, Usage
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_stream_jobs.responder.client import read_findings, read_locks

from ..demo.artifacts import MODEL, make_artifacts
from ..deployment import read_run
from ..supervisor import Supervisor
from .ingest import AGENTS
from .load import driving, results
from .scratch import machine, percentile

BACKGROUND = 2000
_PAUSE_S = 0.25
_ASK_S = 0.01
"""Between an answer and the next request. Each request is a decision that is written down: asking without a pause would be a load of its own."""
_GIVE_UP_S = 20.0
_FLOWS_S = 60.0


def respond(supervisor: Supervisor, trials: int) -> dict[str, Any]:
    """Each trial is a fresh principal that reads a decoy (D13) while the background flows, which is said as it was."""
    deployment = supervisor.deployment
    make_artifacts(deployment.path / "artifacts", parts=4, part_bytes=1024)
    run = read_run(deployment.path)
    assert run is not None
    tokens = make_tokens(Path(deployment.gateway().tokens_file), trials)
    longest_s = trials * (_PAUSE_S + _GIVE_UP_S) + _FLOWS_S
    with driving(supervisor, int(BACKGROUND * longest_s), BACKGROUND, AGENTS[:8], processes=1) as drivers:
        began, denied = _trials(supervisor, urlsplit(run.gateway).netloc, tokens)
        [flowed] = results(drivers, early=True)
    figures = _figures(supervisor, began, denied)
    return figures | {"background_events_per_s": round(flowed["events"] / (flowed["recorded"] - flowed["began"]))}


def _trials(supervisor: Supervisor, gateway: str, tokens: dict[str, str]) -> tuple[dict[str, float], dict[str, float]]:
    """Credential -> when the decoy's read was recorded, and when it was denied first; seconds since 1970."""
    began: dict[str, float] = {}
    denied: dict[str, float] = {}
    connection = http.client.HTTPConnection(gateway, timeout=30)
    with Recorder.open(supervisor.deployment.agent("bench-respond")) as recorder:
        until(connection, next(iter(tokens.values())), 200)
        _wait_background(supervisor)
        for credential, token in tokens.items():
            began[credential] = _decoy(recorder, credential)
            denied[credential] = until(connection, token, 403)
            time.sleep(_PAUSE_S)
    return began, denied


def _wait_background(supervisor: Supervisor) -> None:
    """Until a second's worth of the background is in the history: before, its process still starts. RuntimeError when it never comes."""
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    deadline = time.monotonic() + _FLOWS_S
    while client.query("SELECT count() FROM events WHERE purpose = 'evaluation'").result_rows[0][0] < BACKGROUND:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"no background of {BACKGROUND} events came into the history within {_FLOWS_S:.0f} s; there is nothing to measure beside"
            )
        time.sleep(0.2)
    client.close()


def make_tokens(path: Path, count: int) -> dict[str, str]:
    """Credential -> a new token of it, in the gateway's file."""
    made = {}
    for number in range(count):
        token = new_token()
        append_token(path, token_record(token, f"trial-{number:04d}@example.org", "human", credential=f"cred-trial-{number:04d}"))
        made[f"cred-trial-{number:04d}"] = token
    return made


def _decoy(recorder: Recorder, credential: str) -> float:
    """Record the read of a decoy; when record() was called, seconds since 1970."""
    at = time.time()
    principal = credential.replace("cred-", "") + "@example.org"
    recorder.record(
        "access.check",
        actor=Actor(principal, "human", credential=credential),
        resource=Resource("model", f"models/{MODEL}", part="decoy.safetensors", sensitivity="restricted"),
        usage=Usage(objects=1),
        attrs={"canary": "true"},
    )
    return at


def until(connection: http.client.HTTPConnection, token: str, status: int) -> float:
    """Ask until the status comes; when it was known."""
    deadline = time.monotonic() + _GIVE_UP_S
    while True:
        connection.request("HEAD", f"/files/models/{MODEL}/config.json", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == status:
            return time.time()
        if time.monotonic() > deadline:
            return float("inf")
        time.sleep(_ASK_S)


def _figures(supervisor: Supervisor, began: dict[str, float], denied: dict[str, float]) -> dict[str, Any]:
    kafka, log = supervisor.deployment.kafka(), supervisor.deployment.log()
    findings = {finding.credential: finding for finding in read_findings(kafka, log, 10_000) if finding.detector == "D13"}
    locks = {lock.subject.partition(":")[2]: lock for lock in read_locks(kafka, log)}
    hops: dict[str, list[float]] = {"record_to_finding": [], "finding_to_lock": [], "lock_to_denied": []}
    total = []
    for credential, at in began.items():
        finding, lock = findings.get(credential), locks.get(credential)
        total.append((denied[credential] - at) * 1000)
        if finding is not None and lock is not None:
            locked = datetime.fromisoformat(lock.at).timestamp()
            hops["record_to_finding"].append(finding.emitted_ms - at * 1000)
            hops["finding_to_lock"].append(locked * 1000 - finding.emitted_ms)
            hops["lock_to_denied"].append((denied[credential] - locked) * 1000)
    return {
        "trials": len(total),
        "denied": sum(value != float("inf") for value in total),
        "p50_ms": round(percentile(total, 0.5), 1),
        "p99_ms": round(percentile(total, 0.99), 1),
        "hops": {name: {"p50_ms": round(percentile(v, 0.5), 1), "p99_ms": round(percentile(v, 0.99), 1)} for name, v in hops.items()},
        "machine": machine(),
    }

"""`bench verify` and the notary's restart, on a history that `bench ingest` made."""

import time
from typing import Any

import clickhouse_connect

from tallystick_audit.verify import verify_history
from tallystick_producers import Actor, Recorder, Resource

from ..clickhouse.migrate import definitions
from ..errors import PartFailed
from ..supervisor import Supervisor
from .scratch import machine

_WAIT_S = 60.0


def verify(supervisor: Supervisor) -> dict[str, Any]:
    """The whole of `audit verify`, all parts running."""
    deployment = supervisor.deployment
    wait_sealed(supervisor)
    began = time.perf_counter()
    report = verify_history(deployment.clickhouse("auditor"), deployment.log(), time.time(), definitions=definitions())
    seconds = time.perf_counter() - began
    return {
        "events": report.events,
        "seconds": round(seconds, 2),
        "events_per_s": round(report.events / seconds),
        "verdicts": {"integrity": report.integrity.value, "completeness": report.completeness.value, "freshness": report.freshness.value},
        "machine": machine(),
    }


def wait_sealed(supervisor: Supervisor) -> None:
    """Until the checkpoints cover what the ledger holds now."""
    client, log = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs()), supervisor.deployment.log()
    tips = {row[0]: row[1] for row in client.query("SELECT shard, max(index) FROM ledger_entries GROUP BY shard").result_rows}
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        sizes = {row[0]: row[1] for row in client.query("SELECT origin, max(size) FROM checkpoints GROUP BY origin").result_rows}
        if all(sizes.get(log.origin(shard), 0) > tip for shard, tip in tips.items()):
            return
        supervisor.watch()
        time.sleep(0.2)
    raise PartFailed("sealer", f"the checkpoints do not cover the ledger after {_WAIT_S:.0f} s", supervisor.part_log("sealer"))


def restart(supervisor: Supervisor) -> dict[str, Any]:
    """kill -9 of the notary; seconds until the first new entry of an agent is in the history, the supervisor's back-off included."""
    with Recorder.open(supervisor.deployment.agent("bench-respond")) as recorder:
        recorder.wait_receipts(30)
        supervisor.children["notary"].kill()
        began = time.perf_counter()
        recorder.record("artifact.read", actor=Actor("restart@example.org", "human"), resource=Resource("model", "models/restart"))
        while recorder.stats().waiting or time.perf_counter() - began < 0.1:
            supervisor.watch()
            time.sleep(0.02)
        return {"notary_restart_s": round(time.perf_counter() - began, 2)}

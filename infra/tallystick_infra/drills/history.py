"""The whole history, verified after a drill as an auditor would."""

import time

import clickhouse_connect

from tallystick_audit.verify import verify_history

from ..clickhouse.migrate import definitions
from ..deployment import Deployment
from .results import History

_SEAL_S = 60.0


def verify(deployment: Deployment) -> History:
    """Once checkpoints cover what the ledger holds now; when they do not come, freshness is what the report says it is."""
    _wait_for_seal(deployment)
    report = verify_history(deployment.clickhouse("auditor"), deployment.log(), time.time(), definitions=definitions())
    failures = [f"step {one.step}, shard {one.shard}, index {one.index}: {one.reason}" for one in report.failures[:20]]
    verdicts = (report.integrity.value, report.completeness.value, report.freshness.value)
    return History(*verdicts, report.entries, report.events, failures)


def _wait_for_seal(deployment: Deployment) -> None:
    client, log = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs()), deployment.log()
    try:
        tips = {row[0]: row[1] for row in client.query("SELECT shard, max(index) FROM ledger_entries GROUP BY shard").result_rows}
        deadline = time.monotonic() + _SEAL_S
        while time.monotonic() < deadline:
            sizes = {row[0]: row[1] for row in client.query("SELECT origin, max(size) FROM checkpoints GROUP BY origin").result_rows}
            if all(sizes.get(log.origin(shard), 0) > tip for shard, tip in tips.items()):
                return
            time.sleep(0.2)
    finally:
        client.close()

"""Drills as somebody at a terminal runs them, and what they must not leave behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import clickhouse_connect
from tests.support.deployment import TABLES as PLAIN
from tests.support.deployment import watched

from tallystick_infra.enrolment import enrolled_agents
from tallystick_infra.kafka.broker import free_port
from tallystick_stream_jobs.responder.client import read_locks

TABLES = {
    **PLAIN,
    # All drills together make more automatic suspensions within ten minutes than the breaker lets through (docs/drills.md).
    "jobs": {"breaker_limit": 50},
    "outbox": {"base_s": 0.3, "cap_s": 1.0},
    "agent": {"resend_s": 2.0, "heartbeat_s": 2.0},
}
# Agents of this deployment beat each 2 s, so that an agent's silence need not last a minute and a half.
POLICY = "# Ours.\ndetectors:\n  D12: {parameters: {heartbeat: 5}}\n"


def prepare(deployment):
    """Settings of this deployment, and the connector that the drill of a receiver's outage needs, as docs/drills.md says."""
    (deployment.path / "detection.yaml").write_text(POLICY)
    (deployment.path / "connectors.toml").write_text(
        f'[drill-receiver]\nkind = "webhook"\nurl = "http://127.0.0.1:{free_port()}/drill"\nallow_private = true\nsecret_file = "drill-receiver.secret"\n'
    )
    secret = deployment.keys / "drill-receiver.secret"
    secret.write_text("0123456789abcdef0123456789abcdef")
    secret.chmod(0o600)


def command(supervisor, *arguments):
    return [sys.executable, "-m", "tallystick_infra.cli", "drill", *arguments, "--data", str(supervisor.deployment.path)]


def start_drill(supervisor, *arguments):
    """A drill under way. It hears Ctrl-C, also where the tests were put into the background by a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command(supervisor, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


def drill(supervisor, *arguments, seconds=240, watch=True):
    """(exit code, standard output, standard error) of a drill, the supervisor at work meanwhile, or not: then what died stays dead."""
    started = start_drill(supervisor, *arguments)
    if watch:
        return watched(supervisor, started, seconds)
    out, err = started.communicate(timeout=seconds)
    return started.returncode, out, err


def result_of(out):
    """The one drill of a run's JSON."""
    return json.loads(out.splitlines()[-1])["drills"][0]


def gone(supervisor):
    """What of drills is left in a deployment; nothing, once they are over."""
    deployment = supervisor.deployment
    left = [line for line in Path(deployment.gateway().tokens_file).read_text().splitlines() if "drill-" in line]
    left += [str(path) for path in Path(deployment.gateway().root).glob("*/drill-*")]
    left += [path.name for folder in (deployment.keys / "agents", deployment.path / "spool") for path in folder.glob("drill-*")]
    left += [
        lock.subject for lock in read_locks(deployment.kafka(), deployment.log()) if lock.state == "locked" and "drill-" in lock.subject
    ]
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    left += [one.agent for one in enrolled_agents(client, deployment.log()) if one.agent.startswith("drill-") and not one.revoked]
    client.close()
    left += [path.name for path in (deployment.path / "rules").glob("drill-*")]
    policy = deployment.path / "detection.yaml"
    return left + (["detection.yaml"] if policy.exists() and "drill" in policy.read_text() else [])

"""A running deployment for tests: what they record, and how they look at the history."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect

from tallystick_audit.verify import verify_history
from tallystick_infra.admission import admit
from tallystick_infra.bench.verify import wait_sealed
from tallystick_infra.built_in import ANYTHING, mandate_of
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import make_key
from tallystick_infra.enrolling import enrol_agents
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Actor, Resource

TABLES = {
    "embedded": {"kafka_port": 0, "controller_port": 0, "clickhouse_port": 0},
    "gateway": {"port": 0},
    "console": {"port": 0},
    "agent": {"resend_s": 2.0},
}


@contextmanager
def running(
    directory: Path,
    parts: Sequence[str],
    agents: Sequence[str] = ("one", "two"),
    tables: Mapping[str, Mapping[str, Any]] = TABLES,
    prepare: Callable[[Deployment], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Supervisor]:
    """A deployment with these parts, on free ports, and these agents enrolled. `prepare` is called before anything starts; `say` is the supervisor's."""
    deployment = Deployment.create(directory, tables)
    prepare(deployment)
    with Supervisor(deployment, list(parts), say) as supervisor:
        admit(deployment, agents)
        enrol_agents(deployment, {name: mandate_of(make_key(deployment.agent_key(name)), scope=ANYTHING) for name in agents}, "test", 60)
        yield supervisor


def record(recorder, count, name):
    return [
        recorder.record("artifact.read", actor=Actor(f"{name}@example.org", "human"), resource=Resource("model", f"m/{n}"))
        for n in range(count)
    ]


def wait_confirmed(supervisor, recorder, seconds=120):
    """Until every segment has its receipt, the supervisor at work meanwhile."""
    recorder.flush()
    deadline = time.monotonic() + seconds
    while recorder.stats().waiting:
        supervisor.watch()
        assert time.monotonic() < deadline, recorder.stats()
        time.sleep(0.05)


def ids_in_history(supervisor, principal):
    """agent/run/number of every stored event of a principal, from entries and positions.

    A notary that was killed and the one after it may both have written a row: those are one, as for the auditor. Two places in the ledger are two.
    """
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    query = (
        "SELECT l.agent, l.run, l.first + e.pos FROM events AS e FINAL INNER JOIN ledger_entries AS l FINAL "
        "ON l.shard = e.shard AND l.index = e.index WHERE e.principal = {p:String}"
    )
    return [f"{agent}/{run}/{number}" for agent, run, number in client.query(query, parameters={"p": principal}).result_rows]


def check_history(supervisor):
    """The auditor's verdict on everything that is in the ledger now."""
    wait_sealed(supervisor)
    deployment = supervisor.deployment
    report = verify_history(deployment.clickhouse(), deployment.log(), time.time())
    assert (report.integrity.value, report.completeness.value, report.failures) == ("pass", "pass", ())


def check_exactly_once(supervisor, ids, principal):
    found = Counter(ids_in_history(supervisor, principal))
    missing, more = Counter(ids) - found, found - Counter(ids)
    assert (list(missing), list(more)) == ([], []), f"missing: {len(missing)}, twice or never promised: {len(more)}"


def cli(supervisor, *arguments, code=0):
    """The JSON of a command, the supervisor at work meanwhile, as `tallystick up` is."""
    command = [sys.executable, "-m", "tallystick_infra.cli", *arguments, "--data", str(supervisor.deployment.path), "--json"]
    ended, out, err = watched(supervisor, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), 120)
    assert ended == code, f"{arguments} ended with {ended}\n{out}\n{err}"
    return json.loads(out.splitlines()[-1])


def doctor(supervisor):
    """Name -> line of `tallystick doctor`, whose exit code must say what they say. A deployment without detectors is behind, and told so."""
    command = [sys.executable, "-m", "tallystick_infra.cli", "doctor", "--data", str(supervisor.deployment.path), "--json"]
    ended, out, err = watched(supervisor, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), 120)
    told = json.loads(out.splitlines()[-1])
    checks = {check["name"]: check for check in told["checks"]}
    assert (ended == 0) == told["ok"] == all(check["ok"] for check in checks.values()), err
    return checks


def watched(supervisor, started, seconds):
    """(exit code, standard output, standard error) of a process, once it is over. Meanwhile parts that die are started again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            out, err = started.communicate(timeout=0.2)
            return started.returncode, out, err
        except subprocess.TimeoutExpired:
            supervisor.watch()
            if time.monotonic() > deadline:
                started.kill()
                raise

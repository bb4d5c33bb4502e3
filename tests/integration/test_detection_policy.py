"""Detection under a policy file that changes while it runs, and what people say about its findings: on real parts."""

import json
import time
from collections.abc import Callable

import clickhouse_connect
import pytest
from tests.support.deployment import check_history, running, wait_confirmed

from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Actor, Recorder, Resource
from tallystick_schemas.messages import Finding
from tallystick_stream_jobs.responder.client import read_findings

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    with running(tmp_path_factory.mktemp("policy"), ["notary", "detectors", "responder", "sealer"]) as started:
        yield started


def wait_for(supervisor: Supervisor, question: Callable[[], object], what: str, seconds: float = 60) -> object:
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        supervisor.watch()
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return answer


def pull(supervisor: Supervisor, who: str, count: int) -> None:
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        for n in range(count):
            recorder.record(
                "artifact.download", actor=Actor(who, "human", "cred-" + who), resource=Resource("model", "acme/atlas", part=f"p{n}")
            )
        wait_confirmed(supervisor, recorder)


def found(supervisor: Supervisor, who: str, detector: str = "D01") -> list[Finding]:
    return [one for one in read_findings(supervisor.deployment.kafka()) if one.principal == who and one.detector == detector]


def history(supervisor: Supervisor, action: str) -> list[dict]:
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    rows = client.query("SELECT raw FROM events WHERE action = {a:String} ORDER BY time", parameters={"a": action}).result_rows
    return [json.loads(row[0]) for row in rows]


def write(supervisor: Supervisor, text: str) -> None:
    path = supervisor.deployment.path / "detection.yaml"
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def test_the_file_changes_thresholds_while_detection_runs(supervisor) -> None:
    write(supervisor, "detectors:\n  D01: {mode: recommend, parameters: {alert: 5}}\n")
    wait_for(supervisor, lambda: len(history(supervisor, "policy.update")) == 1, "the change in the history")
    pull(supervisor, "ann", 6)
    (one,) = wait_for(supervisor, lambda: found(supervisor, "ann"), "ann's finding")  # type: ignore[misc]
    assert (one.value, one.threshold, one.mode) == (5, 5, "recommend")
    write(supervisor, "detectors:\n  D01: {parameters: {alert: 12}}\n")
    wait_for(supervisor, lambda: len(history(supervisor, "policy.update")) == 2, "the second change in the history")
    first, second = history(supervisor, "policy.update")
    assert first["attrs"]["sha256_after"] == second["attrs"]["sha256_before"]
    assert "+  D01: {parameters: {alert: 12}}" in second["why"]["text"]
    pull(supervisor, "ben", 11)
    pull(supervisor, "cleo", 12)
    wait_for(supervisor, lambda: found(supervisor, "cleo"), "cleo's finding")
    assert found(supervisor, "ben") == []


def test_a_bad_file_keeps_the_last_good_one_and_everybody_is_told(supervisor) -> None:
    before = len(history(supervisor, "policy.update"))
    write(supervisor, "detectors: {D99: {}}\nprotected: [{principal: 'root '}]\n")
    log = supervisor.part_log("detectors")
    wait_for(supervisor, lambda: "there is no detector D99" in log.read_text(), "a line in the log")
    pull(supervisor, "dora", 12)
    wait_for(supervisor, lambda: found(supervisor, "dora"), "dora's finding, by the last good file")
    assert len(history(supervisor, "policy.update")) == before
    write(supervisor, "detectors:\n  D01: {parameters: {alert: 12}}\n")


def test_every_finding_is_one_event(supervisor) -> None:
    told = read_findings(supervisor.deployment.kafka())
    wait_for(supervisor, lambda: len(history(supervisor, "incident.open")) >= len(told), "the findings in the history")
    events = history(supervisor, "incident.open")
    assert sorted(event["resource"]["id"] for event in events) == sorted(one.id for one in told)
    assert {event["actor"]["principal"] for event in events} == {"detectors"}
    check_history(supervisor)

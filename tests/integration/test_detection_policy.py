"""Detection under a policy file that changes while it runs, and what people say about its findings: on real parts."""

import json
import os
import re
import signal
import time
from collections.abc import Callable

import clickhouse_connect
import pytest
from tests.support.deployment import check_history, cli, doctor, running, wait_confirmed

from tallystick_dashboard.group_lag import GroupLag
from tallystick_dashboard.health import Waiting
from tallystick_dashboard.store import ClickHouseSources
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Actor, Recorder, Resource
from tallystick_schemas.headers import Kind
from tallystick_schemas.messages import Finding
from tallystick_stream_jobs.responder.client import read_findings

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    with running(tmp_path_factory.mktemp("policy"), ["notary", "detectors", "responder", "sealer"]) as started:
        yield started


def wait_for(supervisor: Supervisor, question: Callable[[], object], what: str, seconds: float = 120) -> object:
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
    return [
        one
        for one in read_findings(supervisor.deployment.kafka(), supervisor.deployment.log())
        if one.principal == who and one.detector == detector
    ]


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
    told = read_findings(supervisor.deployment.kafka(), supervisor.deployment.log())
    wait_for(supervisor, lambda: len(history(supervisor, "incident.open")) >= len(told), "the findings in the history")
    events = history(supervisor, "incident.open")
    assert sorted(event["resource"]["id"] for event in events) == sorted(one.id for one in told)
    assert {event["actor"]["principal"] for event in events} == {"detectors"}
    check_history(supervisor)


def close(supervisor: Supervisor, one: Finding, disposition: str) -> dict:
    return cli(supervisor, "findings", "close", one.id, "--disposition", disposition, "--reason", "asked the owner", "--by", "ann")


def quality(supervisor: Supervisor, detector: str = "D01") -> dict:
    return next((one for one in cli(supervisor, "detect", "quality")["detectors"] if one["detector"] == detector), {})


def demotions(supervisor: Supervisor) -> list[str]:
    """Who changed which detectors may act, in order."""
    return [one["actor"]["principal"] for one in history(supervisor, "policy.update") if one["resource"]["id"] == "demotions.json"]


def test_verdicts_give_precision_and_take_the_leave_to_act(supervisor) -> None:
    write(supervisor, "detectors:\n  D01: {parameters: {alert: 12}, bar: {precision: 0.5, verdicts: 2}}\n")
    (one,), (two,) = found(supervisor, "cleo"), found(supervisor, "dora")
    closed = close(supervisor, one, "true-positive-malicious")
    assert (closed["detector"], closed["disposition"], closed["by"]) == ("D01", "true-positive-malicious", "ann")
    close(supervisor, two, "false-positive")
    wait_for(supervisor, lambda: quality(supervisor).get("verdicts") == 2, "two verdicts in the store")
    seen = quality(supervisor)
    assert (seen["precision"], seen["mode"], seen["bar"]) == (0.5, "auto", 0.5)
    assert 0 < seen["low"] < 0.5 < seen["high"] < 1
    assert seen["median_seconds_to_verdict"] > 0
    (third,) = found(supervisor, "ann")
    close(supervisor, third, "false-positive")
    wait_for(supervisor, lambda: quality(supervisor).get("mode") == "recommend", "the demotion", seconds=20)
    (told,) = wait_for(supervisor, lambda: found(supervisor, "detectors", "Q01"), "the notice")  # type: ignore[misc]
    assert "right in 1 of 3 verdicts" in told.text
    wait_for(supervisor, lambda: demotions(supervisor) == ["detectors"], "the change in the history")
    pull(supervisor, "eve", 12)
    (late,) = wait_for(supervisor, lambda: found(supervisor, "eve"), "eve's finding")  # type: ignore[misc]
    assert late.mode == "recommend"
    assert cli(supervisor, "detect", "policy", "restore", "D01", "--reason", "threshold was mended", "--by", "ben")["restored"]
    assert quality(supervisor)["mode"] == "auto"
    assert wait_for(supervisor, lambda: len(demotions(supervisor)) == 2 and demotions(supervisor), "both changes") == ["detectors", "ben"]


def test_the_reasoning_can_be_read(supervisor) -> None:
    (one,) = found(supervisor, "cleo")
    told = cli(supervisor, "detect", "explain", one.id)
    text = "\n".join(line for section in told["explanation"] for line in section["lines"])
    for part in (
        "12 was measured over 1 hour; the line is 12",
        "true-positive-malicious, by ann",
        "artifact.download allowed acme/atlas p0",
    ):
        assert part in text, text
    assert "D01.alert is 12" in text
    assert "(from detection.yaml)" in text
    assert any("guard mode: D01 is in mode auto" in line for section in told["explanation"] for line in section["lines"]), text
    assert len(told["evidence"]) == 12
    assert {entry["detector"] for entry in cli(supervisor, "detect", "list")["detectors"]} >= {"D01", "D13"}


def test_a_person_changes_the_file_and_stands_in_the_history(supervisor, tmp_path) -> None:
    before = len(history(supervisor, "policy.update"))
    new = tmp_path / "new.yaml"
    new.write_text("detectors:\n  D01: {parameters: {alert: 20}}\n")
    assert cli(supervisor, "detect", "policy", "set", str(new), "--by", "ann", "--reason", "too loud")["changed"]
    wait_for(supervisor, lambda: len(history(supervisor, "policy.update")) > before, "the change in the history")
    assert cli(supervisor, "detect", "policy")["policy"]["detectors"]["D01"]["parameters"] == {"alert": 20.0}
    assert doctor(supervisor)["policy"]["ok"]
    os.killpg(supervisor.children["detectors"].pid, signal.SIGKILL)
    pull(supervisor, "fay", 20)
    wait_for(supervisor, lambda: found(supervisor, "fay"), "fay's finding, after a kill")
    changes = history(supervisor, "policy.update")[before:]
    assert [(event["actor"]["principal"], event["actor"]["kind"]) for event in changes] == [("ann", "human")]
    assert changes[0]["why"]["text"].startswith("too loud\n")
    assert found(supervisor, "detectors", "D07a") == [], "a person's command looked like a fork of detection's key"
    ids = [event["resource"]["id"] for event in history(supervisor, "incident.open")]
    assert len(ids) == len(set(ids)), "a finding was opened twice"
    check_history(supervisor)


def test_detectors_that_stand_still_are_seen_to_be_behind(supervisor) -> None:
    """By console and doctor: how many records wait, and since when; and it is over when they go on."""
    group = supervisor.children["detectors"].pid
    with GroupLag(supervisor.deployment.kafka()) as lag:
        wait_for(supervisor, lambda: lag.measure() == Waiting(0, None), "nothing waits")
        os.killpg(group, signal.SIGSTOP)
        try:
            began = time.time()
            pull(supervisor, "gus", 3)
            waiting = lag.measure()
            assert waiting.records >= 1
            assert waiting.since is not None
            assert began - 1 < waiting.since < time.time() + 1
            check = doctor(supervisor)["detectors"]
            assert re.match(r"[1-9]\d* verified records? waiting, the oldest for \d+\.\d s", check["seen"]), check
        finally:
            os.killpg(group, signal.SIGCONT)
        wait_for(supervisor, lambda: lag.measure() == Waiting(0, None), "what waited is done")


def test_evidence_that_was_changed_or_removed_in_the_store_is_not_vouched_for(supervisor) -> None:
    """Last, since it breaks the history: by the command and by what the console reads."""
    pull(supervisor, "hal", 30)
    wait_for(supervisor, lambda: found(supervisor, "hal"), "hal's finding")
    one = found(supervisor, "hal")[0]
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse("owner").client_kwargs())
    sources = ClickHouseSources(supervisor.deployment.clickhouse(), supervisor.deployment.log())

    def told() -> tuple[list[str], list[str]]:
        explained = cli(supervisor, "detect", "explain", one.id)["evidence"]
        return [each["standing"] for each in explained], [str(each.standing) for each in sources.evidence(one.evidence)]

    whole = ["holds"] * len(one.evidence)
    assert told() == (whole, whole)
    [shard, index, pos] = one.evidence[0]
    where = f"shard = {shard} AND index = {index} AND pos = {pos}"
    client.command(f"ALTER TABLE events UPDATE raw = replaceOne(raw, 'acme/atlas', 'acme/other') WHERE {where} SETTINGS mutations_sync = 1")
    changed = ["changed", *whole[1:]]
    assert told() == (changed, changed)
    client.command(f"ALTER TABLE events DELETE WHERE {where} SETTINGS mutations_sync = 1")
    beside = [(s, i) == (shard, index) for s, i, _ in one.evidence]
    removed = ["removed", *("unproven" if near else "holds" for near in beside[1:])]
    assert told() == (removed, removed)
    before = {row.shard: row.missing for row in sources.history().shards}
    client.command(f"ALTER TABLE ledger_entries DELETE WHERE shard = {shard} AND index = {index} SETTINGS mutations_sync = 1")
    after = {row.shard: row.missing for row in sources.history().shards}
    assert (set(before.values()), after) == ({0}, {**before, shard: 1})
    assert all(entry.kind != Kind.SEAL for entry in sources.history().entries)
    client.command(f"ALTER TABLE ledger_entries DELETE WHERE shard = {shard} AND index >= {index} SETTINGS mutations_sync = 1")
    gone = {row.shard: row.missing for row in sources.history().shards}
    assert gone[shard] > 1, "a tail that was seen and is gone"

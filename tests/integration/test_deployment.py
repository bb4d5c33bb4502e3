"""One running deployment: recording, orders, restarts and kills, each followed by the auditor's verdict."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from tests.support.deployment import check_exactly_once, check_history, cli, doctor, ids_in_history, record, running, wait_confirmed

from tallystick_infra.cli.respond_look import kinds_in_history
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.errors import AlreadyRunning
from tallystick_infra.processes import spawn
from tallystick_infra.supervisor import Supervisor
from tallystick_infra.supervisor.parts import own_command
from tallystick_producers import Actor, Recorder, Resource, Source
from tallystick_schemas.keys import key_id
from tallystick_schemas.topics import ENFORCEMENT, LOCKS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    with running(tmp_path_factory.mktemp("deployment"), ["notary", "responder", "sealer"]) as started:
        yield started


def guards_on(path):
    """Parts of this deployment that run now: each is told a place in its folder. Parts of other tests may be children of ours as well."""
    commands = {process.pid: process.cmdline() for process in psutil.Process().children()}
    return {pid for pid, command in commands.items() if any(Path(argument).is_relative_to(path) for argument in command)}


def test_events_are_in_the_history_exactly_once(supervisor):
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        ids = record(recorder, 3000, "plain")
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "plain@example.org")
    check_history(supervisor)


def test_readmes_five_lines_record_an_event(supervisor):
    """README's code as it stands there, by an agent that was enrolled with README's command."""
    block = re.search(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line]) == 5
    assert "tallystick agent enrol trainer" in README
    cli(supervisor, "agent", "enrol", "trainer")
    environment = {**os.environ, "TALLYSTICK_DATA": str(supervisor.deployment.path)}
    done = subprocess.run([sys.executable, "-c", block[1]], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    deadline = time.monotonic() + 30
    while not ids_in_history(supervisor, "alice@example.org"):
        supervisor.watch()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(ids_in_history(supervisor, "alice@example.org")) == 1
    check_history(supervisor)


@pytest.mark.parametrize("part", ["notary", "sealer", "clickhouse", "kafka", "responder"])
def test_kill_9_of_each_part_loses_nothing(supervisor, part):
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        ids = record(recorder, 1000, f"kill-{part}")
        os.killpg(supervisor.children[part].pid, signal.SIGKILL)
        ids += record(recorder, 1000, f"kill-{part}")
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, f"kill-{part}@example.org")
    check_history(supervisor)


def test_notaries_come_and_go(supervisor):
    """A second one takes some of the partitions; then it stops, or is killed, in the middle of the work."""
    data = supervisor.deployment.path
    with Recorder.open(supervisor.deployment.agent("one")) as recorder, Recorder.open(supervisor.deployment.agent("two")) as other:
        ids = []
        for number, end in enumerate(("stop", "kill")):
            second = spawn("notary-2", own_command(data, "jobs", "notary"), data / "logs" / f"notary-2-{number}.log")
            deadline = time.monotonic() + 60
            while "restored to index" not in second.log.read_text():
                assert time.monotonic() < deadline, second.log.read_text()
                ids += record(recorder, 20, "come-and-go") + record(other, 20, "come-and-go")
                time.sleep(0.05)
            ids += record(recorder, 500, "come-and-go") + record(other, 500, "come-and-go")
            getattr(second, end)()
            ids += record(recorder, 500, "come-and-go") + record(other, 500, "come-and-go")
            wait_confirmed(supervisor, recorder)
            wait_confirmed(supervisor, other)
    check_exactly_once(supervisor, ids, "come-and-go@example.org")
    check_history(supervisor)


def test_a_broker_that_lost_everything(supervisor):
    with Recorder.open(supervisor.deployment.agent("two")) as recorder:
        ids = record(recorder, 1000, "lost")
        wait_confirmed(supervisor, recorder)
        ids += record(recorder, 500, "lost")
        os.killpg(supervisor.children["kafka"].pid, signal.SIGKILL)
        supervisor.children["kafka"].process.wait()
        shutil.rmtree(supervisor.deployment.path / "kafka" / "data")
        ids += record(recorder, 500, "lost")
        wait_confirmed(supervisor, recorder)
    assert guards_on(supervisor.deployment.path) == {child.pid for child in supervisor.children.values()}, "a part runs twice"
    check_exactly_once(supervisor, ids, "lost@example.org")
    check_history(supervisor)


def test_an_agent_that_was_killed_leaves_nothing_behind(supervisor):
    code = (
        "import os,sys\nfrom pathlib import Path\nfrom tallystick_infra.deployment import Deployment\n"
        "from tallystick_producers import *\n"
        "r = Recorder.open(Deployment.open(Path(sys.argv[1])).agent('two'))\n"
        "for n in range(50):\n"
        "    print(r.record('artifact.read', actor=Actor('killed@example.org', 'human'), resource=Resource('model', 'm'), durable=True), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(supervisor.deployment.path)], capture_output=True, text=True, timeout=60, check=False
    )
    ids = done.stdout.split()
    assert (done.returncode, len(ids)) == (-9, 50)
    with Recorder.open(supervisor.deployment.agent("two")) as recorder:
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "killed@example.org")


def test_orders_lock_and_unlock(supervisor):
    made = cli(supervisor, "lock", "mallory@example.org", "--unseen", "--reason", "an exercise", "--by", "ann")
    assert (made["subject"], made["state"], made["by"]) == ("principal:mallory@example.org", "locked", "ann")
    assert made["decision"]["choice"] == "suspend"
    assert [lock["subject"] for lock in cli(supervisor, "locks")["locks"]] == ["principal:mallory@example.org"]
    kept = cli(supervisor, "lock", "mallory@example.org", "--confirm", "--reason", "it was real", "--by", "ann")
    assert (kept["reason"], "until" in kept) == ("an exercise. Confirmed: it was real", False)
    cli(supervisor, "unlock", "mallory@example.org", "--reason", "it is over", "--by", "ben")
    assert cli(supervisor, "locks")["locks"] == []


def test_an_order_without_a_notary_says_so_and_takes_effect_when_it_is_back(supervisor):
    os.killpg(supervisor.children["notary"].pid, signal.SIGKILL)
    order = ("lock", "waiting@example.org", "--unseen", "--reason", "seen twice", "--by", "ann", "--timeout", "4")
    command = [sys.executable, "-m", "tallystick_infra.cli", *order, "--data", str(supervisor.deployment.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is in the spool, and the notary is silent: no receipt came within 4 s. It takes effect when the notary is back" in done.stderr
    deadline = time.monotonic() + 60
    while "principal:waiting@example.org" not in [lock["subject"] for lock in cli(supervisor, "locks")["locks"]]:
        assert time.monotonic() < deadline
    cli(supervisor, "unlock", "waiting@example.org", "--reason", "it is over", "--by", "ann")
    nobody = subprocess.run(
        [*command[:3], "unlock", *order[1:2], *order[3:7], *command[-2:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert (nobody.returncode, "principal:waiting@example.org is not locked; nobody is." in nobody.stderr) == (1, True)


def test_only_the_orders_of_trusted_agents_count_and_each_once(supervisor):
    """An ordinary agent's order, a copy of a real one, and a real one with a bit turned: nobody is locked by them."""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    from tallystick_schemas.topics import EVENTS

    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        recorder.record("credential.suspend", actor=Actor("ann", "human"), resource=Resource("principal", "innocent@example.org"))
        wait_confirmed(supervisor, recorder)
    kafka = supervisor.deployment.kafka_admin().client_kwargs()  # who may write what does not matter here
    consumer, producer = KafkaConsumer(**kafka, group_id=None), KafkaProducer(**kafka)
    parts = [TopicPartition(EVENTS, shard) for shard in range(supervisor.deployment.log().shards)]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    ends, copied = consumer.end_offsets(parts), 0
    while any(consumer.position(part) < ends[part] for part in parts):
        for records in consumer.poll(timeout_ms=200).values():
            for one in (one for one in records if one.key == b"cli" and b"mallory@example.org" in one.value):
                turned = one.value.replace(b"mallory@example.org", b"another@example.org")
                for value in (one.value, turned, one.value[:-1] + bytes([one.value[-1] ^ 1])):
                    producer.send(EVENTS, key=one.key, value=value, partition=one.partition)
                copied += 1
    producer.flush()
    producer.close()
    consumer.close()
    assert copied >= 3, "the orders of the test before"
    # The same agent's next order is read after all of that.
    cli(supervisor, "lock", "later@example.org", "--unseen", "--reason", "after the copies", "--by", "ann")
    assert [lock["subject"] for lock in cli(supervisor, "locks")["locks"]] == ["principal:later@example.org"]
    cli(supervisor, "unlock", "later@example.org", "--reason", "it is over", "--by", "ann")


def test_two_people_revoke_and_nobody_lifts_it(supervisor):
    order = ("revoke", "credential:cred-1", "--unseen", "--reason", "it was sold")
    first = cli(supervisor, *order, "--by", "ann", code=4)
    assert first["decision"]["proposed"]["level"] == "revoke"
    assert [one["id"] for one in cli(supervisor, "locks")["pending"]] == [first["decision"]["id"]]
    gone = cli(supervisor, "unlock", "credential:cred-1", "--reason", "a misunderstanding", "--by", "ben")
    assert f"withdrawn by ben: revoke, ordered by ann (command {first['decision']['id']})" in gone["decision"]["reason"]
    told = cli(supervisor, "locks")
    assert (told["pending"], [one["id"] for one in told["withdrawn"]]) == ([], [gone["decision"]["id"]])
    cli(supervisor, *order, "--by", "ann", code=4)
    same = cli(supervisor, *order, "--by", "Ann", code=5)
    assert "Ann is not a second person" in same["decision"]["reason"]
    done = cli(supervisor, *order, "--by", "ben")
    assert (done["level"], done["by"]) == ("revoke", "ann and ben")
    refused = cli(supervisor, "unlock", "credential:cred-1", "--reason", "please do", "--by", "ann", code=5)
    assert "the way back is a new credential" in refused["decision"]["reason"]


def test_a_plan_shows_whom_a_lock_would_hit(supervisor):
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        for number in range(7):
            actor = Actor("shared@example.org", "human", credential="cred-s", session=f"s{number % 2}")
            part = Resource("model", "m", part=f"p{number}")
            recorder.record("artifact.read", actor=actor, resource=part, source=Source(ip="192.0.2.1"), attrs={"job": "train-7"})
        recorder.record("model.load", actor=Actor("robot", "agent", credential="cred-s"), resource=Resource("model", "m"))
        recorder.record("artifact.read", actor=Actor("shared@example.org", "human"), resource=Resource("model", "x"), outcome="denied")
        wait_confirmed(supervisor, recorder)
    plan = cli(supervisor, "lock", "shared@example.org", "--plan")
    counts = {name: plan[name]["count"] for name in ("principals", "credentials", "sessions", "jobs", "agents", "addresses", "artifacts")}
    assert counts == {"principals": 2, "credentials": 1, "sessions": 2, "jobs": 1, "agents": 1, "addresses": 1, "artifacts": 8}
    assert (plan["events"], plan["agents"]["examples"], len(plan["artifacts"]["examples"])) == (9, ["robot"], 5)
    by_credential = cli(supervisor, "lock", "credential:cred-s", "--plan")
    assert (by_credential["events"], by_credential["principals"]["examples"]) == (8, ["robot", "shared@example.org"])
    known = {
        name: kinds_in_history(supervisor.deployment.clickhouse(), name, supervisor.deployment.log())
        for name in ("shared@example.org", "cred-s", "nobody@example.org")
    }
    assert known == {"shared@example.org": {"principal"}, "cred-s": {"credential"}, "nobody@example.org": set()}
    nobody = cli(supervisor, "lock", "nobody@example.org", "--plan")
    assert (nobody["events"], nobody["artifacts"]["count"], nobody.get("last_seen")) == (0, 0, None)
    assert [lock["subject"] for lock in cli(supervisor, "locks")["locks"]] == ["credential:cred-1"], "a plan locks nobody"


def test_what_nobody_waits_for_stands_back(supervisor):
    """On two cores the store's merges would take turns with whoever locks a thief."""
    assert {"clickhouse", "notary"} <= supervisor.children.keys()
    for name, child in supervisor.children.items():
        behind = 5 if name in ("clickhouse", "sealer") else 0
        assert psutil.Process(child.pid).nice() == os.nice(0) + behind, name


def test_doctor_sees_what_runs(supervisor):
    """Once the ledger is sealed: the sealer may have died with the broker above, and doctor looks at how old its last checkpoint is."""
    check_history(supervisor)
    checks = doctor(supervisor)
    well = {name for name, check in checks.items() if check["ok"]}
    assert {"supervisor", "kafka", "clickhouse", "notary", "sealer", "responder"} <= well, checks


def test_an_agent_is_let_in_by_its_enrolment_and_out_by_its_last_keys_end(supervisor):
    """Enrolled without being a point, once more as one, revoked: each time the broker knows at once."""
    told = cli(supervisor, "agent", "enrol", "guest")
    assert (told["kafka_user"], Path(told["kafka_password_file"]).stat().st_mode & 0o777) == ("agent/guest", 0o600)
    kafka = supervisor.deployment.agent("guest").kafka
    assert (may(kafka, LOCKS), may(kafka, ENFORCEMENT)) == (True, False)
    again = cli(supervisor, "agent", "enrol", "guest", "--role", "point")
    assert (again["key_file"], again["kafka_password_file"]) == (told["key_file"], told["kafka_password_file"])
    assert (may(kafka, LOCKS), may(kafka, ENFORCEMENT)) == (True, True)
    key = key_id(read_key(supervisor.deployment.agent_key("guest")).public_key().public_bytes_raw())
    command = [sys.executable, "-m", "tallystick_infra.cli", "agent", "revoke", "guest", "--key", key, "--reason", "it left", "--yes"]
    subprocess.run([*command, "--data", str(supervisor.deployment.path)], check=True, timeout=60, capture_output=True)
    with pytest.raises(KafkaError):
        may(kafka, LOCKS)
    assert not Path(told["kafka_password_file"]).exists()


def may(kafka, topic):
    """Whether the broker tells this user of the topic."""
    admin = KafkaAdminClient(**kafka.client_kwargs(), bootstrap_timeout_ms=3_000)
    try:
        return admin.describe_topics([topic])[0]["error_code"] == 0
    except TopicAuthorizationFailedError:
        return False
    finally:
        admin.close()


def test_a_second_supervisor_is_refused(supervisor):
    with pytest.raises(AlreadyRunning, match="runs on"), Supervisor(supervisor.deployment, []):
        pass


def test_garbage_on_every_topic_breaks_nothing(supervisor):
    from kafka import KafkaProducer

    from tallystick_schemas.topics import topic_table

    producer = KafkaProducer(**supervisor.deployment.kafka_admin().client_kwargs())
    for spec in topic_table(4):
        for partition in range(spec.partitions):
            for value in (b"", b"x", b"TSG1", b"TSG1\x01" + b"\xff" * 100, b"{" * 1000, os.urandom(100_000)):
                producer.send(spec.name, key=b"garbage", value=value, partition=partition)
    producer.flush()
    producer.close()
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        ids = record(recorder, 100, "after-garbage")
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "after-garbage@example.org")
    check_history(supervisor)

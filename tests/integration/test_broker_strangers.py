"""A deployment whose broker had no users is started. From then on nobody gets in without a password: no other user of the machine, nor who takes the port."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.deployment import TABLES, check_exactly_once, check_history, record, running, wait_confirmed
from tests.support.false_broker import API_VERSIONS, AUTHENTICATE, HANDSHAKE, false_broker

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import make_key, read_key
from tallystick_infra.kafka import broker as broker_module
from tallystick_infra.kafka.broker import BrokerSettings, free_port, prepare
from tallystick_infra.kafka.jars import ensure_jars
from tallystick_infra.kafka.topics import Topics
from tallystick_infra.kafka.users import Users
from tallystick_infra.supervisor.checks import listens
from tallystick_producers import Recorder
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import LOCKS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
NOBODY = 65_534
MARK = b"written before there were users"
BEFORE = {
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "CLIENT",
}
"""What stood in server.properties about who gets in: nothing but where to listen."""


def empty_ledger() -> object:
    return SimpleNamespace(query=lambda sql, **_: SimpleNamespace(result_rows=[(0, 0)] if "count()" in sql else []))


def make_old(deployment: Deployment) -> None:
    """As the version before there were users left it: no passwords, an agent's key, a broker's data with topics and what was written to them."""
    shutil.rmtree(deployment.keys / "kafka")
    make_key(deployment.agent_key("one"))
    settings = BrokerSettings(deployment.path / "kafka", free_port(), free_port(), free_port(), deployment.broker_users.certificates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker_module, "_security", lambda _: BEFORE)
        command = prepare(settings, ensure_jars())
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not listens(settings.port):
            assert process.poll() is None
            time.sleep(0.05)
        kafka = KafkaSettings(f"127.0.0.1:{settings.port}")
        topics = Topics(kafka, deployment.log().shards)
        topics.ensure()
        topics.announce(empty_ledger(), read_key(deployment.keys / "operator.key"))
        topics.close()
        producer = KafkaProducer(**kafka.client_kwargs())
        producer.send(LOCKS, key=b"old", value=MARK).get(20)
        producer.close()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def supervisor() -> Iterator[object]:
    """In a folder that everybody may look into: what is closed is closed by the deployment itself."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-strangers-"))
    folder.chmod(0o755)
    try:
        with running(folder / "data", ["notary", "responder", "sealer", "gateway"], ["two"], TABLES, make_old) as started:
            yield started
    finally:
        shutil.rmtree(folder)


def test_a_broker_of_before_there_were_users_is_taken_over_by_a_start(supervisor):
    deployment = supervisor.deployment
    assert {path.name for path in (deployment.keys / "agents").glob("*.password")} == {"one.password", "two.password"}
    with Recorder.open(deployment.agent("one")) as recorder:
        # Its key was there, and nobody enrolled it: it is let in, its events wait for the enrolment.
        assert recorder.settings.kafka.sasl_username == "agent/one"
    with Recorder.open(deployment.agent("two")) as recorder:
        ids = record(recorder, 200, "taken-over")
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "taken-over@example.org")
    check_history(supervisor)
    assert MARK in values_of(deployment.kafka("responder"), LOCKS), "what the broker held is there still"


def values_of(kafka: KafkaSettings, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    part, found = TopicPartition(topic, 0), []
    consumer.assign([part])
    end = consumer.end_offsets([part])[part]
    consumer.seek_to_beginning(part)
    while consumer.position(part) < end:
        found += [one.value for one in consumer.poll(timeout_ms=200).get(part, [])]
    consumer.close()
    return found


STRANGER = """
import json, logging, os, ssl, sys
from pathlib import Path
from kafka import KafkaConsumer, KafkaProducer
logging.disable(logging.CRITICAL)
data, names, doors = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
told = {"uid": os.getuid(), "read": [], "files": 0, "in": []}
for folder, _, files in os.walk(data):
    told["files"] += len(files)
for name in names:
    try:
        told["read"].append([name, Path(name).read_bytes().decode("latin-1")[:20]])
    except PermissionError:
        pass
for door in doors:
    for more in ({}, {"security_protocol": "SSL", "ssl_context": ssl._create_unverified_context()},
                 {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "responder", "sasl_plain_password": "x"}):
        for make in (lambda k: KafkaConsumer(**k, group_id=None), lambda k: KafkaProducer(**k, max_block_ms=1000)):
            try:
                client = make({"bootstrap_servers": door, "bootstrap_timeout_ms": 1000, **more})
            except Exception:
                continue
            told["in"].append([door, sorted(more)])
print(json.dumps(told))
"""


def doors_of(supervisor) -> list[str]:
    ports = supervisor._ports
    return [f"127.0.0.1:{ports[name]}" for name in ("kafka", "kafka_admin", "controller")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_of_the_machine_reads_no_secret_and_gets_in_nowhere(supervisor):
    data = supervisor.deployment.path
    names = [str(path) for folder in ("keys", "kafka") for path in (data / folder).rglob("*") if path.is_file()]
    assert len([name for name in names if name.endswith((".password", ".pem"))]) >= 14
    command = [sys.executable, "-c", STRANGER, str(data), json.dumps(names), json.dumps(doors_of(supervisor))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=os.environ)
    told = json.loads(done.stdout)
    assert told == {"uid": NOBODY, "read": [], "files": 0, "in": []}


def test_the_command_line_of_no_process_holds_a_password(supervisor):
    """Arguments and environments of processes are open to others."""
    import psutil

    secrets = {password for _, password, _ in supervisor.deployment.broker_users.every()}
    seen = 0
    for child in supervisor.children.values():
        for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)):
            text = " ".join([*process.cmdline(), *process.environ().values()])
            assert not [secret for secret in secrets if secret in text]
            seen += 1
    assert seen > 2 * 4


def test_nothing_that_a_process_runs_or_maps_lies_where_others_may_write(supervisor):
    """Codecs of Kafka unpack native libraries: in a folder of everybody, who is quicker than they are runs his own in the broker."""
    import psutil

    maps: dict[str, int] = {}
    for name, child in supervisor.children.items():
        for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)):
            found = [one.path for one in process.memory_maps() if one.path.startswith("/")]
            maps[name] = maps.get(name, 0) + len(found)
            assert [path for path in found if Path(path).parent.exists() and Path(path).parent.stat().st_mode & 0o022] == []
    assert min(maps.values()) > 10
    unpacked = supervisor.deployment.path / "kafka" / "tmp"
    assert any(path.suffix == ".so" for path in unpacked.iterdir()), "they are unpacked here"
    assert unpacked.stat().st_mode & 0o077 == 0


def test_who_takes_a_stopped_brokers_port_learns_no_password(supervisor):
    deployment = supervisor.deployment
    secrets = {user: password.encode() for user, password, _ in deployment.broker_users.every()}
    with Recorder.open(deployment.agent("two")) as recorder:
        ids = record(recorder, 100, "port-taken")
        os.killpg(supervisor.children["kafka"].pid, signal.SIGKILL)
        supervisor.children["kafka"].process.wait()
        while listens(supervisor._ports["kafka"]):
            time.sleep(0.05)  # the guard is gone, and the broker under it is being ended
        with false_broker(supervisor._ports["kafka"]) as taken:
            ids += record(recorder, 100, "port-taken")
            deadline = time.monotonic() + 60
            while not {b"n=agent/two,", b"n=gateway,", b"n=responder,"} <= named(taken.heard):
                assert time.monotonic() < deadline, named(taken.heard)
                time.sleep(0.1)
            assert taken.proofs
        assert not [user for user, secret in secrets.items() for request in taken.heard if secret in request]
        assert set(taken.asked) == {API_VERSIONS, HANDSHAKE, AUTHENTICATE}
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "port-taken@example.org")


def named(heard: list[bytes]) -> set[bytes]:
    """Who said that he is who: a name is no secret."""
    return {b"n=" + request.split(b"n,,n=")[1].split(b",")[0] + b"," for request in heard if b"n,,n=" in request}


def test_rules_are_what_the_table_says_after_all_of_that(supervisor):
    from tallystick_schemas.access import access_of

    with Users(supervisor.deployment.kafka_admin()) as users:
        found = {(grant.principal.removeprefix("User:"), grant.kind.lower(), grant.name, grant.operation) for grant in users._grants()}
    wanted = {
        (user, rule.kind, rule.name, rule.operation.upper())
        for user, _, role in supervisor.deployment.broker_users.every()
        for rule in access_of(role).rules()
    }
    assert found == wanted

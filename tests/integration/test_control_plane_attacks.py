"""Attacks on what acts, each tried on a running deployment by a broker that has gone bad, or by another user of the machine: nothing comes of any."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.support.attacking import FILE, Broker, Door, carried, finding_ids, locked, read_topic, said_of_locks, until
from tests.support.deployment import TABLES, check_exactly_once, check_history, cli, doctor, record, running, wait_confirmed
from tests.support.peers import HOOK_SECRET
from tests.support.receiver import Receiver, Reply, decision, receiver
from tests.support.responding import finding

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import write_secret
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.access import access_table
from tallystick_schemas.encoding import digest
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.events import Event, encode_event
from tallystick_schemas.messages import Lock, Point, VerifiedBatch, VerifiedSegment, encode_batch, encode_json, parse_batch
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.records import parse_record
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DECISIONS, ENFORCEMENT, EVENTS, FINDINGS, LOCKS, RECEIPTS
from tallystick_stream_jobs.outbox.orders import read_proofs

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
PARTS = ["notary", "detectors", "responder", "outbox", "sealer", "gateway"]
THIEF, FREED = "thief@example.org", "freed@example.org"
STOLEN = f"principal:{THIEF}"


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    """Where the deployment's webhook goes."""
    with receiver() as door:
        yield door


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory, hook: Receiver) -> Iterator[Supervisor]:
    """A thief is locked by a person, for good; another was locked and let go again."""

    def prepare(deployment: Deployment) -> None:
        write_secret(deployment.keys / "siem.secret", HOOK_SECRET.encode())
        table = f'[siem]\nkind = "webhook"\nurl = "{hook.url}/hook"\nsecret_file = "siem.secret"\nallow_private = true\n'
        (deployment.path / "connectors.toml").write_text(table)
        artifact = deployment.path / "artifacts" / FILE
        artifact.parent.mkdir(parents=True)
        artifact.write_bytes(b"w" * 1000)

    tables = {**TABLES, "outbox": {"base_s": 0.2, "cap_s": 0.5, "prove_within_s": 2.0}}
    with running(tmp_path_factory.mktemp("attacked"), PARTS, ["one", "two"], tables, prepare) as started:
        lock(started, THIEF)
        lock(started, FREED)
        cli(started, "unlock", FREED, "--reason", "it was not he", "--by", "ben")
        yield started


@pytest.fixture(scope="module")
def thief(supervisor: Supervisor) -> Door:
    door = Door(supervisor, THIEF)
    until(supervisor, lambda: door.status() == 403, "the thief is kept out")
    return door


@pytest.fixture(scope="module")
def innocent(supervisor: Supervisor) -> Door:
    """Somebody about whom no order was ever given."""
    door = Door(supervisor, "innocent@example.org")
    until(supervisor, lambda: door.status() == 200, "others get in")
    return door


@pytest.fixture
def broker(supervisor: Supervisor) -> Broker:
    return Broker(supervisor.deployment)


def lock(supervisor: Supervisor, principal: str, *more: str) -> dict[str, object]:
    made: dict[str, object] = cli(supervisor, "lock", principal, "--unseen", "--reason", "stolen token", "--by", "ann", *more)
    return made


def still_locked(supervisor: Supervisor, others: set[str] = frozenset()) -> None:  # type: ignore[assignment]  # an empty one
    assert locked(supervisor.deployment) == {STOLEN, *others}


def word(subject: str, state: str, command: str = "cmd-forged") -> bytes:
    now = wire_time(time.time())
    return encode_json(Lock(subject=subject, state=state, command=command, reason="so it is", by="ben", at=now))  # type: ignore[arg-type]


def well(supervisor: Supervisor) -> None:
    """What doctor says of locks is good again, and the auditor's verdict on the history too."""
    until(supervisor, lambda: read_topic(supervisor.deployment).agreed, "the topic holds what its heartbeat says")
    checks = doctor(supervisor)
    assert [name for name in ("kafka", "clickhouse", "notary", "responder", "lock topic", "roles") if not checks[name]["ok"]] == []
    check_history(supervisor)


def test_a_tombstone_lifts_no_lock_and_is_found(supervisor: Supervisor, thief: Door, broker: Broker) -> None:
    before = finding_ids(supervisor.deployment, "R05")
    with thief.watched() as answers:
        broker.put(LOCKS, STOLEN.encode(), None)
        said = said_of_locks(supervisor.deployment)
        until(supervisor, lambda: finding_ids(supervisor.deployment, "R05") - before, "what was taken away is found")
        until(supervisor, lambda: carried(broker, STOLEN), "the responder writes it again")
        said += said_of_locks(supervisor.deployment)
    assert answers == {403}
    assert (said.count(THIEF), "Nobody is locked" in said) == (2, False)
    well(supervisor)


@pytest.mark.parametrize("which", range(4), ids=["unsigned", "a stranger's key", "a signature that does not fit", "another role"])
def test_a_forged_lifting_lifts_no_lock(supervisor: Supervisor, thief: Door, broker: Broker, which: int) -> None:
    before = finding_ids(supervisor.deployment, "R05")
    with thief.watched() as answers:
        broker.put(LOCKS, STOLEN.encode(), broker.forgeries(LOCKS, STOLEN.encode(), word(STOLEN, "unlocked"), "responder")[which])
        until(supervisor, lambda: finding_ids(supervisor.deployment, "R05") - before, "what was written over is found")
        until(supervisor, lambda: carried(broker, STOLEN), "the responder writes it again")
    assert answers == {403}
    still_locked(supervisor)
    well(supervisor)


def test_an_old_lifting_that_is_genuine_lifts_nothing_when_it_comes_again(supervisor: Supervisor, broker: Broker) -> None:
    """Locked again after it: the broker puts the lifting of before on top."""
    subject, door = f"principal:{FREED}", Door(supervisor, FREED)
    (lifting,) = (
        value
        for key, value in broker.values(LOCKS)
        if key == subject.encode() and value is not None and b'"unlocked"' in parse_claim(value).body
    )
    lock(supervisor, FREED)
    until(supervisor, lambda: door.status() == 403, "he is kept out again")
    before = finding_ids(supervisor.deployment, "R05")
    with door.watched() as answers:
        broker.put(LOCKS, subject.encode(), lifting)
        until(supervisor, lambda: finding_ids(supervisor.deployment, "R05") - before, "what was rolled back is found")
        until(supervisor, lambda: carried(broker, subject), "the responder writes it again")
    assert answers == {403}
    still_locked(supervisor, {subject})
    well(supervisor)
    cli(supervisor, "unlock", FREED, "--reason", "it is over", "--by", "ben")
    until(supervisor, lambda: door.status() == 200, "a person's lifting lifts")


def test_a_forged_lock_locks_nobody(supervisor: Supervisor, innocent: Door, broker: Broker) -> None:
    subject = "principal:innocent@example.org"
    with innocent.watched() as answers:
        for value in broker.forgeries(LOCKS, subject.encode(), word(subject, "locked"), "responder"):
            broker.put(LOCKS, subject.encode(), value)
        # A later word on the topic has reached the door: so have the forged ones.
        witness = Door(supervisor, "witness@example.org")
        lock(supervisor, "witness@example.org")
        until(supervisor, lambda: witness.status() == 403, "a later lock reaches the door")
        cli(supervisor, "unlock", "witness@example.org", "--reason", "it was seen", "--by", "ben")
    assert answers == {200}
    still_locked(supervisor)


def orders(name: str, action: str, by: list[str]) -> bytes:
    """The body of a batch on `acts` with orders about a principal, as somebody would make it up."""
    salt = "A" * 22
    events = [
        encode_event(
            Event(1, salt, wire_time(time.time()), action, Actor(who, "human"), Resource("principal", name), "allowed", Why(text="so"))  # type: ignore[arg-type]
        )
        for who in by
    ]
    segment = VerifiedSegment(1 << 40, "cli", "0" * 32, 0, int(time.time() * 1000), list(enumerate(events)), 0, "")
    return encode_batch(VerifiedBatch(2, 0, [segment], []))


@pytest.mark.parametrize(
    ("action", "by"), [("credential.suspend", ["ann"]), ("credential.revoke", ["ann", "ben"]), ("credential.resume", ["ann"])]
)
def test_a_forged_batch_of_orders_locks_and_lifts_nothing(
    supervisor: Supervisor, thief: Door, innocent: Door, broker: Broker, action: str, by: list[str]
) -> None:
    """In another person's name; and twice, in two people's."""
    before = decisions(broker)
    with thief.watched() as thieves, innocent.watched() as others:
        for name in (THIEF, "innocent@example.org"):
            for value in broker.forgeries(ACTS, None, orders(name, action, by), "notary"):
                broker.put(ACTS, None, value)
        until(supervisor, lambda: broker.read_by("responder", ACTS), "the responder has read it")
    assert (thieves, others, decisions(broker)) == ({403}, {200}, before)
    still_locked(supervisor)


def decisions(broker: Broker) -> list[bytes]:
    """Ids of all decisions that were written by whoever."""
    return sorted(
        json.loads(parse_claim(value).body)["id"].encode() for _, value in broker.values(DECISIONS) if value and value[:4] == b"TSM1"
    )


def test_genuine_orders_that_come_again_are_carried_out_once(supervisor: Supervisor, broker: Broker) -> None:
    """Every batch of `acts` a second time: those that were let go stay free, who is locked stays locked."""
    before = decisions(broker)
    copies = [value for _, value in broker.values(ACTS) if value and value[:3] == b"TSM" and parse_batch(parse_claim(value).body).segments]
    assert copies
    for value in copies:
        broker.put(ACTS, None, value)
    until(supervisor, lambda: broker.read_by("responder", ACTS), "the responder has read them")
    assert decisions(broker) == before
    still_locked(supervisor)


def test_a_forged_finding_suspends_nobody(supervisor: Supervisor, innocent: Door, broker: Broker) -> None:
    now, who = time.time(), "innocent@example.org"
    made = finding(who=who, time=wire_time(now), credential=None, emitted_ms=int(now * 1000), proof=(0, 0, 0))
    before = decisions(broker)
    with innocent.watched() as answers:
        for value in broker.forgeries(FINDINGS, who.encode(), encode_json(made), "detectors"):
            broker.put(FINDINGS, who.encode(), value)
        until(supervisor, lambda: broker.read_by("responder", FINDINGS), "the responder has read it")
    assert (answers, decisions(broker)) == ({200}, before)
    still_locked(supervisor)


def test_a_forged_decision_drives_no_connector(supervisor: Supervisor, hook: Receiver, broker: Broker) -> None:
    key = b"principal:innocent@example.org"
    made = encode_json(decision(subject=key.decode(), number=99, at=time.time()))
    for value in broker.forgeries(DECISIONS, key, made, "responder"):
        broker.put(DECISIONS, key, value)
    # What stands behind it is delivered: so the outbox has read it.
    lock(supervisor, "later@example.org")
    cli(supervisor, "unlock", "later@example.org", "--reason", "it was seen", "--by", "ben")
    until(supervisor, lambda: sum(b"later@example.org" in one.body for one in hook.requests) >= 2, "a later lock and its lifting are told")
    assert [one for one in hook.requests if b"innocent" in one.body] == []


def test_a_forged_receipt_takes_nothing_out_of_a_spool(supervisor: Supervisor, broker: Broker) -> None:
    """The notary is away, so nothing is in the history; the broker says that it is."""
    os.killpg(supervisor.children["notary"].pid, signal.SIGKILL)
    supervisor.children["notary"].process.wait()
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        ids = record(recorder, 200, "receipted")
        recorder.flush()
        run, numbers = ids[0].split("/")[1], {int(one.rpartition("/")[2]) for one in ids}
        heads = wait_sent(broker, "one", run, len(numbers))
        waiting = recorder.stats().waiting
        assert waiting > 0
        body = encode_receipts([Receipt("one", run, n, 0, 0, n, digest(b"x").hex(), digest(b"y").hex()) for n in heads])
        every = broker.forgeries(RECEIPTS, b"one", body, "notary")
        hub = recorder._parts.hub  # type: ignore[union-attr]  # it is started
        before = hub._refused.count
        for value in every:
            broker.put(RECEIPTS, b"one", value)
        deadline = time.monotonic() + 60
        while hub._refused.count < before + len(every):
            assert time.monotonic() < deadline, "what was forged is read and refused"
            time.sleep(0.05)
        assert recorder.stats().waiting == waiting
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, "receipted@example.org")


def wait_sent(broker: Broker, agent: str, run: str, events: int) -> list[int]:
    """Numbers of an agent's segments of one run, once all its events are on the topic."""
    deadline = time.monotonic() + 60
    while True:
        raws = [
            value for shard in range(broker.deployment.log().shards) for key, value in broker.values(EVENTS, shard) if key == agent.encode()
        ]
        heads = {head.n: head.count for head in (parse_record(raw).header for raw in raws if raw) if getattr(head, "run", "") == run}  # type: ignore[union-attr]
        if sum(heads.values()) >= events:
            return sorted(heads)
        assert time.monotonic() < deadline, heads
        time.sleep(0.1)


def test_a_forged_point_is_not_asked_and_learns_no_canary(supervisor: Supervisor, broker: Broker) -> None:
    """The gateway's own name with another address for its probe, and a point that nobody enrolled."""
    with receiver(lambda _: Reply(204, b"")) as trap:
        now = wire_time(time.time())
        for name in ("gateway", "liar"):
            point = encode_json(Point(name=name, kind="gateway", version="1", at=now, probe=f"{trap.url}/probe", started=now))
            for value in broker.forgeries(ENFORCEMENT, name.encode(), point, "gateway"):
                broker.put(ENFORCEMENT, name.encode(), value)
        made = lock(supervisor, "probed@example.org")
        until(supervisor, lambda: proven(supervisor, str(made["command"])), "the lock is proven at the true gateway")
        cli(supervisor, "unlock", "probed@example.org", "--reason", "it was seen", "--by", "ben")
        assert proven(supervisor, str(made["command"])) == {"gateway"}
        assert trap.requests == []


def proven(supervisor: Supervisor, command: str) -> set[str]:
    """Points at which the outbox looked for a lock and found that it holds."""
    proofs = read_proofs(supervisor.deployment.kafka(), supervisor.deployment.log())
    assert [one for one in proofs if one.command == command and one.state == "still-works"] == []
    return {one.point for one in proofs if one.command == command and one.state == "refused"}


def test_a_topic_of_locks_that_was_made_anew_opens_no_door(supervisor: Supervisor, thief: Door, innocent: Door, broker: Broker) -> None:
    with thief.watched() as answers:
        broker.make_anew(LOCKS)
        until(supervisor, lambda: carried(broker, STOLEN), "the responder writes the lock again")
        until(supervisor, lambda: innocent.status() == 200, "doors know again who is locked")
        until(supervisor, lambda: thief.status() == 403, "the lock is known again")
    assert answers <= {403, 503}
    still_locked(supervisor)
    well(supervisor)


def test_locks_hold_when_kafkas_data_is_wiped(supervisor: Supervisor, thief: Door, innocent: Door, broker: Broker) -> None:
    with thief.watched() as answers:
        gone = supervisor.children["kafka"]
        os.killpg(gone.pid, signal.SIGKILL)
        gone.process.wait()
        shutil.rmtree(supervisor.deployment.path / "kafka" / "data")
        until(supervisor, lambda: supervisor.children["kafka"] is not gone, "a broker that knows nothing takes its place")
        until(supervisor, lambda: carried(broker, STOLEN), "the responder writes the lock again, as the history has it", 120)
        until(supervisor, lambda: innocent.status() == 200, "doors know again who is locked", 120)
        until(supervisor, lambda: thief.status() == 403, "the lock is known again")
    assert answers <= {403, 503}
    still_locked(supervisor)
    well(supervisor)


STRANGER = """
import json, logging, sys
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
logging.disable(logging.CRITICAL)
told = []
for door in sys.argv[2:]:
    client = {"bootstrap_servers": door, "bootstrap_timeout_ms": 1000}
    for topic in json.loads(sys.argv[1]):
        try:
            reader = KafkaConsumer(**client, group_id=None)
            reader.assign([TopicPartition(topic, 0)])
            reader.seek_to_beginning()
            told.append([door, "read", topic, len(reader.poll(timeout_ms=500))])
        except Exception: pass
        try:
            KafkaProducer(**client, max_block_ms=1000).send(topic, key=b"k", value=None).get(2)
            told.append([door, "wrote", topic])
        except Exception: pass
import os
print(json.dumps([os.getuid(), told]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv of util-linux is not here")
def test_from_an_unprivileged_users_shell_a_plain_client_reads_and_writes_nothing(supervisor: Supervisor) -> None:
    topics = sorted({topic for row in access_table() for topic in (*row.reads, *row.writes)})
    doors = [f"127.0.0.1:{supervisor._ports[name]}" for name in ("kafka", "kafka_admin", "controller")]
    shell = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = [*shell, sys.executable, "-c", STRANGER, json.dumps([*topics[:3], LOCKS, ACTS]), *doors]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [65_534, []]

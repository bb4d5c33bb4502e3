"""The gateway as it runs: a process of its own with the real recorder, on a real broker. Locks arrive by topic, events leave by topic."""

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from kafka import KafkaConsumer, TopicPartition
from tests.support.enforcing import LockWriter, write_key
from tests.support.recorder_kafka import Broker, broker
from tests.support.signing import OPERATORS

from tallystick_infra.kafka.broker import free_port
from tallystick_producers.gateway.tokens import add_token
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.records import parse_record, split_items
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS

pytestmark = pytest.mark.embedded
PROGRAM = """
import json, sys
from tallystick_producers.gateway.run import run_gateway
from tallystick_schemas.settings import AgentSettings, GatewaySettings, KafkaSettings, LogSettings
folder, kafka, port, operator = sys.argv[1:]
log = LogSettings("test", operator_keys=(bytes.fromhex(operator),))
gateway = GatewaySettings(f"{folder}/artifacts", f"{folder}/tokens.jsonl", port=int(port), lock_stale_s=3.0)
run_gateway(gateway, AgentSettings("gateway", KafkaSettings(**json.loads(kafka)), log, f"{folder}/key.pem", f"{folder}/spool"))
"""


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        threading.Event().wait(0.01)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as one:
        yield one


@pytest.fixture
def kafka(started: Broker) -> KafkaSettings:
    return started.kafka


@pytest.fixture
def responder(kafka: KafkaSettings) -> Iterator[LockWriter]:
    """Writes locks and, while `alive`, heartbeats, as the responder does."""
    writer = LockWriter(kafka)
    yield writer
    writer.close()


@dataclass
class Child:
    """The gateway's process."""

    process: subprocess.Popen[str]
    url: str
    token: str

    def get(self, path: str = "/files/models/m/weights.bin") -> httpx.Response | None:
        """The answer, or None while nobody listens."""
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
        try:
            return httpx.get(self.url + path, headers={"authorization": f"Bearer {self.token}"}, timeout=30)
        except httpx.ConnectError:
            return None

    def status(self, path: str = "/files/models/m/weights.bin") -> int:
        answer = self.get(path)
        return answer.status_code if answer is not None else 0


@pytest.fixture
def child(tmp_path: Path, started: Broker) -> Iterator[Child]:
    (tmp_path / "artifacts/models/m").mkdir(parents=True)
    (tmp_path / "artifacts/models/m/weights.bin").write_bytes(b"w" * 1000)
    write_key(tmp_path / "key.pem", "gateway")
    token, port = add_token(tmp_path / "tokens.jsonl", "alice", "human"), free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(tmp_path),
            json.dumps(dataclasses.asdict(started.role("gateway"))),
            str(port),
            OPERATORS[0].hex(),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Child(process, f"http://127.0.0.1:{port}", token)
    finally:
        process.kill()
        process.communicate()


def events_since(kafka: KafkaSettings, begin: dict[TopicPartition, int]) -> list[Event]:
    """Every event of the gateway on `events` after `begin`, in its order."""
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None)
    try:
        consumer.assign(list(begin))
        for partition, offset in begin.items():
            consumer.seek(partition, offset)
        ends = consumer.end_offsets(list(begin))
        found: list[Event] = []
        while any(consumer.position(partition) < ends[partition] for partition in begin):
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    found += [parse_event(raw) for raw in split_items(parse_record(record.value).body)]
        return found
    finally:
        consumer.close()


def ends(kafka: KafkaSettings) -> dict[TopicPartition, int]:
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None)
    try:
        found: dict[TopicPartition, int] = consumer.end_offsets([TopicPartition(EVENTS, shard) for shard in range(4)])
        return found
    finally:
        consumer.close()


def test_locks_come_and_go_and_silence_denies(kafka: KafkaSettings, responder: LockWriter, child: Child) -> None:
    until(lambda: child.get("/healthz") is not None, "the gateway listens")
    before = child.get()
    assert before is not None
    assert (before.status_code, before.json()["code"]) == (503, "LocksUnknown")
    assert "has not heard from the responder" in before.json()["error"]

    responder.alive.set()
    until(lambda: child.status() == 200, "a heartbeat arrives")
    responder.put("principal:alice", "locked")
    until(lambda: child.status() == 403, "the lock arrives")
    responder.put("principal:alice", "unlocked")
    until(lambda: child.status() == 200, "the unlock arrives")

    responder.alive.clear()
    until(lambda: child.status() == 503, "silence denies")
    responder.alive.set()
    until(lambda: child.status() == 200, "and ends")


def test_a_lock_of_before_the_start_holds(kafka: KafkaSettings, responder: LockWriter, child: Child) -> None:
    responder.put("principal:alice", "locked")
    try:
        responder.alive.set()
        seen = [0]

        def denied() -> bool:
            seen.append(child.status())
            return seen[-1] == 403

        until(denied, "the lock is known")
        assert 200 not in seen
    finally:
        responder.put("principal:alice", "unlocked")


def test_a_stop_leaves_nothing_unrecorded(kafka: KafkaSettings, responder: LockWriter, child: Child) -> None:
    begin = ends(kafka)
    responder.alive.set()
    until(lambda: child.status() == 200, "the gateway serves")
    answers = [child.get() for _ in range(20)]
    child.process.send_signal(signal.SIGTERM)
    assert child.process.wait(30) == 0
    events = [event for event in events_since(kafka, begin) if event.actor.principal in ("alice", "gateway")]
    assert events[-1].action == "agent.stop"
    for answer in answers:
        assert answer is not None
        assert answer.status_code == 200
        mine = [event for event in events if (event.attrs or {}).get("request_id") == answer.headers["x-request-id"]]
        assert [event.action for event in mine] == ["access.check", "artifact.download"]
        assert mine[1].usage is not None
        assert mine[1].usage.bytes == 1000

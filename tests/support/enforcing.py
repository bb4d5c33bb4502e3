"""Enforcement points as they run, on a real broker: a gateway's process, and a recorder that is asked; and who writes their locks."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.recorder import wait_for
from tests.support.recorder_kafka import SHARDS

from tallystick_infra.kafka.broker import free_port
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.messages import HEARTBEAT_KEY, Level, Lock, LockHeartbeat, encode_json
from tallystick_schemas.records import parse_record, split_items
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import EVENTS, LOCKS

STALE_S = 3.0
GATEWAY = """
import json, sys
from tallystick_producers.gateway.run import run_gateway
from tallystick_schemas.settings import AgentSettings, GatewaySettings, KafkaSettings, LogSettings
folder, kafka, port = sys.argv[1:]
gateway = GatewaySettings(f"{folder}/artifacts", f"{folder}/tokens.jsonl", port=int(port), lock_stale_s=3.0)
run_gateway(gateway, AgentSettings("door", KafkaSettings(**json.loads(kafka)), LogSettings("test"), f"{folder}/key.pem", f"{folder}/spool"))
"""
SDK = """
import json, sys
from tallystick_producers import Recorder
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
folder, kafka, _ = sys.argv[1:]
settings = AgentSettings("app", KafkaSettings(**json.loads(kafka)), LogSettings("test"), f"{folder}/key.pem", f"{folder}/spool", lock_stale_s=3.0)
with Recorder.open(settings) as recorder:
    for line in sys.stdin:
        state = recorder.is_locked(**json.loads(line), wait_s=0.2)
        print(json.dumps([bool(state), state.known, state.level, state.command, state.text]), flush=True)
"""
Answer = tuple[bool, str | None]
"""(denied, the command of the lock that denies; None where the point cannot know)."""


class PointUnderTest(Protocol):
    """One enforcement point in a process of its own."""

    kind: Literal["gateway", "sdk"]

    def start(self) -> None: ...

    def stop(self, *, kill: bool = False) -> None: ...

    def ask(self, principal: str) -> Answer | None:
        """Whether the principal is denied; None while it cannot be asked."""
        ...


class LockWriter:
    """Writes locks and, while `alive`, heartbeats, as the responder does."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = KafkaProducer(**kafka.client_kwargs(), acks="all", enable_idempotence=True, linger_ms=0)
        self._ended, self.alive = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def put(self, subject: str, state: Literal["locked", "unlocked"], level: Level = "suspend") -> Lock:
        command = f"cmd-{uuid.uuid4().hex}"
        lock = Lock(subject=subject, state=state, command=command, reason="Test.", by="r", at=wire_time(time.time()), level=level)
        self._producer.send(LOCKS, key=subject.encode(), value=encode_json(lock)).get(10)
        return lock

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self._producer.close()

    def _beat(self) -> None:
        while not self._ended.wait(0.2):
            if self.alive.is_set():
                self._producer.send(LOCKS, key=HEARTBEAT_KEY, value=encode_json(LockHeartbeat(wire_time(time.time()))))


def write_key(path: Path) -> None:
    """An agent's key, as the SDK wants it."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(pem)


class _Process:
    program = ""

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        self.folder, self._kafka, self.port = folder, kafka, free_port()
        folder.mkdir(parents=True)
        write_key(folder / "key.pem")
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-c", self.program, str(self.folder), json.dumps(dataclasses.asdict(self._kafka)), str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        self.process.kill() if kill else self.process.terminate()
        self.process.communicate()
        self.process = None


class GatewayPoint(_Process):
    kind: Literal["gateway", "sdk"] = "gateway"
    program = GATEWAY

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        super().__init__(folder, kafka)
        file = folder / "artifacts/models/m/weights.bin"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"w" * 1000)
        self._tokens: dict[str, str] = {}

    def ask(self, principal: str) -> Answer | None:
        if principal not in self._tokens:
            self._tokens[principal] = token = new_token()
            append_token(self.folder / "tokens.jsonl", token_record(token, principal, "human"))
        try:
            answer = httpx.get(
                f"http://127.0.0.1:{self.port}/files/models/m/weights.bin",
                headers={"authorization": f"Bearer {self._tokens[principal]}"},
                timeout=30,
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 401 and "insufficient_user_authentication" not in answer.headers["www-authenticate"]:
            return None  # the token file is read again twice a second
        assert answer.status_code in (200, 401, 403, 503), answer.text
        return answer.status_code != 200, answer.json().get("lock") if answer.status_code != 200 else None


class SdkPoint(_Process):
    kind: Literal["gateway", "sdk"] = "sdk"
    program = SDK

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None and not kill:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.stdin = None
            self.process.wait(30)
        super().stop(kill=kill)

    def ask(self, principal: str) -> Answer | None:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"principal": principal}) + "\n")
        self.process.stdin.flush()
        denied, known, _level, command, text = json.loads(self.process.stdout.readline())
        assert bool(text) == denied
        assert known == (command is not None or not denied)
        return denied, command


def read_events(kafka: KafkaSettings) -> list[Event]:
    """Every event on `events`, whoever sent it."""
    parts = [TopicPartition(EVENTS, shard) for shard in range(SHARDS)]
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None)
    try:
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends = consumer.end_offsets(parts)
        found: list[Event] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    found += [parse_event(raw) for raw in split_items(parse_record(record.value).body)]
        return found
    finally:
        consumer.close()


@contextmanager
def running_point(kind: type[Any], folder: Path, kafka: KafkaSettings) -> Iterator[PointUnderTest]:
    """A point, started, until the block ends."""
    point: PointUnderTest = kind(folder, kafka)
    point.start()
    try:
        yield point
    finally:
        point.stop(kill=True)


def until_answer(point: PointUnderTest, principal: str, wanted: Answer, what: str) -> list[Answer]:
    """Ask until the answer is this one; every answer on the way."""
    seen: list[Answer] = []

    def there() -> bool:
        answer = point.ask(principal)
        if answer is not None:
            seen.append(answer)
        return answer == wanted

    wait_for(there, f"{what} (seen {seen[-1:]})", 60)
    return seen

"""Enforcement points as they run, on a real broker: a gateway's process, and a recorder that is asked; and who writes their locks."""

import contextlib
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
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.recorder import wait_for
from tests.support.recorder_kafka import SHARDS
from tests.support.signing import OPERATORS, Speaker, key_of

from tallystick_infra.kafka.broker import free_port
from tallystick_producers.following import connect
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_producers.keyring import opener_of, read_roles
from tallystick_producers.refused import Refused
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import HEARTBEAT_KEY, Level, Lock, encode_json
from tallystick_schemas.records import parse_record, split_items
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import EVENTS, LOCKS

STALE_S = 3.0
LOG = LogSettings("test", operator_keys=OPERATORS)
POINTS = {"gateway": "door", "sdk": "app"}
"""Kind of a point -> its agent."""
GATEWAY = """
import json, sys
from tallystick_producers.gateway.run import run_gateway
from tallystick_schemas.settings import AgentSettings, GatewaySettings, KafkaSettings, LogSettings
folder, kafka, port, operator = sys.argv[1:]
log = LogSettings("test", operator_keys=(bytes.fromhex(operator),))
gateway = GatewaySettings(f"{folder}/artifacts", f"{folder}/tokens.jsonl", port=int(port), lock_stale_s=3.0)
run_gateway(gateway, AgentSettings("door", KafkaSettings(**json.loads(kafka)), log, f"{folder}/key.pem", f"{folder}/spool"))
"""
SDK = """
import json, sys
from tallystick_producers import Recorder
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
folder, kafka, _, operator = sys.argv[1:]
log = LogSettings("test", operator_keys=(bytes.fromhex(operator),))
settings = AgentSettings("app", KafkaSettings(**json.loads(kafka)), log, f"{folder}/key.pem", f"{folder}/spool", lock_stale_s=3.0)
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
    """Writes locks and, while `alive`, heartbeats, as the responder does: signed, under one fence, with a book that goes on from what the topic has."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = KafkaProducer(**kafka.client_kwargs(), acks="all", enable_idempotence=True, linger_ms=0)
        self.book = read_book(kafka)
        self.speaker = Speaker("responder", fence=max(int(time.time() * 1000), self.book.newest.fence + 1))
        self.late_s = 0.0
        """How old heartbeats are when they arrive."""
        self.guard = threading.RLock()
        """Held while a number is taken and its value is sent: the topic's order is the numbers'."""
        self._ended, self.alive = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def word(self, subject: str, state: Literal["locked", "unlocked"], level: Level = "suspend") -> tuple[Lock, bytes]:
        """A signed word that stands in the book and was not sent."""
        command = f"cmd-{uuid.uuid4().hex}"
        lock = Lock(subject=subject, state=state, command=command, reason="Test.", by="r", at=wire_time(time.time()), level=level)
        with self.guard:
            value = self.speaker.says(LOCKS, subject.encode(), encode_json(lock))
            self.book.take(subject.encode(), value)
        return lock, value

    def put(self, subject: str, state: Literal["locked", "unlocked"], level: Level = "suspend") -> Lock:
        with self.guard:
            lock, value = self.word(subject, state, level)
            self.send(subject.encode(), value)
        return lock

    def heartbeat(self) -> bytes:
        """A signed heartbeat of now that was not sent."""
        with self.guard:
            body = encode_json(self.book.heartbeat(wire_time(time.time() - self.late_s)))
            return self.speaker.says(LOCKS, HEARTBEAT_KEY, body)

    def send(self, key: bytes, value: bytes | None) -> None:
        """Put any value on the topic."""
        self._producer.send(LOCKS, key=key, value=value).get(10)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self._producer.close()

    def _beat(self) -> None:
        while not self._ended.wait(0.2):
            if self.alive.is_set():
                with self.guard:
                    self._producer.send(LOCKS, key=HEARTBEAT_KEY, value=self.heartbeat())


def read_book(kafka: KafkaSettings) -> LockTopic:
    """What topic `locks` says now, roles first."""
    topic, part = LockTopic(opener_of(LOG)), TopicPartition(LOCKS, 0)
    consumer = connect(kafka)
    try:
        consumer.assign([part])
        read_roles(consumer, topic.opener.keyring, Refused(LOCKS))
        end = consumer.end_offsets([part])[part]
        consumer.seek_to_beginning(part)
        while consumer.position(part) < end:
            for record in consumer.poll(timeout_ms=200).get(part, []):
                with contextlib.suppress(ParseError):  # what attackers left there
                    topic.take(record.key, record.value)
    finally:
        consumer.close()
    return topic


def write_key(path: Path, agent: str) -> None:
    """The agent's key, as the SDK wants it."""
    pem = key_of(agent).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(pem)


class _Process:
    kind: Literal["gateway", "sdk"]
    program = ""

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        self.folder, self._kafka, self.port = folder, kafka, free_port()
        folder.mkdir(parents=True)
        write_key(folder / "key.pem", POINTS[self.kind])
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        kafka = json.dumps(dataclasses.asdict(self._kafka))
        command = [sys.executable, "-c", self.program, str(self.folder), kafka, str(self.port), OPERATORS[0].hex()]
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

"""A broker for tests of the recorder, and a notary that only gives receipts: the smallest thing that answers as the real one does."""

import datetime as dt
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from tests.support.recorder import wait_for
from tests.support.signing import Speaker, directive, role_key

from tallystick_infra.deployment.broker_users import MECHANISM, CertificateFiles
from tallystick_infra.kafka.broker import BrokerSettings, free_port, prepare
from tallystick_infra.kafka.jars import ensure_jars
from tallystick_infra.kafka.tls import make_certificates
from tallystick_infra.kafka.topics import Topics
from tallystick_infra.kafka.users import User, Users
from tallystick_infra.supervisor.checks import listens
from tallystick_schemas.access import access_table
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.records import Record, parse_record, split_items
from tallystick_schemas.roles import Role
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS, LOCKS, RECEIPTS

SHARDS = 4


class Broker:
    """One Apache Kafka that can be killed, started again, and started empty."""

    def __init__(self, directory: Path) -> None:
        files = CertificateFiles(directory / "tls")
        make_certificates(files, dt.datetime.now(dt.UTC))
        self.settings = BrokerSettings(directory, free_port(), free_port(), free_port(), files, heap_mb=256)
        self.clients = f"127.0.0.1:{self.settings.port}"
        self.kafka = files.client(f"127.0.0.1:{self.settings.admin_port}")
        """The super user's."""
        self.passwords = {row.role: secrets.token_urlsafe(32) for row in access_table()}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = prepare(self.settings, ensure_jars())
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers, "the broker", 60)

    @property
    def _log(self) -> Path:
        return self.settings.directory / "said.log"

    def check(self) -> None:
        """AssertionError, with what it said last, when it ended although nobody killed it: a test that waits for it would say something else."""
        if self._process is not None and (code := self._process.poll()) is not None:
            said = self._log.read_bytes()[-4000:].decode(errors="replace")
            raise AssertionError(f"the broker ended by itself with {code}: {said}")

    def role(self, role: str, password: str | None = None) -> KafkaSettings:
        """Of a user with the rights of this row of the table."""
        return KafkaSettings(
            self.clients,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=MECHANISM,
            sasl_username=role,
            sasl_password=self.passwords.get(role) if password is None else password,
        )

    def users(self) -> dict[str, User]:
        """One for each row."""
        return {row.role: User(self.passwords[row.role], row.rules()) for row in access_table()}

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def lose_everything(self) -> None:
        """Its data directory is gone; it starts empty."""
        shutil.rmtree(self.settings.directory / "data")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended"
        if not listens(self.settings.admin_port):
            return False  # the client would wait longer each time that nobody is there
        try:
            topics = Topics(self.kafka, SHARDS)
        except (KafkaError, OSError):
            return False
        try:
            topics.ensure()
            with Users(self.kafka) as users:
                users.reconcile(self.users())
        finally:
            topics.close()
        give_roles(self.kafka)
        return True


class TinyNotary:
    """Answers each segment once it was told what to say; keeps what it accepted, in order."""

    def __init__(self, kafka: KafkaSettings, agents: str, verdict: Callable[[SegmentHeader], int | None], speaker: Speaker) -> None:
        self._agents, self._verdict = agents, verdict
        self.seen: list[Record] = []
        self._accepted: set[tuple[str, int]] = set()
        self.events: list[Event] = []
        self._stop = threading.Event()
        self._consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
        self._consumer.assign([TopicPartition(EVENTS, shard) for shard in range(SHARDS)])
        self._consumer.seek_to_beginning()
        self._producer = KafkaProducer(**kafka.client_kwargs(), acks="all", linger_ms=0)
        self._speaker = speaker
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                for record in records:
                    self._take(record.value)

    def _take(self, raw: bytes) -> None:
        record = parse_record(raw)
        header = record.header
        assert isinstance(header, SegmentHeader)
        if not header.agent.startswith(self._agents):
            return
        self.seen.append(record)
        verdict = self._verdict(header)
        if verdict is None:
            return
        if verdict in (0, 1):
            key = (header.run, header.n)
            if key in self._accepted:
                verdict = 2
            else:
                self._accepted.add(key)
                self.events += [parse_event(item) for item in split_items(record.body)]
        receipt = Receipt(header.agent, header.run, header.n, verdict, 0, len(self.seen), "", "")
        key = header.agent.encode()
        self._producer.send(RECEIPTS, key=key, value=self._speaker.says(RECEIPTS, key, encode_receipts([receipt])))

    def ids(self) -> list[str]:
        """`attrs["id"]` of what was accepted."""
        return [event.attrs["id"] for event in self.events if event.attrs and "id" in event.attrs]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()
        self._producer.close(timeout=5)


def give_roles(kafka: KafkaSettings, **roles: list[Role]) -> None:
    """The operator's directives on topic `locks`: the notary's, the responder's, and those of `roles` (agent -> its roles)."""
    producer = KafkaProducer(**kafka.client_kwargs(), acks="all", linger_ms=0)
    for agent, some in {"notary": ["notary"], "responder": ["responder"], **roles}.items():
        producer.send(LOCKS, key=role_key(agent), value=directive(agent, some)).get(30)
    producer.close()


@contextmanager
def tiny_notary(
    kafka: KafkaSettings, agents: str, verdict: Callable[[SegmentHeader], int | None] = lambda _: 0, speaker: Speaker | None = None
) -> Iterator[TinyNotary]:
    """For agents whose names begin with `agents`. A verdict of None: no receipt. `speaker`: who signs the receipts."""
    notary = TinyNotary(kafka, agents, verdict, speaker or Speaker("notary"))
    try:
        yield notary
    finally:
        notary.close()


@contextmanager
def broker(directory: Path) -> Iterator[Broker]:
    one = Broker(directory)
    try:
        one.start()
        yield one
        one.check()
    finally:
        one.kill()

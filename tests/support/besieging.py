"""A running deployment while somebody attacks it: whom it serves meanwhile, who is still locked, and what its history says afterwards."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import psutil
from clickhouse_connect.driver.client import Client
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaProducer
from tests.support.attacking import Door, until

from tallystick_audit.verify import Report, verify_history
from tallystick_infra.bench.verify import wait_sealed
from tallystick_infra.clickhouse.migrate import definitions
from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder
from tallystick_producers.gateway.tokens import append_token, new_token, token_record
from tallystick_schemas.segments import SegmentSigner, new_run
from tallystick_schemas.topics import EVENTS
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.responder.client import Ordering, suspend

INNOCENT: Final = "innocent@example.org"
_PEOPLE: Final = 40
"""Somebody else is locked after each attack."""


class Siege:
    """The deployment, its owner's and a commander's hands. A context manager: it ends the commander's recorder."""

    def __init__(self, supervisor: Supervisor, tokens: dict[str, str]) -> None:
        self.supervisor, self.tokens = supervisor, tokens
        self.deployment: Deployment = supervisor.deployment
        self.owner: Client = clickhouse_connect.get_client(**self.deployment.clickhouse("owner").client_kwargs())
        self._people = (name for name in tokens if name != INNOCENT)
        self.innocent = Door(supervisor, INNOCENT, tokens[INNOCENT])
        self._commander = Recorder.open(self.deployment.agent("cli"))

    def __enter__(self) -> "Siege":
        until(self.supervisor, lambda: self.innocent.status() == 200, "the gateway serves")
        self.lock_somebody()
        return self

    def __exit__(self, *_: object) -> None:
        self._commander.close()

    def url(self, part: str) -> str:
        return f"http://127.0.0.1:{self.supervisor._ports[part]}"

    @contextmanager
    def holds(self) -> Iterator[None]:
        """Inside is an attack: nobody who may come in is kept waiting by it, and an order that is given behind it locks."""
        with self.innocent.watched() as answers:
            yield
            self.lock_somebody()
        assert answers == {200}

    def lock_somebody(self) -> None:
        """Somebody whom the gateway serves is locked by a person, and is kept out."""
        name = next(self._people)
        door = Door(self.supervisor, name, self.tokens[name])
        assert door.status() == 200
        suspend(Ordering(self._commander, f"principal:{name}", "an order behind an attack", "ann"), None)
        until(self.supervisor, lambda: door.status() == 403, f"the order locks {name}", 30)

    def look(self) -> Report:
        """The auditor's report on what is sealed now, with the definitions that the migrations make."""
        return verify_history(self.deployment.clickhouse("auditor"), self.deployment.log(), time.time(), definitions=definitions())

    def judged(self) -> Report:
        """The report on all that the ledger has now."""
        wait_sealed(self.supervisor)
        return self.look()

    def passes(self) -> Report:
        """The report, which finds nothing wrong."""
        report = self.judged()
        assert (report.integrity.value, report.completeness.value, report.failures) == ("pass", "pass", ())
        return report

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.owner.query(query, parameters=parameters).result_rows]

    def alter(self, table: str, change: str, **parameters: Any) -> None:
        """As whoever has the owner's password: done when this returns."""
        self.owner.command(f"ALTER TABLE {table} {change} SETTINGS mutations_sync = 2", parameters=parameters)

    def signer(self, agent: str, key: Ed25519PrivateKey | None = None) -> SegmentSigner:
        """A run of an agent, under its own key or a stranger's."""
        run = new_run(time.time_ns() // 1_000_000, os.urandom(8))
        return SegmentSigner(agent, key or read_key(self.deployment.agent_key(agent)), run)

    def put(self, records: Sequence[bytes], *, key: bytes | None = None, shard: int | None = None) -> None:
        """Records onto topic `events`, with the password of agent `one`; there when this returns."""
        kafka = self.deployment.agent("one").kafka
        with contextlib.closing(KafkaProducer(**kafka.client_kwargs(), acks="all", linger_ms=20)) as producer:
            sent = [producer.send(EVENTS, key=key, value=record, partition=shard) for record in records]
            for one in sent:
                one.get(60)

    def wait_rows(self, query: str, count: int, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, once there are so many."""
        until(self.supervisor, lambda: len(self.rows(query, **parameters)) >= count, f"{count} rows: {query}")
        return self.rows(query, **parameters)

    def verdicts(self, run: str, count: int) -> list[tuple[int, int, Verdict]]:
        """(shard, index, verdict) of a run's entries, once there are so many."""
        query = "SELECT shard, index, verdict FROM ledger_entries FINAL WHERE run = {run:String} ORDER BY index"
        return [(shard, index, Verdict(verdict)) for shard, index, verdict in self.wait_rows(query, count, run=run)]

    def kill(self, part: str) -> None:
        """It stays away until somebody waits for something: the supervisor looks then."""
        self.supervisor.children[part].kill()

    def connections(self, part: str) -> int:
        """How many connections to its port a part has now."""
        guard, port = psutil.Process(self.supervisor.children[part].pid), self.supervisor._ports[part]
        served = [one for process in guard.children(recursive=True) for one in process.net_connections("tcp")]
        return len({one.raddr for one in served if one.laddr.port == port and one.raddr})

    @contextmanager
    def connected(self, part: str) -> Iterator[socket.socket]:
        """A connection to a part's port; within TLS where the part speaks it, whose certificate a stranger need not know."""
        plain = socket.create_connection(("127.0.0.1", self.supervisor._ports[part]), timeout=20)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with plain if part != "clickhouse" else context.wrap_socket(plain) as connection:
            yield connection

    @contextmanager
    def crowded(self, part: str, sockets: int) -> Iterator[None]:
        """So many connections to a part's port that never say a word."""
        with contextlib.ExitStack() as crowd:
            for _ in range(sockets):
                crowd.enter_context(socket.create_connection(("127.0.0.1", self.supervisor._ports[part]), timeout=20))
            yield


def make_tokens(path: Path) -> dict[str, str]:
    """Principal -> token, in a gateway's file: the innocent, and people to be locked."""
    tokens = {name: new_token() for name in (INNOCENT, *(f"person-{n}@example.org" for n in range(_PEOPLE)))}
    for name, token in tokens.items():
        append_token(path, token_record(token, name, "human"))
    return tokens

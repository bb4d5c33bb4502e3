"""The supervisor: a loop over the parts. It is also what `demo`, `bench` and the tests start."""

import dataclasses
import datetime as dt
import fcntl
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import clickhouse_connect

from tallystick_schemas.keys import key_id
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import EVENTS

from ..admission import reconcile
from ..built_in import BUILT_IN_AGENTS
from ..clickhouse.command import clickhouse_command
from ..clickhouse.grants import OWNER
from ..clickhouse.migrate import migrate
from ..control import Control, sending
from ..deployment import Deployment, RunFile
from ..deployment.keyfiles import make_key, read_key
from ..deployment.runfile import read_run, write_run
from ..deployment.store_secrets import make_store_secrets, retire_old_passwords
from ..enrolment import enrolled_keys, read_directives, revoked_keys
from ..errors import AlreadyRunning, NotWritable, StartFailed
from ..kafka.broker import BrokerSettings, check_port, free_port, is_formatted, prepare
from ..kafka.jars import Progress, ensure_jars
from ..kafka.tls import make_certificates
from ..kafka.topics import Topics
from ..operator import Operator
from ..processes import Child, last_words, spawn, tail, wait_until
from ..signals import signals_settings
from .backoff import Backoff
from .checks import check_machine, listens
from .parts import JOBS, START_ORDER, STOP_ORDER, Part, own_command

Say = Callable[[str], None]
ALL_PARTS = START_ORDER
_START_S = 90.0
_STOP_S = 12.0
_LOOK_S = 0.1
_SIGNALLED = 128
_ANNOUNCED = ".announced"
"""Is there once the topics were announced: from then on agents may be writing at any time."""


class Supervisor:
    """One deployment's processes. A context manager: whatever happens inside, nothing is left running."""

    def __init__(
        self,
        deployment: Deployment,
        parts: Sequence[str] = ALL_PARTS,
        say: Say = lambda _: None,
        progress: Progress | None = None,
        adopt: tuple[str, ...] = (),
    ) -> None:
        """`adopt`: parts that may read on, once, what an earlier version kept without a signature."""
        self._adopt = adopt
        self.deployment, self._say, self._progress = deployment, say, progress
        self._started = wire_time(time.time())
        self.wanted = [name for name in parts if name != "signals" or _signals_on(deployment)]
        self.children: dict[str, Child] = {}
        self._parts: dict[str, Part] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._lock = -1
        self._ports: dict[str, int] = {}

    def __enter__(self) -> "Supervisor":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Until every part is ready; an InfraError with nothing left running otherwise."""
        try:
            self._take_directory()
            check_machine(self.deployment.path)
            self._choose_ports()
            self._start_stores()
            self._prepare_stores()
            for name in START_ORDER:
                if name in self.wanted and name not in self.children and name not in ("kafka", "clickhouse"):
                    self._start(self._own_part(name))
            self._await([name for name in self.children if name not in ("kafka", "clickhouse")])
            self._write_run()
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """One look: parts that died are started again, with back-off, and it is said."""
        now = time.monotonic()
        for name in list(self.children):
            # Not a list of pairs: when Kafka is made anew, the jobs after it in this round are other processes already.
            child, backoff = self.children[name], self._backoffs[name]
            if backoff.restart_at is None and child.poll() is not None:
                wait = backoff.died(now)
                child.kill()
                child.close()
                self._say(f"{name} ended ({_reason(child)}); started again in {wait:.1f} s")
            elif backoff.due(now):
                self._restart(name)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping` says so."""
        while not stopping():
            self.watch()
            time.sleep(_LOOK_S)

    def stop(self) -> None:
        """Doors first, stores last; whoever does not listen is ended."""
        for group in STOP_ORDER:
            _end([self.children[name] for name in group if name in self.children])
        self.children = {}
        (self.deployment.path / "run.json").unlink(missing_ok=True) if self._lock >= 0 else None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def part_log(self, name: str) -> Path:
        return self.deployment.path / "logs" / f"{name}.log"

    def _take_directory(self) -> None:
        """One supervisor a directory; the lock is let go by the system when we die."""
        try:
            self._lock = os.open(self.deployment.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise NotWritable(self.deployment.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            run = read_run(self.deployment.path)
            raise AlreadyRunning(self.deployment.path, run.pid if run else None) from error

    def _choose_ports(self) -> None:
        embedded = self.deployment.embedded()
        if embedded.kafka:
            self._ports["kafka"] = check_port(embedded.kafka_port, "Kafka", "[embedded] kafka_port")
            self._ports["kafka_admin"] = free_port()
            self._ports["controller"] = check_port(embedded.controller_port, "Kafka's controller", "[embedded] controller_port")
        if embedded.clickhouse:
            self._ports["clickhouse"] = check_port(embedded.clickhouse_port, "ClickHouse", "[embedded] clickhouse_port")
        self._ports["gateway"] = check_port(self.deployment.gateway().port, "the gateway", "[gateway] port")
        self._ports["console"] = check_port(int(self.deployment.console_table().get("port", 47050)), "the console", "[console] port")

        if "signals" in self.wanted:
            self._ports["signals"] = check_port(signals_settings(self.deployment).port, "shared signals", "[signals] port")

    def _start_stores(self) -> None:
        embedded, path = self.deployment.embedded(), self.deployment.path
        if embedded.clickhouse:
            port = self._ports["clickhouse"]
            secrets = make_store_secrets(self.deployment.keys)  # whoever's password was deleted gets another
            retire_old_passwords(self.deployment.keys)
            command = clickhouse_command(path / "clickhouse", port, secrets, self.deployment.clickhouse(OWNER).database)
            self._start(Part("clickhouse", command, lambda: listens(port)))
        if embedded.kafka:
            self._start_kafka()
        self._await(list(self.children))
        # Every process asks run.json where the stores are.
        self._write_run()

    def _start_kafka(self) -> None:
        """The broker. Where it begins anew while agents knock, none of them gets in: its users are made when its topics were announced."""
        path, port, ports = self.deployment.path, self._ports["kafka"], self._ports
        jars = ensure_jars(progress=self._progress)
        users, heap_mb = self.deployment.broker_users, self.deployment.embedded().kafka_heap_mb
        users.ensure(BUILT_IN_AGENTS)
        make_certificates(users.certificates, dt.datetime.now(dt.UTC))
        settings = BrokerSettings(path / "kafka", port, ports["controller"], ports["kafka_admin"], users.certificates, heap_mb)
        if (path / _ANNOUNCED).exists() and not is_formatted(settings):
            self._say("kafka has no data; its topics are made anew, and what the history lacks is sent again")
        self._start(Part("kafka", prepare(settings, jars), lambda: listens(port)))

    def _announce(self, kafka: KafkaSettings) -> None:
        """Topics, and the generation record as the first of each partition."""
        client = clickhouse_connect.get_client(**self.deployment.clickhouse().client_kwargs())
        topics = Topics(kafka, self.deployment.log().shards)
        try:
            topics.ensure()
            topics.check()
            topics.announce(client, read_key(self.deployment.keys / "operator.key"))
        finally:
            topics.close()
        (self.deployment.path / _ANNOUNCED).touch()

    def _prepare_stores(self) -> None:
        """Tables, topics, their announcement, our own agents' enrolment and roles; all of it again after the stores were lost."""
        clickhouse = self.deployment.clickhouse(OWNER)
        client = clickhouse_connect.get_client(**dataclasses.replace(clickhouse, database="default").client_kwargs())
        migrate(client, clickhouse.database)
        kafka = self.deployment.kafka_admin()
        self._announce(kafka)
        # If we crash before this, a broker that began anew has no users: nobody can have written before the announcement.
        reconcile(self.deployment)
        operator = Operator(read_key(self.deployment.keys / "operator.key"))
        publics = {name: make_key(self.deployment.agent_key(name)) for name in BUILT_IN_AGENTS}
        log = self.deployment.log()
        self._enrol(kafka, operator, set(enrolled_keys(client, log)), publics)
        revoked = revoked_keys(client, log)
        good = {name: public for name, public in publics.items() if (name, key_id(public)) not in revoked}
        Control(log, operator, adopt=self._adopt).ensure(kafka, read_directives(client, log), good)
        self._adopt = ()

    def _enrol(self, kafka: KafkaSettings, operator: Operator, known: set[tuple[str, str]], publics: Mapping[str, bytes]) -> None:
        missing = {name: public for name, public in publics.items() if (name, key_id(public)) not in known}
        if missing:
            # Sent before the agents start, so before their first segment in the same partition; the notary need not run yet.
            with sending(kafka) as send:
                for name, public in missing.items():
                    send(EVENTS, name.encode(), operator.enrol(name, public, "tallystick", time.time()), None)

    def _own_part(self, name: str) -> Part:
        data = self.deployment.path
        if name == "outbox":
            return Part(name, own_command(data, "jobs", name))
        if name in JOBS:
            return Part(name, own_command(data, "jobs", name, "--instance", "embedded"))
        if name == "signals":
            port = self._ports[name]
            return Part(name, [*own_command(data, "jobs", name), "--port", str(port)], lambda: listens(port))
        if name in ("gateway", "console"):
            port = self._ports[name]
            return Part(name, [*own_command(data, name), "--port", str(port)], lambda: listens(port))
        return Part(name, own_command(data, name))

    def _start(self, part: Part) -> None:
        self._parts[part.name] = part
        self.children[part.name] = spawn(part.name, part.command, self.part_log(part.name), _environment(), part.behind)
        self._backoffs.setdefault(part.name, Backoff()).started(time.monotonic())

    def _restart(self, name: str) -> None:
        if name == "kafka" and not (self.deployment.path / "kafka" / "data" / "meta.properties").exists():
            self._rebuild_kafka()
            return
        self._start(self._parts[name])
        self._write_run()

    def _rebuild_kafka(self) -> None:
        """The broker's data is gone: its readers stop, the topics are made and announced anew, and they go on."""
        readers = [name for name in JOBS if name in self.children]
        # All at once: without Kafka most of them do not listen, and each would have its time to do so after the other.
        _end([self.children[name] for name in readers])
        self._start_kafka()
        self._await(["kafka"])
        self._prepare_stores()
        for name in readers:
            self._start(self._parts[name])
        self._write_run()

    def _await(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + _START_S
        for name in names:
            part, child = self._parts[name], self.children[name]
            while True:
                if child.poll() is not None:
                    raise StartFailed(name, tail(child.log) or f"exit code {child.poll()}", child.log)
                if part.ready is None or part.ready():
                    break
                if time.monotonic() > deadline:
                    raise StartFailed(name, f"not ready after {_START_S:.0f} s", child.log)
                time.sleep(0.05)

    def _write_run(self) -> None:
        kafka = f"127.0.0.1:{self._ports['kafka']}" if "kafka" in self._ports else self.deployment.kafka().bootstrap
        write_run(
            self.deployment.path,
            RunFile(
                pid=os.getpid(),
                started=self._started,
                kafka=kafka,
                clickhouse_port=self._ports.get("clickhouse", 0),
                gateway=f"http://127.0.0.1:{self._ports['gateway']}",
                console=f"http://127.0.0.1:{self._ports['console']}",
                processes={name: child.pid for name, child in self.children.items()},
                kafka_admin=f"127.0.0.1:{self._ports['kafka_admin']}" if "kafka_admin" in self._ports else "",
            ),
        )


def _signals_on(deployment: Deployment) -> bool:
    """Shared signals are off unless somebody turned them on, and then nothing of them is loaded."""
    return bool(deployment.signals_table()) and signals_settings(deployment).enabled


def _end(going: Sequence[Child]) -> None:
    """Ask all of them to stop; who does not listen is ended."""
    for child in going:
        child.terminate()
    wait_until(going, _STOP_S)
    for child in going:
        child.kill()
        child.close()


def _reason(child: Child) -> str:
    """Who was killed has no last words; who gave up says why in the last line of its log."""
    code = child.process.returncode
    if code < 0 or code > _SIGNALLED:
        return f"killed by signal {-code if code < 0 else code - _SIGNALLED}"
    return f"{last_words(child.log)[:200] or 'it says nothing'}; exit code {code}, see {child.log.name}"


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}

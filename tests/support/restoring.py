"""A deployment that is stopped, gets older copies of what it keeps, and is started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

import clickhouse_connect
from kafka import KafkaAdminClient, TopicPartition
from tests.support.attacking import FILE, until
from tests.support.deployment import TABLES, check_history, cli, doctor, running, watched

from tallystick_audit.verify import verify_history
from tallystick_audit.verify.report import Aspect
from tallystick_infra.bench.verify import wait_sealed
from tallystick_infra.clickhouse.grants import OWNER
from tallystick_infra.deployment import Deployment
from tallystick_infra.supervisor import Supervisor
from tallystick_infra.supervisor.parts import own_command
from tallystick_schemas.topics import EVENTS
from tallystick_stream_jobs.sealer.refusal import read_refusal

MOST_S = 180.0
COMMAND_S = "100"
"""For which a command waits for the history, which is longer than people are made to wait: machines that run tests may be full."""
STEADY_S = 5.0
"""So long nobody may have started again, where it would at once. What is slower than that is counted at the end of each case."""


@dataclass
class Restoring:
    """`ended`: what the supervisor said of processes that ended by themselves, or were killed. `copies`: where copies lie, one folder a name."""

    supervisor: Supervisor
    ended: list[str]
    copies: Path
    _killed: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.supervisor.deployment.path

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The whole deployment, as docs/operator.md says; agents elsewhere go on recording."""
        self.supervisor.stop()
        yield
        self.supervisor.start()

    def keep(self, name: str, *folders: str) -> None:
        """Copies of these folders of the stopped deployment."""
        for folder in folders:
            shutil.copytree(self.path / folder, self.copies / name / folder, symlinks=True)

    def put(self, name: str, *folders: str) -> None:
        """These folders as they were kept under the name, or empty where none were."""
        for folder in folders:
            shutil.rmtree(self.path / folder)
            if (copy := self.copies / name / folder).exists():
                shutil.copytree(copy, self.path / folder, symlinks=True)
            else:
                (self.path / folder).mkdir(mode=0o700)

    def kill(self, part: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; the supervisor starts it again when it looks."""
        os.killpg(self.supervisor.children[part].pid, how)
        self.supervisor.children[part].process.wait()
        self._killed[part] = self._killed.get(part, 0) + 1

    @contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """A part that does nothing meanwhile."""
        os.killpg(self.supervisor.children[part].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.supervisor.children[part].pid, signal.SIGCONT)

    def run(self, *arguments: str) -> tuple[int | None, str]:
        """(exit code, what was said) of a command, the supervisor at work meanwhile."""
        command = own_command(self.path, *arguments)
        code, out, err = watched(self.supervisor, subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True), MOST_S)
        return code, out + err

    def until(self, condition: Callable[[], object], what: str, seconds: float = MOST_S) -> None:
        until(self.supervisor, condition, what, seconds)

    def refusal(self) -> str:
        """Why the sealer signs nothing; empty where it does."""
        return read_refusal(self.path / "sealer")

    def refused(self, words: str) -> None:
        """Until the sealer says these words, signs nothing, and stays."""
        self.until(lambda: words in self.refusal(), f"the sealer says: {words}")
        self.check_stay("sealer")
        told = doctor(self.supervisor)["sealer"]
        assert (told["ok"], words in told["seen"]) == (False, True), told

    def seals_again(self) -> None:
        """Until nothing forbids the sealer to sign."""
        self.until(lambda: not self.refusal(), "the sealer signs again")

    def log_since(self, part: str) -> Callable[[], str]:
        """What a part's log says from here on."""
        log = self.supervisor.part_log(part)
        begin = log.stat().st_size if log.exists() else 0
        return lambda: log.read_bytes()[begin:].decode("utf-8", "replace") if log.exists() else ""

    def check_stay(self, *parts: str) -> None:
        """None of these starts again."""
        before = {part: self.supervisor.children[part].pid for part in parts}
        deadline = time.monotonic() + STEADY_S
        while time.monotonic() < deadline:
            self.supervisor.watch()
            time.sleep(0.1)
        assert {part: self.supervisor.children[part].pid for part in parts} == before, self.ended[-5:]

    @contextmanager
    def ends_well(self, gap_of: str = "", **may_end: int) -> Iterator[None]:
        """Verified, one history, every part well; and nobody ended oftener than was killed here or is allowed.

        `gap_of`: an agent of which segments are missing, as the auditor must say; nothing else may be wrong.
        """
        self.ended.clear()
        self._killed.clear()
        yield
        self.seals_again()
        if gap_of:
            self.check_gap(gap_of)
        else:
            check_history(self.supervisor)
        self.check_one_history()
        checks = doctor(self.supervisor)
        wrong = {
            name: checks[name] for name in ("notary", "sealer", "roles", "shown roots", "tables", "responder") if not checks[name]["ok"]
        }
        assert wrong == {}
        self.check_starts(may_end)

    def check_gap(self, agent: str) -> None:
        """All that is there is what was signed; the auditor names the segments that are not."""
        wait_sealed(self.supervisor)
        report = verify_history(self.supervisor.deployment.clickhouse(), self.supervisor.deployment.log(), time.time())
        assert report.integrity.value == "pass", report.failures
        assert {one.verdict for one in report.failures} == {Aspect.COMPLETENESS}
        assert any(f" of {agent}: segments " in one.reason and "are missing" in one.reason for one in report.failures), report.failures

    def check_starts(self, may_end: dict[str, int]) -> None:
        """No process started again and again."""
        times = {part: sum(line.startswith(f"{part} ended") for line in self.ended) for part in self.supervisor.children}
        more = {part: count for part, count in times.items() if count > self._killed.get(part, 0) + may_end.get(part, 0)}
        assert more == {}, self.ended

    def check_one_history(self) -> None:
        """No two checkpoints of one size."""
        twice = "SELECT origin, size FROM checkpoints GROUP BY origin, size HAVING count(DISTINCT root) > 1"
        assert list(self.owner().query(twice).result_rows) == []

    def owner(self) -> clickhouse_connect.driver.client.Client:
        return clickhouse_connect.get_client(**self.supervisor.deployment.clickhouse(OWNER).client_kwargs())

    def ledger_ends(self) -> dict[int, tuple[int, int]]:
        """Of each shard, index and offset of its newest entry."""
        query = "SELECT shard, max(index), argMax(offset, index) FROM ledger_entries GROUP BY shard"
        return {shard: (index, offset) for shard, index, offset in self.owner().query(query).result_rows}

    def expire_events(self) -> None:
        """Kafka deletes what the ledger has of `events`, as after `retention.ms`."""
        admin = KafkaAdminClient(**self.supervisor.deployment.kafka_admin().client_kwargs())
        try:
            admin.delete_records({TopicPartition(EVENTS, shard): offset + 1 for shard, (_, offset) in self.ledger_ends().items()})
        finally:
            admin.close()


@contextmanager
def restoring(path: Path, parts: Sequence[str], agents: Sequence[str] = ("one",)) -> Iterator[Restoring]:
    """A deployment at the same ports after each start, since agents elsewhere knock there."""
    ended: list[str] = []
    ports = dict(zip(("kafka_port", "controller_port", "clickhouse_port"), quiet_ports(3), strict=True))
    tables = {**TABLES, "embedded": ports}
    with running(path / "data", parts, agents, tables, _with_a_file, ended.append) as supervisor:
        yield Restoring(supervisor, ended, path / "copies")


def _with_a_file(deployment: Deployment) -> None:
    file = deployment.path / "artifacts" / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"w" * 1000)


def patient(supervisor: Supervisor, *arguments: str) -> dict[str, Any]:
    """The JSON of a command that waits for the history."""
    found: dict[str, Any] = cli(supervisor, *arguments, "--timeout", COMMAND_S)
    return found


def quiet_ports(count: int) -> list[int]:
    """Ports that are free, below those that systems give to whoever asks for any: nobody takes them while the deployment is stopped."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found

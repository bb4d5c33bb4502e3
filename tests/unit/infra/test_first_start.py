"""What can go wrong before anything runs: one sentence that names the thing and the mend, and nothing left running."""

import hashlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tallystick_infra.cli import main
from tallystick_infra.deployment import Deployment
from tallystick_infra.errors import AlreadyRunning, DiskFull, FetchFailed, PortBusy, TooLittleMemory, WrongSum
from tallystick_infra.kafka import jars as jars_module
from tallystick_infra.kafka.broker import classpath
from tallystick_infra.kafka.jars import Jar, ensure_jars, locked_jars, parse_lock
from tallystick_infra.processes import spawn
from tallystick_infra.supervisor import Supervisor
from tallystick_infra.supervisor.checks import check_machine
from tallystick_schemas.errors import ParseError

CONTENT = b"a jar, as it were" * 1000
JAR = Jar("org.example", "thing", "1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Repository(http.server.BaseHTTPRequestHandler):
    """A Maven repository with one jar. `content` is what it answers with."""

    content = CONTENT
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.path.endswith(JAR.path) else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(jars_module, "locked_jars", lambda: [JAR])
    monkeypatch.setattr(Repository, "content", CONTENT)
    monkeypatch.setattr(Repository, "asked", 0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_jars_are_fetched_once_and_checked_at_every_start(tmp_path: Path, repository: str) -> None:
    told: list[tuple[int, int]] = []
    folder = ensure_jars(tmp_path, lambda done, total: told.append((done, total)), repository)
    assert (folder / JAR.name).read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    ensure_jars(tmp_path, None, "http://127.0.0.1:1/")
    assert Repository.asked == 1
    (folder / JAR.name).write_bytes(CONTENT + b"!")
    with pytest.raises(WrongSum, match=r"thing-1\.0\.jar"):
        ensure_jars(tmp_path, None, repository)


@pytest.mark.parametrize("content", [b"x" * len(CONTENT), CONTENT[:-1], CONTENT + b"x", b""])
def test_a_wrong_sum_is_refused_and_not_kept(tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(Repository, "content", content)
    with pytest.raises((WrongSum, FetchFailed), match=r"thing-1\.0\.jar"):
        ensure_jars(tmp_path, None, repository)
    assert not (tmp_path / "kafka-jars" / JAR.name).exists()


def test_no_network_is_a_sentence(tmp_path: Path, repository: str) -> None:
    assert repository
    with pytest.raises(FetchFailed, match=r"thing-1\.0\.jar"):
        ensure_jars(tmp_path, None, "http://127.0.0.1:1/")


def test_no_room_is_known_before_the_first_byte(tmp_path: Path, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(DiskFull):
        ensure_jars(tmp_path, None, repository)
    assert Repository.asked == 0


def test_the_committed_lock_file_is_whole() -> None:
    jars = locked_jars()
    assert len(jars) > 20
    assert 40 << 20 < sum(jar.size for jar in jars) < 50 << 20
    assert len({jar.name for jar in jars}) == len(jars)
    with pytest.raises(ParseError, match="line 2"):
        parse_lock("# fine\nnot an entry\n")


def test_the_broker_runs_what_the_lock_file_names_and_nothing_else_in_the_folder(tmp_path: Path) -> None:
    for name in ("aaa-first.jar", "kafka_2.13-evil.jar", "sub.jar"):
        (tmp_path / name).write_bytes(b"PK")
    paths = classpath(tmp_path).split(os.pathsep)
    assert [Path(path).name for path in paths] == [jar.name for jar in locked_jars()]
    assert {Path(path).parent for path in paths} == {tmp_path}
    assert not any("*" in path for path in paths)


def test_too_little_room_or_memory_is_said(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=str(tmp_path)):
        check_machine(tmp_path, need_disk_mb=1 << 40)
    with pytest.raises(TooLittleMemory, match="MB"):
        check_machine(tmp_path, need_memory_mb=1 << 40)


@pytest.mark.embedded
def test_a_busy_port_is_named_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        deployment = Deployment.create(tmp_path / "d", {"embedded": {"kafka_port": port, "controller_port": 0, "clickhouse_port": 0}})
        with pytest.raises(PortBusy, match=rf"{port}.*kafka_port"), Supervisor(deployment, []):
            pass
    assert not (tmp_path / "d" / "run.json").exists()
    assert [child for child in psutil.Process().children(recursive=True) if "tallystick_infra" in " ".join(child.cmdline())] == []


def test_a_second_instance_is_told_who_runs(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "d", {})
    first, second = Supervisor(deployment, []), Supervisor(deployment, [])
    first._take_directory()
    try:
        with pytest.raises(AlreadyRunning, match=str(tmp_path / "d")):
            second.start()
    finally:
        first.stop()


def test_errors_are_a_sentence_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["locks", "--data", str(tmp_path / "nothing here")])
    said = capsys.readouterr().err
    assert ended.value.code not in (0, None)
    assert "nothing here" in said
    assert "Traceback" not in said


def test_a_child_ends_with_its_parent_however_the_parent_ends(tmp_path: Path) -> None:
    """kill -9 of the parent: the child, and what the child started, are gone."""
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from tallystick_infra.processes import spawn
        sleep = "import time; time.sleep(600)"
        grandchild = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', '{sleep}']); print(p.pid, flush=True); {sleep}"
        spawn("child", [sys.executable, "-c", grandchild], Path(sys.argv[1]))
        time.sleep(600)
    """)
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", program, str(log)])
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pids = [process.pid for process in psutil.Process(parent.pid).children(recursive=True)]
    assert int(log.read_text()) in pids
    assert len(pids) == 3
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(10)
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def test_a_child_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    child = spawn("stubborn", [sys.executable, "-c", stubborn], tmp_path / "log")
    deadline = time.monotonic() + 20
    while "up" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert child.stop(grace_s=0.2) != 0
    assert child.poll() is not None
    assert ((tmp_path / "log").stat().st_mode & 0o777) == 0o600


def test_a_child_stands_as_far_back_as_is_said(tmp_path: Path) -> None:
    """Among all processes: where Linux groups them by session, being nice counts within one alone."""
    program = "import os, pathlib; g = pathlib.Path('/proc/self/autogroup'); print(os.nice(0), g.read_text() if g.exists() else 'nice 5')"
    before = os.nice(0)
    for behind in (0, 5):
        child = spawn("child", [sys.executable, "-c", program], tmp_path / str(behind), behind=behind)
        assert child.process.wait(20) == 0
        child.close()
    assert (tmp_path / "0").read_text().split()[0] == str(before)
    assert (tmp_path / "5").read_text().split()[0] == str(before + 5)
    assert (tmp_path / "5").read_text().split()[-1] == "5"

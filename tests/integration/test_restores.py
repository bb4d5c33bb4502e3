"""Each restore that docs/operator.md describes, under load before, during and after: it ends in a verified pass or in a gap that is named.

Never in two histories, and never in a process that starts again and again. The tests run in this order, on one deployment.
"""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import pytest
from tests.support.deployment import check_exactly_once, check_history, cli, doctor, record, running, wait_confirmed

from tallystick_infra.clickhouse.grants import OWNER
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
_STEADY_S = 12.0
"""Longer than the longest back-off of the supervisor: who started again would be another process."""


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with running(tmp_path_factory.mktemp("restores"), ["notary", "sealer"]) as started:
        yield started


@contextmanager
def load(supervisor: Supervisor, name: str) -> Iterator[None]:
    """Events all the time; afterwards each is in the history once."""
    ids: list[str] = []
    over = threading.Event()
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:

        def work() -> None:
            while not over.is_set():
                ids.extend(record(recorder, 10, name))
                over.wait(0.1)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        wait_confirmed(supervisor, recorder)
    check_exactly_once(supervisor, ids, f"{name}@example.org")


def kill(supervisor: Supervisor, part: str) -> None:
    os.killpg(supervisor.children[part].pid, signal.SIGKILL)
    supervisor.children[part].process.wait()


def watch(supervisor: Supervisor, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        supervisor.watch()
        if until():
            return True
        time.sleep(0.1)
    return False


def copy_of(supervisor: Supervisor, part: str, folder: str, target: Path) -> Path:
    """A copy of a part's folder, taken while the part is stopped."""
    kill(supervisor, part)
    shutil.copytree(supervisor.deployment.path / folder, target / folder)
    watch(supervisor, 60, lambda: supervisor.children[part].poll() is None)
    watch(supervisor, 5)
    return target / folder


def put_back(supervisor: Supervisor, part: str, folder: str, copy: Path | None) -> None:
    kill(supervisor, part)
    shutil.rmtree(supervisor.deployment.path / folder)
    if copy is not None:
        shutil.copytree(copy, supervisor.deployment.path / folder)


def refusal(supervisor: Supervisor) -> str:
    path = supervisor.deployment.path / "sealer" / "refusal.txt"
    return path.read_text() if path.exists() else ""


def check_stays(supervisor: Supervisor, *parts: str) -> None:
    """None of these starts again."""
    before = {part: supervisor.children[part].pid for part in parts}
    watch(supervisor, _STEADY_S)
    assert {part: supervisor.children[part].pid for part in parts} == before


def check_one_history(supervisor: Supervisor) -> None:
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse(OWNER).client_kwargs())
    twice = client.query("SELECT origin, size FROM checkpoints GROUP BY origin, size HAVING count(DISTINCT root) > 1").result_rows
    assert list(twice) == []


@pytest.mark.parametrize("kept", [True, False])
def test_the_sealers_directory(supervisor: Supervisor, tmp_path: Path, kept: bool) -> None:
    """From an older copy, or lost: it signs nothing until the operator says so."""
    with load(supervisor, "sealer-older" if kept else "sealer-lost"):
        copy = copy_of(supervisor, "sealer", "sealer", tmp_path)
        put_back(supervisor, "sealer", "sealer", copy if kept else None)
        assert watch(supervisor, 60, lambda: "tallystick sealer adopt" in refusal(supervisor))
        check_stays(supervisor, "sealer")
        line = doctor(supervisor)["sealer"]
        assert (line["ok"], "tallystick sealer adopt" in line["seen"]) == (False, True)
        adopted = cli(supervisor, "sealer", "adopt", "--reason", "restored from a copy")
        assert adopted["size"] > 1
        assert watch(supervisor, 60, lambda: not refusal(supervisor))
        watch(supervisor, 5)
    check_history(supervisor)
    check_one_history(supervisor)


def test_an_older_store_gets_everything_back_by_itself(supervisor: Supervisor, tmp_path: Path) -> None:
    with load(supervisor, "store"):
        copy = copy_of(supervisor, "clickhouse", "clickhouse", tmp_path)
        watch(supervisor, 8)
        put_back(supervisor, "clickhouse", "clickhouse", copy)
        watch(supervisor, 15)
    watch(supervisor, 60, lambda: not refusal(supervisor))
    check_history(supervisor)
    check_one_history(supervisor)


def test_an_older_store_with_the_sealers_directory_of_the_same_moment(supervisor: Supervisor, tmp_path: Path) -> None:
    """Topic `checkpoints` still has what was signed since."""
    with load(supervisor, "store-and-sealer"):
        sealer = copy_of(supervisor, "sealer", "sealer", tmp_path)
        store = copy_of(supervisor, "clickhouse", "clickhouse", tmp_path)
        watch(supervisor, 8)
        put_back(supervisor, "sealer", "sealer", sealer)
        put_back(supervisor, "clickhouse", "clickhouse", store)
        assert watch(supervisor, 60, lambda: "tallystick sealer adopt" in refusal(supervisor))
        cli(supervisor, "sealer", "adopt", "--reason", "both restored from a copy")
        assert watch(supervisor, 90, lambda: not refusal(supervisor)), refusal(supervisor)
        watch(supervisor, 5)
    check_history(supervisor)
    check_one_history(supervisor)


def test_rows_that_the_ledger_lost_are_filled_at_the_notarys_next_start(supervisor: Supervisor) -> None:
    with load(supervisor, "rows"):
        watch(supervisor, 3)
        client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse(OWNER).client_kwargs())
        for table in ("ledger_entries", "events"):
            client.command(f"DELETE FROM {table} WHERE index IN (3, 5)")
        kill(supervisor, "notary")
        watch(supervisor, 15)
    check_history(supervisor)


def test_an_older_kafka_is_named_and_a_new_one_goes_on(supervisor: Supervisor, tmp_path: Path) -> None:
    log = supervisor.part_log("notary")
    with load(supervisor, "kafka"):
        copy = copy_of(supervisor, "kafka", "kafka", tmp_path)
        watch(supervisor, 8)
        put_back(supervisor, "kafka", "kafka", copy)
        assert watch(supervisor, 90, lambda: "Kafka was restored from an older copy" in log.read_text())
        check_stays(supervisor, "notary", "sealer")
        put_back(supervisor, "kafka", "kafka/data", None)
        watch(supervisor, 20)
    check_history(supervisor)
    check_one_history(supervisor)


def test_older_copies_of_store_and_kafka_are_told_and_nothing_is_signed_over_them(supervisor: Supervisor, tmp_path: Path) -> None:
    """What both forgot was signed: nobody has it any more. This is the end of this deployment, so it comes last."""
    with Recorder.open(supervisor.deployment.agent("one")) as recorder:
        kafka = copy_of(supervisor, "kafka", "kafka", tmp_path)
        store = copy_of(supervisor, "clickhouse", "clickhouse", tmp_path)
        record(recorder, 50, "both")
        wait_confirmed(supervisor, recorder)
    check_history(supervisor)
    kill(supervisor, "notary")
    put_back(supervisor, "clickhouse", "clickhouse", store)
    put_back(supervisor, "kafka", "kafka", kafka)
    assert watch(supervisor, 90, lambda: "not signed: shard" in refusal(supervisor)), refusal(supervisor)
    check_stays(supervisor, "notary", "sealer")
    assert doctor(supervisor)["sealer"]["ok"] is False
    check_one_history(supervisor)

"""A deployment that commit 84b3f62 made starts as it is: its history verifies, the operator's directives follow, and its locks hold."""

import dataclasses
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from tests.support.deployment import check_exactly_once, check_history, cli, wait_confirmed
from tests.support.loading import Load, working
from tests.support.restoring import quiet_ports

from tallystick_audit.verify import Report, verify_history
from tallystick_infra.built_in import BUILT_IN, BUILT_IN_AGENTS
from tallystick_infra.clickhouse.command import clickhouse_command
from tallystick_infra.control import read_roles
from tallystick_infra.deployment import Deployment, read_run
from tallystick_infra.deployment.keyfiles import make_key
from tallystick_infra.deployment.store_secrets import make_store_secrets
from tallystick_infra.enrolment import RulesSaid, read_directives
from tallystick_infra.kafka.broker import free_port
from tallystick_infra.processes import spawn
from tallystick_infra.supervisor import Supervisor
from tallystick_infra.supervisor.checks import listens
from tallystick_producers.gateway.tokens import add_token
from tallystick_schemas.directives import LEVEL
from tallystick_schemas.keys import key_id

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
KEPT = Path(__file__).parents[1] / "released" / "84b3f62" / "deployment.tar.xz"
PARTS = ("notary", "detectors", "responder", "outbox", "sealer", "gateway")


@dataclass
class Migrated:
    supervisor: Supervisor
    before: Report
    """What an auditor said of the kept copy, before anything of today ran on it."""
    on: Load
    """The kept agent, which records all the time, from before the start."""

    @property
    def deployment(self) -> Deployment:
        return self.supervisor.deployment


def until(supervisor: Supervisor, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        supervisor.watch()
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def audited(deployment: Deployment) -> Report:
    """The auditor's report with nothing but the store running."""
    port, path = free_port(), deployment.path
    command = clickhouse_command(path / "clickhouse", port, make_store_secrets(deployment.keys), deployment.clickhouse("auditor").database)
    child = spawn("clickhouse", command, path / "logs" / "before.log")
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            assert time.monotonic() < deadline, child.log.read_text()
            time.sleep(0.05)
        return verify_history(dataclasses.replace(deployment.clickhouse("auditor"), port=port), deployment.log(), time.time())
    finally:
        child.stop()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(KEPT) as archive:
        # The archive is ours; Pythons before 3.11.4 know no filter.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    for secret in (folder / "deployment" / "keys").rglob("*.*"):
        secret.chmod(0o600)
    settings = folder / "deployment" / "tallystick.toml"
    # The agent knocks at one place from before the start.
    settings.write_text(settings.read_text().replace("\nkafka_port = 0\n", f"\nkafka_port = {quiet_ports(1)[0]}\n"))
    deployment = Deployment.open(folder / "deployment")
    repository = deployment.path / "artifacts" / "models" / "m"
    repository.mkdir(parents=True)
    (repository / "small.bin").write_bytes(b"small")
    before = audited(deployment)
    # As a first start makes it: the version before knew no users.
    deployment.broker_users.ensure(BUILT_IN_AGENTS)
    supervisor = Supervisor(deployment, PARTS, adopt=("detectors",))
    with working(supervisor, "meanwhile") as on, supervisor:
        yield Migrated(supervisor, before, on)


def directives(deployment: Deployment) -> list[tuple[int, int]]:
    """(shard, verdict) of every entry of kind 7."""
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    query = "SELECT shard, verdict FROM ledger_entries FINAL WHERE kind = 7 ORDER BY shard, index"
    return [(shard, verdict) for shard, verdict in client.query(query).result_rows]


def test_the_history_verified_before_and_knew_no_directive(migrated: Migrated) -> None:
    before = migrated.before
    assert (before.integrity.value, before.completeness.value) == ("pass", "pass")
    assert {failure.step for failure in before.failures} <= {9}, "it is old, and no more than that is wrong"
    assert before.events >= 90


def test_directives_follow_in_every_shard_and_the_history_still_verifies(migrated: Migrated) -> None:
    deployment = migrated.deployment
    wanted = deployment.log().shards + len(BUILT_IN) + 1
    until(migrated.supervisor, lambda: len(directives(deployment)) >= wanted, "the directives are in the ledger")
    assert {verdict for _, verdict in directives(deployment)} == {0}
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    found = read_directives(client, deployment.log())
    assert (found.rules, found.unbelieved) == (dict.fromkeys(range(deployment.log().shards), RulesSaid(0, LEVEL)), 0)
    check_history(migrated.supervisor)


def test_our_own_agents_have_their_roles_and_the_new_one_its_key(migrated: Migrated) -> None:
    deployment = migrated.deployment
    roles = read_roles(deployment.kafka(), deployment.log())
    for name, (wanted, scope) in BUILT_IN.items():
        holder = roles.holder(name, key_id(make_key(deployment.agent_key(name))))
        assert holder is not None, name
        assert (holder.active, holder.roles, holder.scope) == (True, frozenset(wanted), scope)
    listed = {one["agent"]: one for one in cli(migrated.supervisor, "agent", "list")["agents"]}
    assert (listed["one"]["roles"], listed["one"]["scope"], listed["one"]["revoked"]) == (None, None, False)
    assert (listed["gone"]["roles"], listed["gone"]["revoked"]) == (None, True)


def test_the_detectors_read_their_windows_on_as_the_operator_said(migrated: Migrated) -> None:
    client = clickhouse_connect.get_client(**migrated.deployment.clickhouse().client_kwargs())

    def adopted() -> set[str]:
        query = (
            "SELECT resource_id FROM events WHERE action = 'policy.update' AND principal = 'detectors' AND resource_kind = 'detector-state'"
        )
        return {partition for (partition,) in client.query(query).result_rows}

    until(migrated.supervisor, lambda: bool(adopted()), "the history says which windows were read on")


def test_an_agent_of_before_records_on(migrated: Migrated) -> None:
    """Before the start, during it and after it."""
    on = migrated.on
    on.goes_on()
    on.end()
    wait_confirmed(migrated.supervisor, on.recorder)
    assert on.recorder.stats().aside == 0
    check_exactly_once(migrated.supervisor, on.ids, on.principal)
    check_history(migrated.supervisor)


def test_the_responder_still_holds_the_locks_of_before(migrated: Migrated) -> None:
    """From the signed events of the ledger: what lies on the topic of before is unsigned, and nobody's word."""

    def locked() -> set[str]:
        return {lock["subject"] for lock in cli(migrated.supervisor, "locks")["locks"]}

    until(migrated.supervisor, lambda: locked() == {"principal:mallory@example.org", "credential:cred-kept"}, "they are signed anew")


def test_the_locks_of_before_hold_at_the_door(migrated: Migrated) -> None:
    """A stranger's token is good at the door, a locked person's is not: a door that denies everybody proves nothing."""
    deployment = migrated.deployment
    tokens = {
        name: add_token(Path(deployment.gateway().tokens_file), name, "human") for name in ("mallory@example.org", "alice@example.org")
    }
    run = read_run(deployment.path)
    assert run is not None

    def answer(name: str) -> int:
        address = f"{run.gateway}/files/models/m/small.bin"
        return httpx.get(address, headers={"authorization": f"Bearer {tokens[name]}"}, timeout=10).status_code

    until(migrated.supervisor, lambda: answer("alice@example.org") == 200, "the door is open for others")
    assert answer("mallory@example.org") == 403


def test_another_start_sends_nothing_again(migrated: Migrated) -> None:
    before = directives(migrated.deployment)
    migrated.supervisor.stop()
    migrated.supervisor.start()
    check_history(migrated.supervisor)
    assert directives(migrated.deployment) == before

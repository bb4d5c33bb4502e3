"""`tallystick agent` on a running deployment: what an agent may, said and said anew; a key that is rotated, for an agent and for a part of ours."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from kafka import KafkaConsumer, TopicPartition
from tests.support.deployment import check_history, cli, doctor, record, running, wait_confirmed

from tallystick_infra.control import read_roles
from tallystick_infra.deployment.keyfiles import make_key
from tallystick_infra.enrolment import read_directives
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder
from tallystick_producers.keyring import read_opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import HEARTBEAT_KEY
from tallystick_schemas.roles import Holder, Keyring, Scope
from tallystick_schemas.topics import LOCKS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with running(tmp_path_factory.mktemp("roles"), ["notary", "responder", "sealer"], agents=()) as started:
        yield started


def topic(supervisor: Supervisor) -> Keyring:
    return read_roles(supervisor.deployment.kafka(), supervisor.deployment.log())


def said(supervisor: Supervisor, agent: str) -> dict[str, Holder]:
    """Key id -> what the topic says of it; the history says the very same."""
    deployment = supervisor.deployment
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    ledger = {one.key: one.raw for one in read_directives(client, deployment.log()).keyring.agent(agent)}
    found = {one.key: one for one in topic(supervisor).agent(agent)}
    assert ledger == {key: one.raw for key, one in found.items()}
    return found


def own_key(supervisor: Supervisor, agent: str) -> str:
    return key_id(make_key(supervisor.deployment.agent_key(agent)))


def text(supervisor: Supervisor, *arguments: str) -> str:
    command = [sys.executable, "-m", "tallystick_infra.cli", *arguments, "--data", str(supervisor.deployment.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def until(supervisor: Supervisor, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        supervisor.watch()
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def test_an_agent_may_what_was_said_when_it_was_enrolled(supervisor: Supervisor) -> None:
    made = cli(
        supervisor,
        "agent",
        "enrol",
        "door",
        "--role",
        "point",
        "--role",
        "recorder",
        "--may-action",
        "access.*",
        "--may-principal",
        "*@a.org",
    )
    assert (made["roles"], made["scope"]) == (["point", "recorder"], {"actions": ["access.*"], "principals": ["*@a.org"]})
    [holder] = said(supervisor, "door").values()
    assert (holder.roles, holder.scope, holder.n) == ({"point", "recorder"}, Scope(["access.*"], ["*@a.org"]), 0)
    [listed] = [one for one in cli(supervisor, "agent", "list")["agents"] if one["agent"] == "door"]
    assert (listed["roles"], listed["scope"], listed["role_state"]) == (["point", "recorder"], made["scope"], "active")


def test_an_agent_without_a_scope_is_told_what_that_means_and_can_be_given_one(supervisor: Supervisor) -> None:
    told = text(supervisor, "agent", "enrol", "bare")
    assert "findings that rest on it are recommendations alone. `tallystick agent scope bare --may-action …`" in told
    assert "bare" in doctor(supervisor)["roles"]["seen"].partition("without a scope")[2]
    assert cli(supervisor, "agent", "scope", "bare", "--may-action", "model.*")["changed"] is True
    assert cli(supervisor, "agent", "scope", "bare", "--may-action", "model.*")["changed"] is False
    assert cli(supervisor, "agent", "scope", "bare", "--role", "point")["scope"] == {"actions": ["model.*"]}
    [holder] = said(supervisor, "bare").values()
    assert (holder.roles, holder.scope, holder.n) == ({"point"}, Scope(["model.*"]), 2)
    assert "without a scope" not in doctor(supervisor)["roles"]["seen"]


def test_the_keys_of_an_agent_overlap_while_they_are_rotated(supervisor: Supervisor) -> None:
    """docs/operator.md, "Rotate a key": the process with the old key records until it is started again; then the old one ends."""
    deployment, old = supervisor.deployment, own_key(supervisor, "door")
    before = said(supervisor, "door")[old]
    with Recorder.open(deployment.agent("door")) as recorder:
        record(recorder, 5, "old-key")
        made = cli(supervisor, "agent", "rotate", "door")
        assert (made["old_key"], made["key"]) == (old, own_key(supervisor, "door"))
        record(recorder, 5, "old-key-still")
        wait_confirmed(supervisor, recorder)
        assert recorder.stats().aside == 0
    both = said(supervisor, "door")
    assert {key: (one.active, one.roles, one.scope) for key, one in both.items()} == dict.fromkeys(
        (old, made["key"]), (True, before.roles, before.scope)
    )
    kept = deployment.agent_key("door").with_name(f"door.{old}.key")
    assert (key_id(make_key(kept)), kept.stat().st_mode & 0o777) == (old, 0o600)
    with Recorder.open(deployment.agent("door")) as recorder:
        record(recorder, 5, "new-key")
        wait_confirmed(supervisor, recorder)
    text(supervisor, "agent", "revoke", "door", "--key", old, "--reason", "rotated", "--yes")
    assert {key: one.active for key, one in said(supervisor, "door").items()} == {old: False, made["key"]: True}
    with Recorder.open(deployment.agent("door")) as recorder:
        record(recorder, 5, "new-key-alone")
        wait_confirmed(supervisor, recorder)
        assert recorder.stats().aside == 0
    check_history(supervisor)


def test_a_second_rotation_waits_until_the_first_is_over(supervisor: Supervisor) -> None:
    before = own_key(supervisor, "bare")
    cli(supervisor, "agent", "rotate", "bare")
    refused = cli(supervisor, "agent", "rotate", "bare", code=3)
    assert "bare has 2 keys with a role already" in refused["error"]
    assert not supervisor.deployment.agent_key("bare").with_name("bare.key.next").exists()
    assert len(said(supervisor, "bare")) == 2
    assert before in said(supervisor, "bare")


def speaking(supervisor: Supervisor) -> set[str]:
    """Keys that signed a heartbeat among the newest values of `locks`."""
    deployment = supervisor.deployment
    opener, found = read_opener(deployment.kafka(), deployment.log()), set()
    consumer = KafkaConsumer(**deployment.kafka().client_kwargs(), group_id=None)
    try:
        partition = TopicPartition(LOCKS, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(0, end - 2))
        while consumer.position(partition) < end:
            for one in consumer.poll(timeout_ms=500).get(partition, []):
                if one.key == HEARTBEAT_KEY:
                    found.add(opener.open(LOCKS, one.key, one.value).holder.key)
    except ParseError:
        return set()
    finally:
        consumer.close()
    return found


def test_the_responder_is_given_a_new_key_while_it_runs(supervisor: Supervisor) -> None:
    old = own_key(supervisor, "responder")
    until(supervisor, lambda: speaking(supervisor) == {old}, "the responder is heard")
    new = cli(supervisor, "agent", "rotate", "responder")["key"]
    os.killpg(supervisor.children["responder"].pid, signal.SIGTERM)
    until(supervisor, lambda: speaking(supervisor) == {new}, "the responder speaks with its new key")
    text(supervisor, "agent", "revoke", "responder", "--key", old, "--reason", "rotated", "--yes")
    until(supervisor, lambda: speaking(supervisor) == {new}, "it speaks on without the old one")
    checks = doctor(supervisor)
    assert (checks["roles"]["ok"], checks["responder"]["ok"]) == (True, True), checks
    check_history(supervisor)
    assert Path(supervisor.deployment.keys / "agents" / f"responder.{old}.key").exists()


def test_an_agent_that_is_enrolled_again_loses_nothing_and_comes_back_from_a_revocation(supervisor: Supervisor) -> None:
    """docs/operator.md, "Who may say what" and "Rotate a key": what is kept, what is refused, a new password, and the way back."""
    deployment = supervisor.deployment
    made = cli(supervisor, "agent", "enrol", "shelf", "--role", "point", "--may-action", "artifact.*")
    again = cli(supervisor, "agent", "enrol", "shelf")
    assert (again["roles"], again["scope"], again["kept"], again["key"]) == (["point"], {"actions": ["artifact.*"]}, True, made["key"])
    [holder] = said(supervisor, "shelf").values()
    assert (holder.roles, holder.scope, holder.n) == ({"point"}, Scope(["artifact.*"]), 0)
    refused = cli(supervisor, "agent", "enrol", "shelf", "--role", "recorder", code=1)
    assert "take away from shelf: the role point" in refused["error"]
    password = Path(made["kafka_password_file"])
    before = password.read_text()
    cli(supervisor, "agent", "enrol", "shelf", "--new-password")
    assert password.read_text() != before
    with Recorder.open(deployment.agent("shelf")) as recorder:
        record(recorder, 5, "new-password")
        wait_confirmed(supervisor, recorder)
    text(supervisor, "agent", "revoke", "shelf", "--key", made["key"], "--reason", "stolen", "--yes")
    for command in (("rotate", "shelf"), ("scope", "shelf", "--may-action", "*")):
        assert "`tallystick agent enrol shelf`" in cli(supervisor, "agent", *command, code=3)["error"]
    back = cli(supervisor, "agent", "enrol", "shelf")
    assert (back["roles"], back["scope"], back["key"] != made["key"]) == (["point"], {"actions": ["artifact.*"]}, True)
    assert key_id(make_key(Path(back["old_key_file"]))) == made["key"]
    with Recorder.open(deployment.agent("shelf")) as recorder:
        record(recorder, 5, "after-a-revocation")
        wait_confirmed(supervisor, recorder)
        assert recorder.stats().aside == 0
    check_history(supervisor)

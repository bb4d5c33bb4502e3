"""The outbox as a process: a lock reaches a webhook and is proven at a real gateway; it survives kill -9; people mend what was given up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import clickhouse_connect
import pytest
from tests.support.deployment import TABLES, cli
from tests.support.peers import HOOK_SECRET
from tests.support.receiver import Reply, json_reply, receiver

from tallystick_infra.deployment import Deployment
from tallystick_infra.deployment.keyfiles import write_secret
from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.keyring import signer_of
from tallystick_schemas.messages import Point, encode_json
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT
from tallystick_stream_jobs.connectors.signature import Verifier
from tallystick_stream_jobs.outbox.asking import PROBE_PATH
from tallystick_stream_jobs.outbox.errors import OutboxBusy
from tallystick_stream_jobs.outbox.job import alone
from tallystick_stream_jobs.outbox.orders import read_proofs
from tallystick_stream_jobs.outbox.topics import Pen
from tallystick_stream_jobs.responder.client import read_findings

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
WAIT_S = 60.0


class Siem:
    """A receiver that verifies, drops repeats, and can be away or say no."""

    def __init__(self):
        self.told, self.tries, self.status = [], 0, 200
        self._verifier = Verifier(HOOK_SECRET.encode())

    def reply(self, request):
        self.tries += 1
        if self.status == 200 and self._verifier.check(request.headers, request.body, time.time()):
            self.told.append(json.loads(request.body))
        return Reply(self.status)

    def acts(self, subject):
        return [one["act"] for one in self.told if one["decision"]["subject"] == subject]


@pytest.fixture(scope="module")
def siem():
    return Siem()


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory, siem):
    directory = tmp_path_factory.mktemp("outbox")
    deployment = Deployment.create(directory, {**TABLES, "outbox": {"base_s": 0.2, "cap_s": 0.5, "prove_within_s": 2.0}})
    write_secret(deployment.keys / "siem.secret", HOOK_SECRET.encode())
    with receiver(siem.reply) as door:
        table = f'[siem]\nkind = "webhook"\nurl = "{door.url}/hook"\nsecret_file = "siem.secret"\nallow_private = true\n'
        (directory / "connectors.toml").write_text(table)
        with Supervisor(deployment, ["notary", "responder", "outbox", "gateway"]) as running:
            yield running


def until(supervisor, condition):
    end = time.monotonic() + WAIT_S
    while not (found := condition()):
        supervisor.watch()
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def order(supervisor, verb, subject):
    unseen = ["--unseen"] if verb == "lock" else []
    return cli(supervisor, verb, subject, *unseen, "--reason", "stolen token", "--by", "bob@example.org")


LIAR = "gateway@liar"
"""A point of the gateway's own that lets in whom a lock names."""


def proof_of(supervisor, command, point="gateway"):
    found = [one for one in read_proofs(supervisor.deployment.kafka(), supervisor.deployment.log()) if one.command == command]
    return next((one for one in found if one.point == point and one.state == "refused"), None)


def test_a_lock_is_told_and_proven_and_an_unlock_is_told(supervisor, siem):
    cli(supervisor, "token", "add", "ann@example.org")
    locked = order(supervisor, "lock", "ann@example.org")
    until(supervisor, lambda: siem.acts("principal:ann@example.org") == ["suspend"])
    proof = until(supervisor, lambda: proof_of(supervisor, locked["command"]))
    assert proof.hops_ms.keys() >= {"decision", "denial"}
    assert "canary" in proof.how
    assert [one["point"] for one in cli(supervisor, "outbox", "proofs", "--command", locked["command"])["proofs"]] == ["gateway"]
    order(supervisor, "unlock", "ann@example.org")
    until(supervisor, lambda: siem.acts("principal:ann@example.org") == ["suspend", "unlock"])
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    query = "SELECT resource_kind, outcome FROM events WHERE principal = 'outbox' AND action = 'incident.update' ORDER BY time"
    until(supervisor, lambda: {("delivery", "allowed"), ("proof", "denied")} <= set(map(tuple, client.query(query).result_rows)))


def test_an_outbox_that_is_killed_while_its_receiver_is_away_delivers_in_order_afterwards(supervisor, siem):
    siem.status, before = 500, siem.tries
    order(supervisor, "lock", "eve@example.org")
    until(supervisor, lambda: siem.tries > before + 1)
    os.killpg(supervisor.children["outbox"].pid, signal.SIGKILL)
    order(supervisor, "unlock", "eve@example.org")
    order(supervisor, "lock", "eve@example.org")
    assert siem.acts("principal:eve@example.org") == []
    siem.status = 200
    until(supervisor, lambda: siem.acts("principal:eve@example.org") == ["suspend", "unlock", "suspend"])
    until(supervisor, lambda: cli(supervisor, "outbox", "list")["deliveries"] == [])


def failing(supervisor, *arguments):
    """The JSON of a command that must find something wrong."""
    command = [sys.executable, "-m", "tallystick_infra.cli", *arguments, "--json", "--data", str(supervisor.deployment.path)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 1, shown.stderr
    return json.loads(shown.stdout.splitlines()[-1])


def check(supervisor, name):
    """(well, what was seen) of one of doctor's lines."""
    return next((one["ok"], one["seen"]) for one in failing(supervisor, "doctor")["checks"] if one["name"] == name)


def test_what_is_refused_is_given_up_told_and_mended_by_a_person(supervisor, siem):
    siem.status = 401
    locked = order(supervisor, "lock", "joe@example.org")
    delivery = f"{locked['command']}/siem"
    shown = until(supervisor, lambda: cli(supervisor, "outbox", "list")["deliveries"])
    assert [(one["id"], one["state"], one["error"]) for one in shown] == [(delivery, "given-up", "127.0.0.1 answered 401")]
    assert check(supervisor, "outbox") == (False, "0 deliveries wait, 1 given up")
    kafka = supervisor.deployment.kafka()
    found = until(supervisor, lambda: [one for one in read_findings(kafka, supervisor.deployment.log()) if one.detector == "R02"])
    assert f"tallystick outbox retry {delivery}" in found[0].text
    siem.status = 200
    cli(supervisor, "outbox", "retry", delivery, "--reason", "the receiver has its secret again")
    until(supervisor, lambda: siem.acts("principal:joe@example.org") == ["suspend"])


def test_a_point_that_still_lets_him_in_is_told_until_it_refuses(supervisor):
    answers = [Reply(204, b"")]
    with receiver(lambda _: answers[-1]) as door:
        pen = Pen(supervisor.deployment.kafka("gateway"), signer_of(supervisor.deployment.agent("gateway")), int(time.time() * 1000))
        point = Point(name=LIAR, kind="gateway", version="1", at=wire_time(time.time()), probe=f"{door.url}{PROBE_PATH}")
        pen.write(ENFORCEMENT, point.name, encode_json(point))
        locked = order(supervisor, "lock", "liz@example.org")
        kafka = supervisor.deployment.kafka()
        found = until(supervisor, lambda: [one for one in read_findings(kafka, supervisor.deployment.log()) if one.detector == "R01"])
        assert [(one.severity, one.resource) for one in found] == [("critical", "principal:liz@example.org")]
        assert f"still gets in at {LIAR}" in found[0].text
        shown = failing(supervisor, "outbox", "proofs")
        states = {one["point"]: one["state"] for one in shown["proofs"] if one["command"] == locked["command"]}
        assert states == {"gateway": "refused", LIAR: "still-works"}
        assert check(supervisor, "proofs") == (False, f"a lock does not hold at {LIAR}")
        answers.append(json_reply({"lock": locked["command"]}, 403))
        until(supervisor, lambda: proof_of(supervisor, locked["command"], LIAR))
        left = Point(name=LIAR, kind="gateway", version="1", at=wire_time(time.time()), left=True)
        pen.write(ENFORCEMENT, LIAR, encode_json(left))
        pen.close()


def test_a_second_outbox_on_the_deployment_is_refused(supervisor):
    with pytest.raises(OutboxBusy, match="another outbox runs"), alone(Path(supervisor.deployment.jobs().state_dir)):
        raise AssertionError("two at once")


def test_credentials_minted_before_the_lock_are_reported(supervisor):
    actor = Actor("kim@example.org", "human", credential="kim-1")
    with Recorder.open(supervisor.deployment.agent("cli")) as recorder:
        recorder.record("artifact.read", actor=actor, resource=Resource("model", "m"))
        recorder.record("credential.issue", actor=actor, resource=Resource("credential", "kim-2"), durable=True)
        recorder.wait_receipts(WAIT_S)
    order(supervisor, "lock", "kim@example.org")
    kafka = supervisor.deployment.kafka()
    found = until(supervisor, lambda: [one for one in read_findings(kafka, supervisor.deployment.log()) if one.detector == "R03"])
    assert {one.credential for one in found} <= {"kim-1", "kim-2"}
    until(
        supervisor,
        lambda: {"kim-2"} <= {one.credential for one in read_findings(kafka, supervisor.deployment.log()) if one.detector == "R03"},
    )

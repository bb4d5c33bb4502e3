"""Shared signals as they run: a part of a deployment on real Kafka and ClickHouse, told by and telling another one over HTTP."""

import os
import signal
import time
from dataclasses import replace

import clickhouse_connect
import httpx
import psutil
import pytest
import tomli_w
from msgspec.structs import replace as changed
from tests.support.deployment import TABLES, check_history, cli, doctor, running
from tests.support.signals import decision, free_port, served, settings_in, until

from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.responder.client import read_findings
from tallystick_stream_jobs.shared_signals.keyfile import ensure_keyring
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings, ReceiverSettings
from tallystick_stream_jobs.shared_signals.vocabulary import ACCOUNT_DISABLED, PUSH, SESSION_REVOKED, VERIFICATION

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(the supervisor of a deployment with shared signals, its address, the signals of another one that hears it and is heard)."""
    ours, theirs = free_port(), free_port()
    url, there_url = f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}"
    issuer = {
        "iss": there_url,
        "aud": "us",
        "jwks_uri": f"{there_url}/ssf/jwks.json",
        "allow_private": True,
        "lock": True,
        "lock_domains": ["example.org"],
    }
    tables = {
        **TABLES,
        "signals": {"enabled": True, "port": ours, "receivers": {"there": {"allow_private": True}}, "issuers": {"there": issuer}},
        "log": {"command_agents": ["console", "cli", "signals"]},
    }
    hears = IssuerSettings("here", iss=url, aud="there", jwks_uri=f"{url}/ssf/jwks.json", allow_private=True)
    by_hand = replace(hears, name="hand", aud="by-hand")
    us = ReceiverSettings("us", allow_private=True)
    settings = settings_in(tmp_path_factory.mktemp("there"), port=theirs, issuers=(hears, by_hand), receivers=(us,))
    connector = {"kind": "ssf-push", "url": f"{there_url}/ssf/receive/hand", "iss": url, "aud": "by-hand", "allow_private": True}

    def prepare(deployment):
        ensure_keyring(deployment.keys / "signals.json", time.time())
        (deployment.path / "connectors.toml").write_text(tomli_w.dumps({"hand": connector}))

    parts = ["notary", "responder", "outbox", "sealer", "signals"]
    folder = tmp_path_factory.mktemp("here")
    with running(folder, parts, tables=tables, prepare=prepare) as supervisor, served(settings) as there:
        yield supervisor, url, there


@pytest.fixture(scope="module")
def stream(both):
    """Ours, pushed to the other one. Once it is there, decisions reach it."""
    supervisor, url, there = both
    token = cli(supervisor, "signals", "token", "there")["token"]
    headers = {"authorization": f"Bearer {token}"}
    until(lambda: httpx.get(f"{url}/ssf/streams", headers=headers).status_code == 200, "the token is read")
    made = httpx.post(
        f"{url}/ssf/streams", headers=headers, json={"delivery": {"method": PUSH, "endpoint_url": f"{there.url}/ssf/receive/here"}}
    )
    assert made.status_code == 201, made.text
    return made.json()["stream_id"]


def heard_there(there, event, issuer="here"):
    who = f"signals:{issuer}"
    return [one for one in there.sink.events if one.actor.principal == who and (one.attrs or {}).get("event") == event]


def test_a_lock_is_told_to_the_other_one(both, stream):
    supervisor, _, there = both
    made = cli(supervisor, "lock", "mallory@example.org", "--unseen", "--reason", "an exercise", "--by", "ann")
    until(lambda: heard_there(there, ACCOUNT_DISABLED), "it is heard", 60)
    (first,) = heard_there(there, SESSION_REVOKED)
    assert (first.attrs["txn"], first.resource.id) == (made["command"], "mallory@example.org")
    assert first.why.text.endswith("says session-revoked: an exercise")
    # The outbox tells the same to a receiver that is set up by hand, signed with the same keys.
    until(lambda: heard_there(there, ACCOUNT_DISABLED, "hand"), "the connector's tokens are heard", 60)
    (other,) = heard_there(there, SESSION_REVOKED, "hand")
    assert (other.attrs["txn"], other.attrs["jti"] != first.attrs["jti"]) == (made["command"], True)
    until(
        lambda: [one["state"] for one in cli(supervisor, "outbox", "list", "--all")["deliveries"]] == ["done"], "its delivery is done", 60
    )


def test_a_verification_is_sent_and_taken(both, stream):
    supervisor, _, there = both
    assert cli(supervisor, "signals", "verify", stream)["taken"] is True
    assert heard_there(there, VERIFICATION)
    (row,) = cli(supervisor, "signals", "streams")["streams"]
    assert (row["id"], row["status"], row["waiting"], row["refused"], row["last_error"]) == (stream, "enabled", 0, 0, "")
    assert "authorization" not in row


def test_a_killed_part_goes_on_where_it_was(both, stream):
    supervisor, _, there = both
    os.killpg(supervisor.children["signals"].pid, signal.SIGKILL)
    made = cli(supervisor, "lock", "ben@example.org", "--unseen", "--reason", "while signals are away", "--by", "ann")
    told = lambda: [one for one in heard_there(there, SESSION_REVOKED) if one.attrs["txn"] == made["command"]]  # noqa: E731

    def look():
        supervisor.watch()
        return bool(told())

    until(look, "it is told after the restart", 60)
    assert len(told()) == 1


def test_a_signal_from_the_other_one_locks_here_and_is_not_told_back(both, stream):
    supervisor, _, there = both
    token = there.token("us")
    delivery = {"method": PUSH, "endpoint_url": f"{both[1]}/ssf/receive/there"}
    there.ask("POST", "/ssf/streams", token, json={"delivery": delivery, "events_requested": [SESSION_REVOKED]})
    one = decision("cmd-there", "principal:eve@example.org")
    there.decide(changed(one, lock=changed(one.lock, at=wire_time(time.time()))))

    def lock():
        return next((one for one in cli(supervisor, "locks")["locks"] if one["subject"] == "principal:eve@example.org"), None)

    until(lambda: lock() is not None, "eve is locked here", 60)
    made = lock()
    assert made["command"].startswith("set-")
    assert (made["by"], bool(made["until"])) == ("signals:there", True)
    # No event names eve here: the token was answered 202 all the same, so the decision and a finding say it.
    deployment = supervisor.deployment
    nobody = lambda: [  # noqa: E731
        one
        for one in read_findings(deployment.kafka(), deployment.log())
        if (one.detector, one.resource) == ("R04", "principal:eve@example.org")
    ]
    until(nobody, "it is told that nobody of that name is known", 60)
    assert made["command"] in nobody()[0].text
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    query = "SELECT JSONExtractString(raw, 'attrs', 'guard.known') FROM events WHERE JSONExtractString(raw, 'attrs', 'decision') = {command:String}"
    said = lambda: {row[0] for row in client.query(query, parameters={"command": made["command"]}).result_rows} - {""}  # noqa: E731
    until(said, "the decision's event is there", 60)
    assert {one.partition(":")[0] for one in said()} == {"unknown-subject"}
    # A lock of ours that comes after it is told; the one that they caused is not.
    after = cli(supervisor, "lock", "zoe@example.org", "--unseen", "--reason", "the one after", "--by", "ann")
    until(lambda: after["command"] in {one.attrs["txn"] for one in heard_there(there, SESSION_REVOKED)}, "the next one is told", 60)
    assert "eve@example.org" not in {one.resource.id for one in heard_there(there, SESSION_REVOKED)}


def test_the_history_has_it_all_and_holds(both, stream):
    supervisor, _, _ = both
    check_history(supervisor)
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    query = (
        "SELECT action, count() FROM events AS e INNER JOIN ledger_entries AS l ON l.shard = e.shard AND l.index = e.index "
        "WHERE l.agent = 'signals' GROUP BY action"
    )
    counts = dict(client.query(query).result_rows)
    assert (counts["incident.open"], counts["credential.suspend"]) == (1, 1)
    assert counts["policy.update"] >= 1
    assert counts["incident.note"] >= 4


def test_keys_rotate_while_it_runs(both):
    supervisor, url, _ = both
    before = {key["kid"] for key in httpx.get(f"{url}/ssf/jwks.json").json()["keys"]}
    rows = cli(supervisor, "signals", "keys", "rotate")["keys"]
    assert {row["state"] for row in rows} == {"signs", "comes"}
    assert {key["kid"] for key in httpx.get(f"{url}/ssf/jwks.json").json()["keys"]} == {row["kid"] for row in rows} > before
    status = cli(supervisor, "signals", "status")
    checks = doctor(supervisor)
    assert (checks["signals"]["ok"], checks["signals"]["seen"].partition(",")[0]) == (True, "1 stream")
    assert (status["signer"], status["enabled"], status["heard"], status["wrong"]) == (*before, True, {"there": 1}, [])


def test_nothing_is_loaded_that_is_not_needed(both):
    supervisor, _, _ = both
    guard = psutil.Process(supervisor.children["signals"].pid)
    (process,) = guard.children()
    files = {mapped.path for mapped in process.memory_maps()}
    assert any("rust" in path or "cryptography" in path for path in files)
    assert not [path for path in files if "chdb" in path or "datasketches" in path or "aiokafka" in path]

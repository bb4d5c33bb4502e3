"""What a lock does at the door, over real HTTP: step-up, revocation, downloads that are cut, and the probe that asks."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.gateway import RunningGateway, running_gateway

from tallystick_producers.gateway.probe import CANARY, PROBE_PATH, canary_token, ensure_canary
from tallystick_producers.gateway.token_file import read_tokens
from tallystick_producers.gateway.tokens import append_token, ensure_token_file, new_token, remove_tokens, token_record
from tallystick_schemas.signing import wire_time

BIG = 64 << 20
MIB = 1 << 20
SECRET = "s" * 43
FILE = "/files/models/m/weights.bin"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.put("models/m/weights.bin", bytes(BIG))
        running.put("models/m/small.bin", b"small")
        ensure_canary(running.tokens_file, SECRET, time.time())
        running.wait_known(canary_token(SECRET))
        yield running


@pytest.fixture(autouse=True)
def unlocked(gateway: RunningGateway) -> Iterator[None]:
    gateway.sink.events.clear()
    yield
    for subject in ("principal:alice", "principal:bob", "credential:gone"):
        gateway.unlock(subject)


def fresh_token(gateway: RunningGateway, principal: str, issued: float | None) -> str:
    token = new_token()
    append_token(gateway.tokens_file, token_record(token, principal, "human", issued=None if issued is None else wire_time(issued)))
    gateway.wait_known(token)
    return token


def test_a_step_up_is_rfc_9470s_challenge_until_a_token_of_after_the_lock_is_shown(gateway: RunningGateway) -> None:
    old = gateway.token("alice")
    undated = fresh_token(gateway, "alice", None)
    gateway.lock("principal:alice", level="step-up")
    for token in (old, undated):
        answer = gateway.get("/files/models/m/small.bin", token)
        assert answer.status_code == 401
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="tallystick", error="insufficient_user_authentication"')
        assert 'max_age="' in challenge
        assert answer.json()["lock"] == "cmd-7"
        [event] = gateway.events(answer, 1)
        assert (event.action, event.outcome, (event.attrs or {})["lock"]) == ("access.check", "denied", "cmd-7")
    assert gateway.get("/files/models/m/small.bin", fresh_token(gateway, "alice", time.time() + 1)).status_code == 200


def test_suspended_and_revoked_are_403_also_with_a_fresh_token(gateway: RunningGateway) -> None:
    fresh = fresh_token(gateway, "alice", time.time() + 60)
    gateway.lock("principal:alice", level="suspend")
    assert gateway.get("/files/models/m/small.bin", fresh).status_code == 403
    gateway.lock("principal:alice", level="revoke")
    old = gateway.get("/files/models/m/small.bin", gateway.token("alice"))
    assert old.status_code == 403
    assert "revoked for good" in old.json()["error"]
    assert gateway.get("/files/models/m/small.bin", fresh).status_code == 200, "the way back is a new credential"


def ask(gateway: RunningGateway, token: str, lines: str = "", method: str = "GET") -> socket.socket:
    """A request, on a socket that buffers little: what it has read is what was sent."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.settimeout(20)
    client.connect(("127.0.0.1", gateway.port))
    client.sendall(f"{method} {FILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{lines}\r\n".encode())
    return client


def read_on(client: socket.socket) -> int:
    """Bytes until the connection ends, however it ends."""
    total = 0
    try:
        while data := client.recv(64 * 1024):
            total += len(data)
    except ConnectionResetError:
        pass
    return total


@pytest.mark.parametrize(
    "lines", ["", "range: bytes=1000-\r\n", f"range: bytes=0-{BIG // 2},{BIG // 2 + 9}-\r\n"], ids=["all", "range", "ranges"]
)
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
def test_a_download_under_way_ends_with_the_lock(gateway: RunningGateway, lines: str, slow: bool) -> None:
    client = ask(gateway, gateway.token("alice"), lines)
    before = 0
    while before < (MIB // 2 if slow else 8 * MIB):
        before += len(client.recv(64 * 1024))
    # The slow client has stopped reading: the gateway waits for it, and must not wait with the lock.
    gateway.lock("principal:alice", command="cmd-cut")
    [event] = gateway.sink.wait(lambda event: event.action == "artifact.download" and (event.attrs or {}).get("lock") == "cmd-cut")
    after = read_on(client)
    client.close()
    assert after <= MIB, "of a file of 64"
    assert event.outcome == "denied"
    assert event.usage is not None
    assert 0 < (event.usage.bytes or 0) < BIG
    assert "is suspended" in (event.attrs or {})["error"]


def taken_out(gateway: RunningGateway, token: str) -> None:
    record = read_tokens(gateway.tokens_file).find(token)
    assert record is not None
    assert remove_tokens(gateway.tokens_file, record.credential) == 1


def run_out(gateway: RunningGateway, token: str) -> None:
    record = read_tokens(gateway.tokens_file).find(token)
    assert record is not None
    remove_tokens(gateway.tokens_file, record.credential)
    append_token(gateway.tokens_file, msgspec.structs.replace(record, expires=wire_time(time.time() - 1)))


def deleted(gateway: RunningGateway, token: str) -> None:
    gateway.tokens_file.unlink()


@pytest.mark.parametrize("end", [taken_out, run_out, deleted])
@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
def test_a_download_under_way_ends_with_its_token(gateway: RunningGateway, end: Callable[[RunningGateway, str], None], slow: bool) -> None:
    file = gateway.tokens_file.read_bytes()
    token = fresh_token(gateway, "carol", None)
    client = ask(gateway, token)
    before = 0
    while before < (MIB // 2 if slow else 8 * MIB):
        before += len(client.recv(64 * 1024))
    end(gateway, token)
    [event] = gateway.sink.wait(lambda event: event.action == "artifact.download" and event.actor.principal == "carol")
    after = read_on(client)
    client.close()
    ensure_token_file(gateway.tokens_file)
    gateway.tokens_file.write_bytes(file)
    assert after <= MIB, "of a file of 64"
    assert (event.outcome, event.why and event.why.policies) == ("denied", ["token.valid"])
    assert event.usage is not None
    assert 0 < (event.usage.bytes or 0) < BIG


def test_a_download_goes_on_while_the_file_cannot_be_read_or_somebody_elses_line_goes(gateway: RunningGateway) -> None:
    bob = ask(gateway, fresh_token(gateway, "bob", None))
    got = len(bob.recv(64 * 1024))
    remove_tokens(gateway.tokens_file, credential_of(gateway, "carol"))
    gateway.tokens_file.chmod(0o644)
    while got < BIG:
        got += len(data := bob.recv(1 << 20))
        assert data, "it ended early"
    bob.close()
    gateway.tokens_file.chmod(0o600)


def credential_of(gateway: RunningGateway, principal: str) -> str:
    token = fresh_token(gateway, principal, None)
    record = read_tokens(gateway.tokens_file).find(token)
    assert record is not None
    return record.credential


def test_others_go_on_and_a_head_sends_nothing(gateway: RunningGateway) -> None:
    bob = ask(gateway, gateway.token("bob"))
    got = len(bob.recv(64 * 1024))
    gateway.lock("principal:alice")
    while got < BIG:
        got += len(data := bob.recv(1 << 20))
        assert data, "it ended early"
    bob.close()
    answer = gateway.get(FILE, gateway.token("alice"), "HEAD")
    assert (answer.status_code, answer.content) == (403, b"")


def test_the_probe_says_what_the_subjects_own_token_would_get(gateway: RunningGateway) -> None:
    token = gateway.token("bob")
    canary = canary_token(SECRET)
    path = f"{PROBE_PATH}?subject=principal:bob"
    allowed = gateway.get(path, canary)
    assert (allowed.status_code, allowed.content) == (204, b"")
    [event] = gateway.events(allowed, 1)
    assert (event.action, event.outcome, event.resource.kind, event.resource.id) == ("access.check", "allowed", "principal", "bob")
    assert event.usage is not None
    assert event.usage.objects == 0
    assert (event.attrs or {})["probe"] == "true"
    assert event.actor.credential == CANARY

    gateway.lock("principal:bob", command="cmd-9")
    refused = gateway.get(path, canary)
    own = gateway.get("/files/models/m/small.bin", token)
    assert refused.status_code == own.status_code == 403
    assert refused.json()["lock"] == own.json()["lock"] == "cmd-9"
    [event] = gateway.events(refused, 1)
    assert (event.outcome, (event.attrs or {})["lock"]) == ("denied", "cmd-9")

    gateway.lock("principal:bob", command="cmd-10", level="step-up")
    assert gateway.get(path, canary).status_code == gateway.get("/files/models/m/small.bin", token).status_code == 401
    fresh_token(gateway, "bob", time.time() + 5)
    assert gateway.get(path, canary).status_code == 204, "one of his tokens gets in"


def test_the_probe_tells_unknown_from_refused(gateway: RunningGateway) -> None:
    canary = canary_token(SECRET)
    path = f"{PROBE_PATH}?subject=credential:gone"
    assert gateway.get(path, canary).status_code == 404
    gateway.lock("credential:gone", command="cmd-11")
    refused = gateway.get(path, canary)
    assert (refused.status_code, refused.json()["lock"]) == (403, "cmd-11")


def test_the_canary_opens_nothing_else_and_nobody_else_probes(gateway: RunningGateway) -> None:
    canary = canary_token(SECRET)
    assert gateway.get(FILE, canary).status_code == 403
    assert gateway.get("/files/models/m/", canary).status_code == 403
    assert gateway.get(f"{PROBE_PATH}?subject=principal:bob", gateway.token("alice")).status_code == 403
    assert gateway.get(f"{PROBE_PATH}?subject=principal:bob").status_code == 401
    assert gateway.get(PROBE_PATH, canary).status_code == 400
    assert gateway.get(f"{PROBE_PATH}?subject=model:m", canary).status_code == 400
    assert gateway.get(f"{PROBE_PATH}?subject=principal:tallystick-probe", canary).status_code == 404, "it stands in for others"
    assert gateway.get(f"{PROBE_PATH}?subject=principal:bob", canary, "POST").status_code == 405


def test_the_canary_is_made_once(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.jsonl"
    for _ in range(2):
        ensure_canary(tokens, SECRET, time.time())
    assert len(tokens.read_bytes().splitlines()) == 1
    assert SECRET.encode() not in tokens.read_bytes()


def test_a_flood_of_locks_leaves_the_door_open_for_others(gateway: RunningGateway) -> None:
    token = gateway.token("bob")

    def flood() -> None:
        for number in range(2000):
            gateway.lock(f"principal:flood-{number}")

    thread = threading.Thread(target=flood)
    thread.start()
    assert gateway.get("/files/models/m/small.bin", token).status_code == 200
    thread.join(20)
    assert gateway.get("/files/models/m/small.bin", token).status_code == 200

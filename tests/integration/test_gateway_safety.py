"""What strangers and thieves may try: paths out of the root, links, heads without end, clients that take nothing, too many of them."""

import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, running_gateway

from tallystick_producers.serving import Limits

SECRET = b"root:secret"
LIMITS = Limits(head_bytes=8 * 1024, head_s=1.0, body_s=1.0, keep_alive_s=1, stall_s=1.0, connections=8)
SIZE = 64 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("safety")
    (folder / "passwd").write_bytes(SECRET)
    with running_gateway(folder, LIMITS) as running:
        running.put("models/m/weights.bin", b"weights")
        running.put("models/m/sub/deep.bin", b"deep")
        running.put("models/m/%2e%2e", b"a strange name")
        running.put("models/other/private.bin", SECRET)
        running.put("models/m/tallystick.json", b"{}")
        running.put("models/.hidden/weights.bin", SECRET)
        running.put("blobs/shared.bin", b"shared")
        running.put("secrets.txt", SECRET)
        with (running.root / "models/m/large.bin").open("wb") as file:
            file.truncate(SIZE)
        os.mkfifo(running.root / "models/m/pipe.bin")
        for name, target in {
            "out.bin": folder / "passwd",
            "etc": Path("/etc"),
            "sibling.bin": Path("../other/private.bin"),
            "blob.bin": Path("../../blobs/shared.bin"),
            "inner.bin": Path("weights.bin"),
            "nowhere.bin": Path("gone"),
            "loop.bin": Path("loop.bin"),
        }.items():
            (running.root / "models/m" / name).symlink_to(target)
        (running.root / "models/linked").symlink_to("m")
        running.token("alice")
        yield running


@pytest.fixture
def alice(gateway: RunningGateway) -> str:
    return gateway.token("alice")


def connect(gateway: RunningGateway, receive_buffer: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect(("127.0.0.1", gateway.port))
    return client


def request(path: str, token: str, *more: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: x", f"authorization: Bearer {token}", *more, "", ""]).encode("latin-1")


def read_all(client: socket.socket) -> bytes:
    """Everything until the server ends it, whichever way."""
    data = b""
    try:
        while block := client.recv(65536):
            data += block
    except ConnectionResetError:
        pass
    return data


def ask(client: socket.socket, sent: bytes) -> bytes:
    """One request and its whole answer on a connection that stays open; empty when the server cut it."""
    data = b""
    try:
        client.sendall(sent)
        while b"\r\n\r\n" not in data:
            data += (block := client.recv(65536))
            if not block:
                return data
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]  # our answers have one
        while len(body) < length:
            body += client.recv(65536)
        return head + b"\r\n\r\n" + body
    except (ConnectionResetError, BrokenPipeError):
        return data


@pytest.mark.parametrize(
    "path",
    [
        "/files/models/m/../other/private.bin",
        "/files/models/m/%2e%2e/other/private.bin",
        "/files/models/m/%2E%2E%2Fother%2Fprivate.bin",
        "/files/models/m/%252e%252e/other/private.bin",
        "/files/models/m/..%5cother%5cprivate.bin",
        "/files/models/m/..\\other\\private.bin",
        "/files/models/m/weights.bin%00.txt",
        "/files/models/m/%c0%ae%c0%ae/other/private.bin",
        "/files/models/m//etc/passwd",
        "/files/models/m/%2fetc%2fpasswd",
        "/files/models/..%2f..%2fsecrets.txt",
        "/files/models/../secrets.txt",
        "/files/../secrets.txt",
        "/files/models/m/etc/passwd",
        "/files/models/m/out.bin",
        "/files/models/m/sibling.bin",
        "/files/models/m/nowhere.bin",
        "/files/models/m/loop.bin",
        "/files/models/m/pipe.bin",
        "/files/models/m/tallystick.json",
        "/files/models/linked/weights.bin",
        "/files/models/.hidden/weights.bin",
        "/m/resolve/main/../../other/private.bin",
        "/m/resolve/main/%2e%2e%2fother%2fprivate.bin",
        "/..%2fm/resolve/main/weights.bin",
        "/m/resolve/main/" + "a" * 300,
        "/m/resolve/main/" + "a/" * 2500,
        "/m/resolve/main/%zz",
        "/m/resolve/main/a%0d%0ax-injected:%20yes",
    ],
)
def test_no_path_leads_out(gateway: RunningGateway, alice: str, path: str) -> None:
    with connect(gateway) as client:
        client.sendall(request(path, alice, "connection: close"))
        answer = read_all(client)
    assert answer.split(b" ", 2)[1] in (b"400", b"404"), answer[:200]
    assert SECRET not in answer
    assert b"\r\nx-injected" not in answer


def test_a_path_is_decoded_once(gateway: RunningGateway, alice: str) -> None:
    assert gateway.get("/files/models/m/%252e%252e", alice).content == b"a strange name"


def test_links_within_the_repository_and_to_shared_blobs_are_served(gateway: RunningGateway, alice: str) -> None:
    assert gateway.get("/files/models/m/inner.bin", alice).content == b"weights"
    assert gateway.get("/files/models/m/blob.bin", alice).content == b"shared"


def test_a_listing_shows_only_what_is_served(gateway: RunningGateway, alice: str) -> None:
    rows = gateway.get("/api/models/m/tree/main?recursive=true", alice).json()
    assert [row["path"] for row in rows] == ["%2e%2e", "blob.bin", "inner.bin", "large.bin", "sub/deep.bin", "weights.bin"]


def test_a_file_swapped_for_a_link_after_the_listing_is_not_served(gateway: RunningGateway, alice: str) -> None:
    gateway.put("models/swap/weights.bin", SECRET[:4])
    assert gateway.get("/files/models/swap/weights.bin", alice).status_code == 200  # the listing is kept for a second from here
    (gateway.root / "models/swap/weights.bin").unlink()
    (gateway.root / "models/swap/weights.bin").symlink_to("../other/private.bin")
    answer = gateway.get("/files/models/swap/weights.bin", alice)
    assert answer.status_code in (404, 503)
    assert SECRET not in answer.content


@pytest.mark.parametrize("more", [["x-long: " + "a" * 9000], [f"x-{n}: {'b' * 90}" for n in range(100)]])
def test_a_huge_head_is_431(gateway: RunningGateway, alice: str, more: list[str]) -> None:
    with connect(gateway) as client:
        client.sendall(request("/files/models/m/weights.bin", alice, *more))
        assert read_all(client).startswith(b"HTTP/1.1 431 ")


def test_a_head_without_end_is_cut_at_the_limit(gateway: RunningGateway) -> None:
    with connect(gateway) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * (LIMITS.head_bytes + 1))
        assert read_all(client).startswith(b"HTTP/1.1 431 ")


def test_a_huge_path_is_refused(gateway: RunningGateway, alice: str) -> None:
    with connect(gateway) as client:
        client.sendall(request("/" + "a" * LIMITS.head_bytes, alice))
        assert read_all(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("begin", [b"", b"GET /files/models/m/weights.bin HTTP/1.1\r\nx-slow: ", b"\r\n"])
def test_a_client_that_does_not_finish_its_request_is_let_go(gateway: RunningGateway, begin: bytes) -> None:
    with connect(gateway) as client:
        client.sendall(begin)
        assert read_all(client) == b""


def test_a_client_that_drips_its_headers_is_let_go(gateway: RunningGateway) -> None:
    with connect(gateway) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        client.settimeout(0.1)
        ended = False
        deadline = time.monotonic() + 20
        while not ended and time.monotonic() < deadline:
            try:
                client.sendall(b"a")
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                ended = True
        assert ended


def test_a_body_that_does_not_come_is_400(gateway: RunningGateway, alice: str) -> None:
    with connect(gateway) as client:
        head = request("/api/models/m/paths-info/main", alice, "content-length: 100").replace(b"GET", b"POST", 1)
        client.sendall(head)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_too_large_is_400(gateway: RunningGateway, alice: str) -> None:
    answer = gateway.get("/api/models/m/paths-info/main", alice, "POST", content=b"[" * 300_000)
    assert answer.status_code == 400


def test_an_idle_connection_is_closed(gateway: RunningGateway, alice: str) -> None:
    with connect(gateway) as client:
        client.sendall(request("/files/models/m/weights.bin", alice))
        assert read_all(client).endswith(b"weights")


def test_a_crowd_that_asks_nothing_shuts_nobody_out(gateway: RunningGateway, alice: str) -> None:
    crowd: list[socket.socket] = []
    try:
        while len(crowd) < 4 * LIMITS.connections:
            crowd.append(connect(gateway))
            with connect(gateway) as client:
                assert ask(client, request("/healthz", alice)).startswith(b"HTTP/1.1 200 ")
        assert ask(crowd[0], request("/healthz", alice)) == b""
    finally:
        for client in crowd:
            client.close()


def _download(gateway: RunningGateway, principal: str) -> tuple[str, int]:
    """Why a download by this principal ended early, and the bytes its event tells."""
    (event,) = gateway.sink.wait(
        lambda e: e.actor.principal == principal and e.action == "artifact.download" and "progress" not in (e.attrs or {})
    )
    assert event.attrs is not None
    assert event.usage is not None
    assert event.usage.bytes is not None
    return f"{event.outcome}: {event.attrs.get('error', '')}", event.usage.bytes


def test_a_client_that_goes_away_leaves_the_true_number_of_bytes(gateway: RunningGateway) -> None:
    token, taken = gateway.token("leaver"), 0
    with connect(gateway, receive_buffer=32 * 1024) as client:
        client.sendall(request("/files/models/m/large.bin", token))
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        while taken < 8 << 20:
            taken += len(client.recv(65536))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    problem, told = _download(gateway, "leaver")
    assert problem == "error: the client went away"
    # What the operating system still held for the client counts as sent: a few MiB on loopback at the most.
    assert taken - 64 * 1024 <= told < taken + (16 << 20)
    assert told < SIZE


def test_a_client_that_takes_nothing_is_let_go(gateway: RunningGateway) -> None:
    token = gateway.token("sleeper")
    with connect(gateway, receive_buffer=32 * 1024) as client:
        client.sendall(request("/files/models/m/large.bin", token))
        problem, told = _download(gateway, "sleeper")
        assert problem == "error: the client took nothing for 1 s"
        got = read_all(client)
    sent = len(got.partition(b"\r\n\r\n")[2])
    assert sent <= told < SIZE


def test_a_lock_stops_a_transfer_under_way(gateway: RunningGateway) -> None:
    token, reading = gateway.token("thief"), threading.Event()
    got: list[int] = []

    def read_slowly() -> None:
        with connect(gateway, receive_buffer=32 * 1024) as client:
            client.sendall(request("/files/models/m/large.bin", token))
            got.append(len(client.recv(65536)))
            reading.set()
            locked.wait(20)
            got.append(len(read_all(client)))

    locked = threading.Event()
    thread = threading.Thread(target=read_slowly)
    thread.start()
    try:
        assert reading.wait(20)
        gateway.lock("principal:thief")
        locked.set()
        problem, told = _download(gateway, "thief")
    finally:
        locked.set()
        thread.join(20)
        gateway.unlock("principal:thief")
    assert problem.startswith("denied: Access of principal thief is suspended")
    assert told < SIZE
    assert sum(got) < SIZE


def test_a_long_transfer_reports_on_its_way(gateway: RunningGateway) -> None:
    with (gateway.root / "models/m/longer.bin").open("wb") as file:
        file.truncate(130 << 20)
    token = gateway.token("patient")
    answer = gateway.get("/m/resolve/main/longer.bin", token)
    while answer.status_code == 404:  # a listing is kept for a second
        answer = gateway.get("/m/resolve/main/longer.bin", token)
    assert len(answer.content) == 130 << 20
    decision, *reports, done = gateway.events(answer, 4)
    assert decision.action == "access.check"
    progress = [int((event.attrs or {})["progress"]) for event in reports]
    assert len(progress) >= 2
    assert progress == sorted(progress)
    assert progress[0] >= 64 << 20
    assert all(event.usage is None for event in reports)
    assert done.usage is not None
    assert done.usage.bytes == 130 << 20


@pytest.fixture
def besieged(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway of its own: what a stranger used up is not the next test's."""
    with running_gateway(tmp_path) as running:
        running.put("models/m/weights.bin", b"weights")
        running.token("alice")
        yield running


def test_a_strangers_refusals_are_told_at_once_and_then_counted(besieged: RunningGateway) -> None:
    answers = [besieged.get("/files/models/m/weights.bin", "ts_wrong").status_code for _ in range(60)]
    assert answers == [401] * 60
    counting = besieged.sink.wait(lambda event: "stands_for" in (event.attrs or {}))
    alone = [event for event in besieged.sink.events if "stands_for" not in (event.attrs or {})]
    assert 10 <= len(alone) < 30
    assert all(event.action == "auth.fail" and event.outcome == "denied" for event in (*alone, *counting))
    assert counting[0].source is not None
    assert counting[0].source.ip == "127.0.0.1"
    known = [besieged.get("/files/models/m/no", besieged.token("alice")) for _ in range(30)]
    assert all(besieged.events(answer, 1) for answer in known), "whoever is known is never counted"


def test_what_was_counted_is_told_when_the_gateway_ends(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as running:
        for _ in range(40):
            running.get("/files/models/m/weights.bin", "ts_wrong")
    told = [int((event.attrs or {}).get("stands_for", "1")) for event in running.sink.events]
    assert sum(told) == 40


@pytest.mark.parametrize("token", [True, False], ids=["known", "stranger"])
def test_too_many_query_fields_are_a_recorded_400(besieged: RunningGateway, token: bool) -> None:
    query = "&".join(f"a{n}=1" for n in range(101))
    answer = besieged.get(f"/files/models/m/weights.bin?{query}", besieged.token("alice") if token else None)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    [event] = besieged.events(answer, 1)
    assert (event.action, event.outcome) == ("access.check", "denied")
    assert besieged.get(f"/files/models/m/weights.bin?{query.rpartition('&')[0]}", besieged.token("alice")).status_code == 200

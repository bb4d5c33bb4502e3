"""What strangers may try at any server of ours, plain and with TLS: to sit, to drip, to send no body, to take no answer."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.sync.client import connect as websocket

from tallystick_infra.deployment.certificate import make_certificate
from tallystick_producers.serving import Limits, Place, guarded_server

LIMITS = Limits(head_bytes=8 * 1024, head_s=1.0, body_s=0.5, keep_alive_s=2, stall_s=1.0, silent_s=1.0)
LARGE = 64 << 20


@dataclass
class Served:
    """An application that answers what its path says, at a real server."""

    port: int
    context: ssl.SSLContext | None
    held: threading.Event = field(default_factory=threading.Event)
    holding: int = 0

    def plain(self) -> socket.socket:
        """A socket, without TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def connect(self) -> socket.socket:
        return self.plain() if self.context is None else self.context.wrap_socket(self.plain(), server_hostname="127.0.0.1")

    def ask(self, path: str = "/", more: bytes = b"", method: str = "GET") -> bytes:
        with self.connect() as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode() + more + b"\r\n")
            return read_all(client)

    def refuses(self) -> bool:
        """Whether a newcomer is told, or through TLS only sees, that there is no room."""
        try:
            answer = self.ask()
        except OSError:
            return True
        return not answer or answer.startswith(b"HTTP/1.1 503 ")

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
            return
        if scope["path"] == "/hold":
            self.holding += 1
            await asyncio.to_thread(self.held.wait, 20)
        if scope["path"] == "/body":
            while (await receive()).get("more_body"):
                pass
        size = LARGE if scope["path"] == "/large" else 5
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
        for _ in range(size >> 20):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await send({"type": "http.response.body", "body": b"" if size > 5 else b"hello"})


def read_all(client: socket.socket) -> bytes:
    """Everything until the server ends it, whichever way."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while block := client.recv(1 << 20):
            data += block
    return bytes(data)


@contextlib.contextmanager
def serving(limits: Limits, certificate: Path | None = None) -> Iterator[Served]:
    pair = (certificate / "server.crt", certificate / "server.key") if certificate else None
    context = ssl.create_default_context(cafile=str(certificate / "server.crt")) if certificate else None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Served(listener.getsockname()[1], context)
        server = guarded_server(served, Place(certificate=pair, websockets=True, grace_s=1), limits)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.held.set()
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module", params=["plain", "TLS"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    if request.param == "plain":
        return None
    made = tmp_path_factory.mktemp("tls")
    make_certificate(made)
    return made


@pytest.fixture(scope="module")
def served(folder: Path | None) -> Iterator[Served]:
    with serving(LIMITS, folder) as running:
        yield running


Server = Callable[..., contextlib.AbstractContextManager[Served]]


@pytest.fixture
def server_with(folder: Path | None) -> Server:
    return lambda **limits: serving(Limits(**limits), folder)


def test_six_hundred_idle_sockets_shut_nobody_out(server_with: Server) -> None:
    with server_with() as served, ExitStack() as crowd:
        for n in range(600):
            stranger = crowd.enter_context(served.plain())
            if n % 100 == 0:
                stranger.sendall(b"GET / HT")
        assert served.ask().endswith(b"hello")


def test_who_is_answered_stays_and_the_next_is_told(server_with: Server) -> None:
    with server_with(connections=3) as served, ExitStack() as crowd:
        holding = [crowd.enter_context(served.connect()) for _ in range(3)]
        for client in holding:
            client.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        until(lambda: served.holding == 3, "all are under way")
        assert served.refuses()
        served.held.set()
        assert all(read_all(client).endswith(b"hello") for client in holding)
        until(lambda: served.ask().endswith(b"hello"), "the places are free again")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nx-slow: ", b"\r\n"])
def test_a_head_that_does_not_end_is_cut(served: Served, begin: bytes) -> None:
    with served.connect() as client:
        client.sendall(begin)
        assert read_all(client) == b""


def test_a_socket_without_a_handshake_is_cut(served: Served) -> None:
    with served.plain() as client:
        client.sendall(b"" if served.context is None else b"\x16\x03\x01")
        assert read_all(client) == b""


def test_a_head_that_drips_is_cut(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert drips(client, b"a")


def drips(client: socket.socket, piece: bytes, times: int = 200) -> bool:
    """Whether the server ends a connection on which a byte comes every tenth of a second."""
    client.settimeout(0.1)
    for _ in range(times):
        try:
            client.sendall(piece)
            if not client.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_body_of_which_nothing_comes_is_cut(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhal")
        assert read_all(client) == b""


def test_a_body_that_comes_slowly_is_taken(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"POST /body HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n")
        for _ in range(9):
            threading.Event().wait(LIMITS.silent_s / 4)
            client.sendall(b"x")
        assert read_all(client).endswith(b"hello")


def test_a_body_after_its_answer_is_read_for_a_while_and_not_for_ever(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n"
    with served.connect() as client:
        client.sendall(head)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert drips(client, b"x")
    with served.connect() as client:
        client.sendall(head.replace(b"100000000", b"4000000"))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(bytes(4_000_000) + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert read_all(client).endswith(b"hello")


def test_an_answer_that_nobody_takes_is_cut(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        threading.Event().wait(3 * LIMITS.silent_s)
        assert len(read_all(client)) < LARGE


def test_an_answer_that_is_taken_slowly_arrives(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        got, waits = 0, 0
        while block := client.recv(1 << 20):
            got += len(block)
            if got >> 23 > waits:
                waits += 1
                threading.Event().wait(LIMITS.silent_s / 2)
        assert got > LARGE


def test_an_idle_connection_is_closed(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert read_all(client).endswith(b"hello")


def test_a_websocket_outlives_every_timer_and_a_crowd(server_with: Server) -> None:
    with server_with(connections=4, head_s=0.5, silent_s=0.5, stall_s=0.5, keep_alive_s=1) as served, ExitStack() as crowd:
        scheme = "wss" if served.context else "ws"
        with websocket(f"{scheme}://127.0.0.1:{served.port}/", ssl=served.context) as page:
            for _ in range(20):
                crowd.enter_context(served.plain())
            threading.Event().wait(2)
            page.send("still there?")
            assert page.recv(20) == "still there?"
        until(lambda: served.ask().endswith(b"hello"), "there is room")

"""Ports whose owner is of no use: one that takes connections and says nothing, as a stopped process does, one that takes none, one that answers once."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUEUED = 128


@contextmanager
def silent() -> Iterator[int]:
    """A port where the kernel takes connections and nobody reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=QUEUED) as server:
        yield server.getsockname()[1]


@contextmanager
def full() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full, as behind a packet filter that drops."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as waiting:
        address = server.getsockname()
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        yield address[1]


@contextmanager
def answering(answer: Callable[[bytes], bytes] = lambda _: b"x", tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port where each connection's first words get an answer, and the rest silence; no bytes: it hangs up, as it does on a handshake that fails."""
    with socket.create_server(("127.0.0.1", 0), backlog=QUEUED) as server, contextlib.ExitStack() as held:
        over = threading.Event()

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                if over.is_set():
                    connection.close()
                    return
                with contextlib.suppress(OSError), contextlib.ExitStack() as this:
                    this.enter_context(connection)
                    talk = this.enter_context(tls.wrap_socket(connection, server_side=True)) if tls else connection
                    if (heard := talk.recv(4096)) and (said := answer(heard)):
                        talk.sendall(said)
                        held.push(this.pop_all())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            # A thread that waits in accept() is woken by a caller alone.
            socket.create_connection(server.getsockname()).close()
            thread.join(10)

"""A real HTTP server on loopback for connectors to speak to: answers by a script, remembers what it got. And decisions to deliver."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from tallystick_schemas.messages import Decision, Delivery, Lock
from tallystick_schemas.signing import wire_time

NOW = 1_795_406_400.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """`drip`: the body comes one byte at a time for ever. `hang`: nothing comes until the receiver is closed."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drip: bool = False


class Receiver:
    """`reply` decides on each request."""

    def __init__(self, reply: Callable[[Request], Reply] = lambda _: Reply()) -> None:
        self.reply, self.requests = reply, list[Request]()
        self.closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("content-length", 0))
                request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
                receiver.requests.append(request)
                with contextlib.suppress(OSError):
                    self._answer(receiver.reply(request))

            def _answer(self, reply: Reply) -> None:
                if reply.hang:
                    receiver.closing.wait(60)
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "1000000" if reply.drip else str(len(reply.body)))
                self.end_headers()
                self.wfile.write(b"" if reply.drip else reply.body)
                while reply.drip and not receiver.closing.wait(0.02):
                    self.wfile.write(b" ")

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@contextlib.contextmanager
def receiver(reply: Callable[[Request], Reply] = lambda _: Reply()) -> Iterator[Receiver]:
    one = Receiver(reply)
    try:
        yield one
    finally:
        one.close()


def decision(state: str = "locked", subject: str = "principal:ann", number: int = 1, level: str = "suspend", at: float = NOW) -> Decision:
    """One with a lock."""
    command = f"cmd-{number}"
    lock = Lock(subject=subject, state=state, command=command, reason="stolen token", by="bob", at=wire_time(at), level=level)  # type: ignore[arg-type]
    choice = "reinstate" if state == "unlocked" else level
    return Decision(
        id=command,
        at=lock.at,
        by="bob",
        choice=choice,  # type: ignore[arg-type]
        subject=subject,
        principal=subject.partition(":")[2] if subject.startswith("principal:") else "ann",
        reason="stolen token",
        lock=lock,
    )


def delivery(one: Decision | None = None, connector: str = "c", attempts: int = 1, detail: str | None = None) -> Delivery:
    """As the outbox hands it to a connector."""
    one = one or decision()
    name = f"{one.id}/{connector}"
    return Delivery(id=name, decision=one, connector=connector, state="waiting", created_at=one.at, attempts=attempts, detail=detail)


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value), {"content-type": "application/json"})

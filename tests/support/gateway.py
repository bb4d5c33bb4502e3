"""A gateway over a scratch folder, served by the real uvicorn on a free port of loopback, with a sink that keeps what it is told."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.gateway.run import build_app, serve, server_of
from tallystick_producers.gateway.tokens import add_token
from tallystick_producers.instants import now
from tallystick_producers.serving import Limits
from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Event, encode_event, parse_event
from tallystick_schemas.messages import Lock
from tallystick_schemas.settings import GatewaySettings
from tallystick_schemas.signing import wire_time


class KeptEvents:
    """A recorder in memory: every event goes through the format's own parser. `failure`, when set, is raised instead."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.durable: list[Event] = []
        self.failure: Exception | None = None
        self.gate: Callable[[], None] = lambda: None
        self._changed = threading.Condition()

    def record(self, action: str, *, durable: bool = False, time: str | None = None, **fields: Any) -> str:
        if self.failure is not None:
            raise self.failure
        self.gate()
        fields.setdefault("outcome", "allowed")
        event = Event(v=1, salt=to_base64url(bytes(16)), time=time or wire_time(_wall()), action=action, **fields)
        event = parse_event(encode_event(event))
        with self._changed:
            self.events.append(event)
            if durable:
                self.durable.append(event)
            self._changed.notify_all()
        return f"test/{'0' * 32}/{len(self.events)}"

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str:
        return await asyncio.to_thread(self.record, action, durable=durable, **fields)

    def wait(self, wanted: Callable[[Event], bool], count: int = 1, seconds: float = 20.0) -> list[Event]:
        """The events that are wanted, when there are `count` of them."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(found := [event for event in self.events if wanted(event)]) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(found)} of {count} events after {seconds:.0f} s; there are {self.events}"
                self._changed.wait(left)
            return found

    def of(self, request_id: str) -> list[Event]:
        """A request's events."""
        return [event for event in self.events if (event.attrs or {}).get("request_id") == request_id]


def _wall() -> float:
    return time.time()


@dataclass
class RunningGateway:
    """What a test needs of one: where it listens, and its insides."""

    root: Path
    tokens_file: Path
    url: str
    sink: KeptEvents
    locks: LockTable
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def token(self, principal: str, roles: tuple[str, ...] = ()) -> str:
        """A token of the principal, made at the first call."""
        if principal not in self.tokens:
            self.tokens[principal] = add_token(self.tokens_file, principal, "human", roles)
            self.wait_known(self.tokens[principal])
        return self.tokens[principal]

    def wait_known(self, token: str) -> None:
        """Until the gateway has read the token from its file."""
        deadline = time.monotonic() + 10
        while self.get("/files/", token).status_code == 401:
            assert time.monotonic() < deadline, "the token file was not read again"
            time.sleep(0.1)  # a stranger's bucket is small
        self.sink.events.clear()
        self.sink.durable.clear()

    def get(self, path: str, token: str | None = None, method: str = "GET", **kwargs: Any) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **kwargs.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **kwargs)

    def events(self, response: httpx.Response, count: int) -> list[Event]:
        """The events of the request that got this answer, when there are `count`."""
        request_id = response.headers["x-request-id"]
        return self.sink.wait(lambda event: (event.attrs or {}).get("request_id") == request_id, count)

    def put(self, path: str, content: bytes) -> bytes:
        """A file under the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return content

    def lock(self, subject: str, **fields: Any) -> Lock:
        """Lock a subject, as the feed does it."""
        known: dict[str, Any] = {"command": "cmd-7", "reason": "Bulk pull of distinct objects", "by": "responder", "at": wire_time(_wall())}
        lock = Lock(subject=subject, state="locked", **{**known, **fields})
        self.locks.apply(lock)
        return lock

    def unlock(self, subject: str) -> None:
        self.locks.apply(Lock(subject=subject, state="unlocked", command="cmd-8", reason="", by="cli", at=wire_time(_wall())))


@contextmanager
def running_gateway(
    folder: Path,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    sink: Any = None,
    **more: Any,
) -> Iterator[RunningGateway]:
    """A gateway in a thread of its own until the block ends."""
    root, tokens_file = folder / "artifacts", folder / "tokens.jsonl"
    root.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept, locks = sink or KeptEvents(), LockTable(stale_s=1e9)
    locks.heartbeat(now().wall, now())
    settings = GatewaySettings(str(root), str(tokens_file), port=port, **more)
    server = server_of(build_app(settings, kept, locks, limits=limits), settings, limits)
    thread = threading.Thread(target=lambda: asyncio.run(serve(server)), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start"
        threading.Event().wait(0.01)
    try:
        yield RunningGateway(root, tokens_file, f"http://127.0.0.1:{port}", kept, locks)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()

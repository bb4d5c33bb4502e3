"""Shared signals for tests: settings, an issuer that can be made to lie, a deployment's signals served by the real uvicorn on loopback."""

import asyncio
import contextlib
import functools
import json
import socket
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import RSAKey
from tests.support.gateway import KeptEvents

from tallystick_producers.gateway.tokens import add_token, ensure_token_file
from tallystick_producers.serving import Limits
from tallystick_schemas.messages import Decision, Lock
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.shared_signals.keyfile import change_keyring
from tallystick_stream_jobs.shared_signals.keyring import SigningKey, new_key
from tallystick_stream_jobs.shared_signals.run import Signals, serve, server_of
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings, ReceiverSettings, SignalsSettings
from tallystick_stream_jobs.shared_signals.vocabulary import SESSION_REVOKED

NOW = 1_795_406_400.0
ISS, AUD = "https://idp.example.org", "https://tallystick.example.org"
URL = "https://signals.example.org"
MALLORY, ALICE = ({"format": "email", "email": f"{name}@example.org"} for name in ("mallory", "alice"))


@functools.cache
def _first_key() -> SigningKey:
    """Making one takes half a second."""
    return new_key(NOW - 1e6)


def settings_in(folder: Path, **changes: Any) -> SignalsSettings:
    """Signals that live in `folder`, with a receiver `okta`."""
    agents = changes.pop("command_agents", ("console", "cli", "signals"))
    log = LogSettings("test", command_agents=agents)
    agent = AgentSettings("signals", KafkaSettings(), log, str(folder / "agent.key"), str(folder / "spool"))
    known: dict[str, Any] = {
        "receivers": (ReceiverSettings("okta", allow_private=True), ReceiverSettings("other")),
        "issuers": (),
        "enabled": True,
        "min_verification_interval": 60,
    }
    change_keyring(folder / "keys" / "signals.json", lambda ring: ring if ring.keys else ring.begun(_first_key()))
    return SignalsSettings(agent, str(folder), str(folder / "keys" / "signals.json"), str(folder / "tokens.jsonl"), **{**known, **changes})


def issuer_in(folder: Path, key: SigningKey, **changes: Any) -> IssuerSettings:
    """An issuer whose key set lies in a file."""
    file = folder / f"{changes.get('name', 'idp')}.jwks"
    file.write_text(json.dumps({"keys": [key.public()]}))
    known: dict[str, Any] = {"name": "idp", "iss": ISS, "aud": AUD, "jwks_file": str(file)}
    return IssuerSettings(**{**known, **changes})


def decision(name: str = "cmd-1", subject: str = "principal:mallory@example.org", state: str = "locked", **changes: Any) -> Decision:
    """A decision with its lock."""
    lock_fields = {name: changes.pop(name) for name in ("level", "by", "reason") if name in changes}
    lock = Lock(
        subject=subject,
        state=state,  # type: ignore[arg-type]
        command=name,
        at=wire_time(NOW),
        **{"reason": "Bulk pull", "by": "responder", **lock_fields},
    )
    known: dict[str, Any] = {
        "id": name,
        "at": wire_time(NOW),
        "by": lock.by,
        "choice": "suspend",
        "subject": subject,
        "reason": lock.reason,
    }
    return Decision(lock=lock, **{**known, **changes})


@dataclass(frozen=True)
class Liar:
    """An issuer that signs whatever a test wants. `claims` are right ones, to be bent."""

    key: SigningKey

    @classmethod
    def new(cls) -> "Liar":
        return cls(new_key(NOW))

    @staticmethod
    def claims(now: float = NOW, event: str = SESSION_REVOKED, **changes: Any) -> dict[str, Any]:
        """Claims; a change to None takes one out."""
        payload = {"event_timestamp": int(now), "reason_admin": {"en": "Landspeed violation"}}
        right = {
            "iss": ISS,
            "aud": AUD,
            "iat": int(now),
            "jti": "jti-1",
            "txn": "txn-1",
            "sub_id": {"format": "email", "email": "mallory@example.org"},
            "events": {event: payload},
        }
        return {name: value for name, value in {**right, **changes}.items() if value is not None}

    def token(self, claims: dict[str, Any] | None = None, **header: Any) -> bytes:
        """A token; `header` over the right one."""
        protected = {"alg": "RS256", "typ": "secevent+jwt", "kid": self.key.kid, **header}
        payload = json.dumps(claims if claims is not None else self.claims(), separators=(",", ":"))
        return jws.serialize_compact(protected, payload, self.key.private(), algorithms=[protected["alg"]]).encode()


@dataclass
class Served:
    """One deployment's signals, listening."""

    signals: Signals
    sink: KeptEvents
    url: str
    client: httpx.Client
    until: Callable[..., None]

    def ask(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> httpx.Response:
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **kwargs.pop("headers", {})}
        return self.client.request(method, self.url + path, headers=headers, **kwargs)

    def token(self, name: str) -> str:
        """A bearer token that the server knows by now."""
        made = add_token(Path(self.signals.settings.tokens_file), name, "service")
        self.until(lambda: self.ask("GET", "/ssf/streams", made).status_code != 401, "the token file is read again")
        return made

    def push(self, token: bytes, issuer: str = "idp", **headers: str) -> httpx.Response:
        return self.ask("POST", f"/ssf/receive/{issuer}", content=token, headers={"content-type": "application/secevent+jwt", **headers})

    def events(self, action: str) -> list[Any]:
        return [event for event in self.sink.events if event.action == action]

    def decide(self, one: Decision, offset: int = 1) -> list[str]:
        """As the feed does it."""
        return self.signals.transmitter.decided(one, ("decisions", offset), time.time())


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        threading.Event().wait(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(settings: SignalsSettings, limits: Limits = Limits(), sink: KeptEvents | None = None) -> Iterator[Served]:  # noqa: B008 - frozen
    """Signals in a thread of their own, with real clocks, until the block ends. Port 47070 becomes a free one."""
    if settings.port == 47070:
        settings = replace(settings, port=free_port())
    kept = sink or KeptEvents()
    signals = Signals(settings, kept)
    server = server_of(signals.app(), settings, limits)
    thread = threading.Thread(target=lambda: asyncio.run(serve(server)), daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the server starts")
    assert thread.is_alive()
    try:
        with httpx.Client(timeout=40) as client:
            yield Served(signals, kept, f"http://127.0.0.1:{settings.port}", client, until)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
        signals.store.close()


class Door:
    """Signals at ASGI level, without server or loops, under a clock that tests set."""

    def __init__(self, settings: SignalsSettings) -> None:
        self.now, self.sink = NOW, KeptEvents()
        ensure_token_file(Path(settings.tokens_file))
        self.tokens = {
            one.name: add_token(Path(settings.tokens_file), one.name, "service") for one in (*settings.receivers, *settings.issuers)
        }
        self.signals = Signals(settings, self.sink, lambda: self.now)
        self.app = self.signals.app()

    def ask(self, method: str, path: str, body: Any = None, *, who: str | None = "okta", **kwargs: Any) -> httpx.Response:
        """One request, as the receiver `who`."""
        headers = {**({"authorization": f"Bearer {self.tokens.get(who, who)}"} if who else {}), **kwargs.pop("headers", {})}
        content = {"json": body} if isinstance(body, dict | list) else {"content": body}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://signals.test") as client:
                return await client.request(method, path, headers=headers, **content, **kwargs)

        return asyncio.run(send())

    def push(self, token: bytes, issuer: str = "idp", who: str | None = None, **headers: str) -> httpx.Response:
        return self.ask("POST", f"/ssf/receive/{issuer}", token, who=who, headers={"content-type": "application/secevent+jwt", **headers})

    def stream(self, who: str = "okta", **body: Any) -> dict[str, Any]:
        """A new stream's configuration."""
        made = self.ask("POST", "/ssf/streams", body, who=who)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found

    def decide(self, one: Decision, offset: int = 1) -> list[str]:
        return self.signals.transmitter.decided(one, ("decisions", offset), self.now)

    def poll(self, stream_id: str, who: str = "okta", **body: Any) -> dict[str, Any]:
        got = self.ask("POST", f"/ssf/poll/{stream_id}", {"returnImmediately": True, **body}, who=who)
        assert got.status_code == 200, got.text
        found: dict[str, Any] = got.json()
        return found

    def said(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours, checked against the key set that we show."""
        kid = json.loads(_unpadded(token.partition(".")[0]))["kid"]
        shown = {key["kid"]: key for key in self.ask("GET", "/ssf/jwks.json", who=None).json()["keys"]}
        checked = jws.deserialize_compact(token, RSAKey.import_key(shown[kid]), algorithms=["RS256"])
        claims: dict[str, Any] = json.loads(checked.payload or b"")
        return claims

    def actions(self) -> list[str]:
        return [event.action for event in self.sink.events]


def transmitting(folder: Path, **changes: Any) -> Door:
    """A transmitter whose receivers know it as URL."""
    return Door(settings_in(folder, **{"public_url": URL, **changes}))


def events_of(door: Door, polled: dict[str, Any]) -> list[str]:
    """The first event of each token that a poll brought."""
    return [next(iter(door.said(token)["events"])) for token in polled["sets"].values()]


def _unpadded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

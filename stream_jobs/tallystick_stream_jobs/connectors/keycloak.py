"""Keycloak 26: a locked user is disabled, his sessions ended and his offline tokens revoked; an unlock enables him again.

Admin REST API, https://www.keycloak.org/docs-api/26.4.2/rest-api/. The service account's client needs the roles view-users and manage-users of
realm-management. A user is found by username, then by e-mail. Access tokens that are out already go on until they end, at resource servers that
only check the signature; those that ask Keycloak (userinfo, introspection) refuse at once.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tallystick_schemas.messages import Delivery
from tallystick_schemas.words import counted

from .base import Connector, act_of, locked_s, whose
from .errors import Refused
from .http import Answer, Http
from .quoting import form, must_be, query, segment
from .setup import Common, Setup
from .whom import Names

_OURS: Final = "disabled user"
_NOT_OURS: Final = "left disabled user"
_MAX_OFFLINE: Final = 1000
_FIELDS: Final = ("username", "email")
"""Of a user, what a name is looked for in, in this order."""


@dataclass(frozen=True, kw_only=True)
class KeycloakSettings(Common):
    """`url` without a path of a realm, as https://sso.example.org. `client_id`: a confidential client with a service account in the realm."""

    url: str
    realm: str
    client_id: str
    secret_file: str


class Keycloak:
    """An account is open or shut: only the newest order counts."""

    supersedes = True

    def __init__(self, http: Http, settings: KeycloakSettings, secret: str, names: Names) -> None:
        self._http, self._secret, self._names = http, secret, names
        base, realm = settings.url.rstrip("/"), segment(settings.realm)
        self._admin, self._token_url, self._client = (
            f"{base}/admin/realms/{realm}",
            f"{base}/realms/{realm}/protocol/openid-connect/token",
            settings.client_id,
        )

    def deliver(self, delivery: Delivery, now: float) -> str:  # noqa: ARG002 - the port's
        """step-up ends the sessions, so that he must sign in again; suspend and revoke disable him first, so that he cannot; unlock enables."""
        name, act = whose(delivery), act_of(delivery)
        if name is None:
            return "nothing to do: whose credential it is, is not known"
        headers = self._sign_in()
        user = self._find(self._names.there(name) or name, headers)
        if user is None:
            return f"nothing to do: {name!r} has no user here"
        if act == "unlock":
            return self._enable(delivery, user, headers)
        self._names.guard(delivery, [user[field] for field in _FIELDS if user.get(field)])
        # Disabled before anything is ended: a session that is made in between would live on.
        said = "left user as he is" if act == "step-up" else self._disable(delivery, user, headers)
        path = _path(user)
        self._call("POST", f"{path}/logout", headers).check()
        return f"{said}; sessions ended; {self._end_offline(path, headers)} offline sessions revoked"

    def still_works(self, delivery: Delivery, now: float) -> str | None:  # noqa: ARG002 - the port's
        """Asked of Keycloak: the account, its sessions, its offline sessions."""
        name = whose(delivery)
        headers = self._sign_in()
        user = self._find(self._names.there(name) or name, headers) if name else None
        if user is None:
            return None
        if act_of(delivery) != "step-up" and user.get("enabled"):
            return "the user is enabled"
        path, before = _path(user), None
        if act_of(delivery) == "step-up":
            # Whoever signs in anew has a session again: that is what a step-up is for.
            before = locked_s(delivery) * 1000
        sessions = [*self._call("GET", f"{path}/sessions", headers).check().json(), *self._offline(path, headers)]
        live = [one for one in sessions if before is None or one.get("start", 0) < before]
        return f"{counted(len(live), 'session is', 'sessions are')} alive" if live else None

    def _disable(self, delivery: Delivery, user: dict[str, Any], headers: dict[str, str]) -> str:
        """Whether he was enabled before us decides whether an unlock enables him; a first attempt sees it, a repeat may see our own work."""
        earlier = delivery.detail
        ours = user.get("enabled") or delivery.attempts > 1 or (earlier is not None and not earlier.startswith(_NOT_OURS))
        if user.get("enabled"):
            self._call("PUT", _path(user), headers, {**_writable(user), "enabled": False}).check()
        return _OURS if ours else f"{_NOT_OURS} as he was"

    def _enable(self, delivery: Delivery, user: dict[str, Any], headers: dict[str, str]) -> str:
        earlier = delivery.detail
        if earlier is None or earlier.startswith((_NOT_OURS, "nothing to do", "left user")):
            return "nothing to undo: he was not disabled by us"
        self._call("PUT", _path(user), headers, {**_writable(user), "enabled": True}).check()
        return "enabled user; what was signed out stays so"

    def _offline(self, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
        """His offline sessions: those of each client that he gave an offline token."""
        consents = self._call("GET", f"{path}/consents", headers).check().json()
        clients = {
            grant["client"] for one in consents for grant in one.get("additionalGrants") or () if grant.get("key") == "Offline Token"
        }
        found: list[dict[str, Any]] = []
        for client in sorted(clients):
            found += self._call("GET", f"{path}/offline-sessions/{segment(client)}", headers).check().json()
        return found[:_MAX_OFFLINE]

    def _end_offline(self, path: str, headers: dict[str, str]) -> int:
        ended = self._offline(path, headers)
        for session in ended:
            # 404: gone in the meantime, which is what was wanted.
            self._call("DELETE", f"/sessions/{segment(session['id'])}?isOffline=true", headers).check(404)
        return len(ended)

    def _find(self, name: str, headers: dict[str, str]) -> dict[str, Any] | None:
        """The user whose username, or else whose e-mail, is exactly the name."""
        for field in _FIELDS:
            asked = query({field: name, "exact": "true", "max": "2", "briefRepresentation": "false"})
            found = self._call("GET", f"/users?{asked}", headers).check().json()
            if len(found) > 1:
                raise Refused(f"{self._host} has several users with the {field} {name!r}; name one in [….principals]")
            if found:
                must_be(name, [found[0].get(field)], self._host, any_case=True)
                return dict(found[0])
        return None

    @property
    def _host(self) -> str:
        return urlsplit(self._admin).hostname or ""

    def _sign_in(self) -> dict[str, str]:
        """A token each time: it is short-lived, and locks are rare."""
        grant = {"grant_type": "client_credentials", "client_id": self._client, "client_secret": self._secret}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = self._http.send("POST", self._token_url, headers=headers, content=form(grant)).check().json()
        return {"authorization": f"Bearer {answer['access_token']}"}

    def _call(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Answer:
        content = None if body is None else msgspec.json.encode(body)
        kind = {} if content is None else {"content-type": "application/json"}
        return self._http.send(method, self._admin + path, headers={**headers, **kind}, content=content)


def _path(user: dict[str, Any]) -> str:
    return f"/users/{segment(user['id'])}"


def _writable(user: dict[str, Any]) -> dict[str, Any]:
    """The whole of the user as it was read: what a PUT leaves out may be taken for emptied."""
    return {name: value for name, value in user.items() if name not in ("access", "userProfileMetadata")}


def build(setup: Setup) -> Connector:
    names = setup.names("principals")
    settings = setup.without("principals").settings(KeycloakSettings)
    return Keycloak(setup.http(settings), settings, setup.secret(settings.secret_file), names)

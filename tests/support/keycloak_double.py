"""A small double of Keycloak's admin API, as far as the connector speaks to it: users are found by exact name, in lower case."""

import json
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.receiver import Reply, Request, json_reply


class KeycloakDouble:
    """`instead`: who is answered with, whoever is asked for."""

    def __init__(self, *names: str) -> None:
        self.users = [{"id": f"id-{name}", "username": name, "email": f"{name}@example.org", "enabled": True} for name in names]
        self.instead: list[dict] | None = None

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if parts.path.endswith("/token"):
            return json_reply({"access_token": "t"})
        path = unquote(parts.path).removeprefix("/admin/realms/t")
        if path == "/users":
            (field, wanted), *_ = [(key, value[0]) for key, value in parse_qs(parts.query).items() if key in ("username", "email")]
            found = [user for user in self.users if user[field] == wanted.lower()]
            return json_reply(found if self.instead is None else self.instead)
        user = next((user for user in self.users if path.startswith(f"/users/{user['id']}")), None)
        if user is None:
            return json_reply({"error": "not found"}, 404)
        if request.method == "PUT":
            user.update(json.loads(request.body))
        return json_reply([]) if request.method == "GET" else Reply(204, b"")

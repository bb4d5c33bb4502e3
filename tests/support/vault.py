"""A small double of Vault's HTTP API, as far as the connector speaks to it (developer.hashicorp.com/vault/api-docs): entities, tokens, leases."""

import itertools
import json
import time
from posixpath import normpath
from urllib.parse import quote, unquote, urlsplit

from tests.support.receiver import Reply, Request, json_reply

NOT_FOUND = json_reply({"errors": []}, 404)


class VaultDouble:
    def __init__(self, root: str) -> None:
        self._root, self._numbers = root, itertools.count(1)
        self.entities: dict[str, dict] = {}
        self.tokens: dict[str, dict] = {"root-accessor": {"entity_id": "", "accessor": "root-accessor"}}
        self.leases: dict[str, list[str]] = {"database/creds/train": ["l1", "l2"]}

    def answer(self, request: Request) -> Reply:
        # As Go's net/http does: decoded first, and what is not clean then is redirected to where it leads.
        whole = unquote(urlsplit(request.path).path)
        if (clean := normpath(whole)) != whole.rstrip("/"):
            return Reply(301, b"", {"location": quote(clean)})
        path = whole.removeprefix("/v1/")
        body = json.loads(request.body) if request.body else {}
        if path.startswith("auth/userpass/login/"):
            return self._login(path.rpartition("/")[2])
        if request.headers.get("x-vault-token") != self._root:
            return json_reply({"errors": ["permission denied"]}, 403)
        if path.startswith("identity/entity"):
            return self._entity(request.method, path.removeprefix("identity/entity"), body)
        if path.startswith("auth/token/"):
            return self._token(request, path.removeprefix("auth/token/"), body)
        return self._lease(request, path, body)

    def _login(self, name: str) -> Reply:
        entity = next(one for one in self.entities.values() if one["name"] == name)
        if entity["disabled"]:
            return json_reply({"errors": ["permission denied"]}, 403)
        accessor = f"accessor-{next(self._numbers)}"
        self.tokens[accessor] = {"entity_id": entity["id"], "accessor": accessor, "creation_time": int(time.time())}
        return json_reply({"auth": {"client_token": f"hvs.{accessor}", "accessor": accessor, "entity_id": entity["id"]}})

    def _entity(self, method: str, path: str, body: dict) -> Reply:
        kind, name = path.strip("/").split("/", 1)
        field = "name" if kind == "name" else "id"
        found = next((one for one in self.entities.values() if one[field] == name), None)
        if method in ("POST", "PUT"):
            if found is None:
                found = {"id": f"entity-{next(self._numbers)}", "name": name, "disabled": False}
                self.entities[found["id"]] = found
            found.update({key: value for key, value in body.items() if key == "disabled" and value is not None})
            return json_reply({"data": {"id": found["id"], "name": found["name"]}})
        return json_reply({"data": found}) if found else NOT_FOUND

    def _token(self, request: Request, path: str, body: dict) -> Reply:
        if path == "accessors":
            return json_reply({"data": {"keys": sorted(self.tokens)}})
        accessor = body["accessor"]
        if accessor not in self.tokens:
            return json_reply({"errors": ["1 error occurred:\n\t* invalid accessor\n\n"]}, 403)
        if path == "revoke-accessor":
            del self.tokens[accessor]
            return Reply(204, b"")
        return json_reply({"data": self.tokens[accessor]})

    def _lease(self, request: Request, path: str, body: dict) -> Reply:
        if path == "sys/leases/revoke":
            prefix, _, name = body["lease_id"].rpartition("/")
            self.leases[prefix].remove(name)
            return Reply(204, b"")
        keys = self.leases.get(path.removeprefix("sys/leases/lookup/").strip("/"), [])
        return json_reply({"data": {"keys": keys}}) if keys else NOT_FOUND

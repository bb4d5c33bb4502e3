"""HashiCorp Vault: a locked principal's entity is disabled, its tokens revoked by their accessors, its leases revoked; an unlock enables the entity.

Vault HTTP API, https://developer.hashicorp.com/vault/api-docs: auth/token, sys/leases, identity/entity. What is revoked stays revoked: after an unlock
one logs in anew. A subject `credential:…` is a token's accessor (it names a token and cannot be used as one). Needs read on
identity/entity/name/*, update on identity/entity/id/*, auth/token/lookup-accessor and revoke-accessor, list (with sudo) on auth/token/accessors,
and sys/leases/revoke.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tallystick_schemas.messages import Delivery
from tallystick_schemas.words import counted, noun

from .base import Connector, act_of, locked_s, subject_of, whose
from .errors import Refused, Retry
from .quoting import checked, must_be, segment
from .setup import Common, Setup
from .vault_http import VaultSession
from .whom import Names

_OURS: Final = "disabled entity"
_NOT_OURS: Final = "left disabled entity"
_MAX_ACCESSORS: Final = 10_000
_MAX_LEASES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class VaultSettings(Common):
    """`url` as https://vault.example.org:8200. `secret_file` holds the token that we speak with."""

    url: str
    secret_file: str
    namespace: str | None = None


class Vault:
    """An entity is disabled or not: only the newest order counts."""

    supersedes = True

    def __init__(self, client: Any, names: Names, leases: Names) -> None:
        self._vault, self._names, self._leases = client, names, leases

    def deliver(self, delivery: Delivery, now: float) -> str:  # noqa: ARG002 - the port's
        """step-up revokes tokens, so that he must log in again; suspend and revoke disable the entity first, so that he cannot."""
        with _translated():
            return self._deliver(delivery)

    def still_works(self, delivery: Delivery, now: float) -> str | None:  # noqa: ARG002 - the port's
        """Asked of Vault: the accessor, or the entity and its tokens."""
        with _translated():
            return self._alive(delivery)

    def _deliver(self, delivery: Delivery) -> str:
        kind, name = subject_of(delivery)
        act = act_of(delivery)
        checked(name)
        if kind == "credential":
            if act == "unlock":
                return "nothing to undo: a revoked token stays revoked, log in anew"
            return "revoked token" if self._revoke(name) else "nothing to do: no token has this accessor"
        principal = whose(delivery) or name
        entity = self._entity(principal)
        if act == "unlock":
            return self._enable(delivery, entity)
        if entity is not None:
            self._names.guard(delivery, [entity["name"]])
        # Disabled before its tokens go: one that is made in between would live on.
        said = self._disable(delivery, entity) if entity is not None and act != "step-up" else "left entity as it is"
        count = sum(self._revoke(one["accessor"]) for one in self._tokens(entity)) if entity is not None else 0
        return f"{said}; {counted(count, 'token')} revoked; {counted(self._end_leases(principal), 'lease')} revoked"

    def _alive(self, delivery: Delivery) -> str | None:
        kind, name = subject_of(delivery)
        if kind == "credential":
            return None if self._lookup(name) is None else "the token is known"
        entity = self._entity(whose(delivery) or name)
        if entity is None:
            return None
        if act_of(delivery) == "step-up":
            # Whoever logs in anew has a token again: that is what a step-up is for.
            older = [one for one in self._tokens(entity) if one.get("creation_time", 0) < locked_s(delivery)]
            return f"{counted(len(older), 'token')} from before {noun(len(older), 'is', 'are')} known" if older else None
        if not entity["disabled"]:
            return "the entity is enabled"
        return "one of its tokens is known" if self._tokens(entity) else None

    def _entity(self, principal: str) -> dict[str, Any] | None:
        from hvac.exceptions import InvalidPath

        name = self._names.there(principal) or principal
        try:
            # Not hvac's own function: it leaves slashes in a name as they are, so that one can lead to another entity's id.
            found = self._vault.adapter.get(url=f"/v1/identity/entity/name/{segment(name)}")
        except InvalidPath:
            return None
        if not isinstance(found, dict):
            return None
        entity = dict(found["data"])
        must_be(name, [entity.get("name")], "Vault", any_case=True)
        return entity

    def _switch(self, entity: dict[str, Any], *, disabled: bool) -> None:
        self._vault.adapter.post(url=f"/v1/identity/entity/id/{segment(entity['id'])}", json={"disabled": disabled})

    def _disable(self, delivery: Delivery, entity: dict[str, Any]) -> str:
        """As at Keycloak: a first attempt sees how it was before us; a repeat may see our own work."""
        earlier = delivery.detail
        ours = not entity["disabled"] or delivery.attempts > 1 or (earlier is not None and not earlier.startswith(_NOT_OURS))
        if not entity["disabled"]:
            self._switch(entity, disabled=True)
        return _OURS if ours else f"{_NOT_OURS} as it was"

    def _enable(self, delivery: Delivery, entity: dict[str, Any] | None) -> str:
        earlier = delivery.detail
        if entity is None or earlier is None or earlier.startswith((_NOT_OURS, "left entity", "nothing")):
            return "nothing to undo: no entity was disabled by us"
        self._switch(entity, disabled=False)
        return "enabled entity; what was revoked stays so"

    def _tokens(self, entity: dict[str, Any]) -> list[dict[str, Any]]:
        """What Vault tells of each of the entity's tokens. Vault has no index by entity, so each is looked up."""
        from hvac.exceptions import InvalidPath

        try:
            keys = self._vault.auth.token.list_accessors()["data"]["keys"]
        except InvalidPath:
            return []
        if len(keys) > _MAX_ACCESSORS:
            raise Refused(f"Vault has {len(keys)} tokens, more than the {_MAX_ACCESSORS} that are looked through; the entity is disabled")
        return [found for key in keys if (found := self._lookup(key)) is not None and found.get("entity_id") == entity["id"]]

    def _lookup(self, accessor: str) -> dict[str, Any] | None:
        from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

        try:
            found = dict(self._vault.auth.token.lookup_accessor(accessor)["data"])
        except (InvalidPath, InvalidRequest):
            return None
        except Forbidden as error:
            # Vault answers 403 for an accessor that is gone, and for one that we may not see; its text tells them apart.
            if "invalid accessor" in str(error):
                return None
            raise
        if found.get("accessor") != accessor:
            raise Refused("Vault was asked for one accessor and answered with another token; nothing was done to it")
        return found

    def _revoke(self, accessor: str) -> bool:
        """Whether there was such a token."""
        if self._lookup(accessor) is None:
            return False
        self._vault.auth.token.revoke_accessor(accessor)
        return True

    def _end_leases(self, principal: str) -> int:
        """Revoke the leases under the prefix that [….leases] names for him; those that nobody else gets."""
        from hvac.exceptions import InvalidPath

        prefix = (self._leases.there(principal) or "").strip("/")
        if not prefix:
            return 0
        try:
            keys = self._vault.sys.list_leases(prefix=prefix + "/")["data"]["keys"]
        except InvalidPath:
            return 0
        for key in keys[:_MAX_LEASES]:
            self._vault.sys.revoke_lease(f"{prefix}/{key}")
        if len(keys) > _MAX_LEASES:
            raise Retry(f"{_MAX_LEASES} of {len(keys)} leases are revoked, the rest is next")
        return len(keys)


@contextmanager
def _translated() -> Iterator[None]:
    """What hvac raises becomes Retry or Refused by its class, never with its text, which may hold the address and the answer."""
    from hvac import exceptions

    later = (exceptions.InternalServerError, exceptions.BadGateway, exceptions.VaultDown, exceptions.RateLimitExceeded)
    try:
        yield
    except (*later, exceptions.VaultNotInitialized) as error:
        raise Retry(f"Vault answered {type(error).__name__}") from None
    except exceptions.UnexpectedError:
        raise Retry("Vault answered in a way that hvac does not know") from None
    except exceptions.VaultError as error:
        raise Refused(f"Vault answered {type(error).__name__}") from None


def build(setup: Setup) -> Connector:
    import hvac

    names, leases = setup.names("principals"), setup.names("leases")
    settings = setup.without("principals", "leases").settings(VaultSettings)
    client = hvac.Client(
        url=settings.url.rstrip("/"),
        token=setup.secret(settings.secret_file),
        namespace=settings.namespace,
        session=VaultSession(setup.http(settings)),
        allow_redirects=False,
    )
    return Vault(client, names, leases)

"""Who may say what: the scope that the operator gave an agent, asked of each event at the least cost.

Most agents may vouch for anything, or for some actions: then an event costs nothing, or one look-up.
"""

from collections.abc import Callable
from typing import Any, Final, final

from tallystick_schemas.roles import Keyring, Scope

ScopeOf = Callable[[str, str], Scope | None]
"""(agent, key id) -> what it may vouch for; None: for nothing that acts."""
OWN_LIFE: Final = "agent."
"""How actions begin that an agent says of itself: no scope has them, and they count for who signed them alone."""
_MOST: Final = 50_000


def anybody(_agent: str, _key: str) -> Scope | None:
    """Everybody may vouch for everything: where no stream is read, in replays and evaluations."""
    return _ALL


def told_by(keyring: Keyring) -> ScopeOf:
    """What the operator's directives say of a key now: nothing that acts, while they say nothing."""

    def scope_of(agent: str, key: str) -> Scope | None:
        holder = keyring.holder(agent, key)
        return holder.scope if holder is not None and holder.active else None

    return scope_of


_ALL: Final = Scope()


@final
class Warrant:
    """One key's scope, and what was asked of it before."""

    def __init__(self, agent: str, scope: Scope | None) -> None:
        self.scope: Final = scope
        self.whole: Final = scope is not None and scope.actions is None and scope.principals is None and scope.resources is None
        """It may vouch for anything."""
        self._agent = agent
        self._actions: dict[str, bool] = {}
        self._principals: dict[str, bool] = {}
        self._resources: dict[str, bool] = {}

    def covers(self, event: Any) -> bool:
        """Whether the agent may say what this event says."""
        action: str = event.action
        if action.startswith(OWN_LIFE):
            own: bool = event.actor.principal == self._agent
            return own
        scope = self.scope
        if scope is None:
            return False
        known = self._actions.get(action)
        if known is None:
            known = self._actions[action] = Scope(actions=scope.actions).covers(action, "", "")
        if not known:
            return False
        return (scope.principals is None or self._may_name(event.actor.principal)) and (
            scope.resources is None or self._may_touch(event.resource.kind, event.resource.id)
        )

    def _may_name(self, principal: str) -> bool:
        known = self._principals.get(principal)
        if known is None:
            assert self.scope is not None
            if len(self._principals) >= _MOST:
                self._principals.clear()
            known = self._principals[principal] = Scope(principals=self.scope.principals).covers("", principal, "")
        return known

    def _may_touch(self, kind: str, name: str) -> bool:
        resource = f"{kind}/{name}"
        known = self._resources.get(resource)
        if known is None:
            assert self.scope is not None
            if len(self._resources) >= _MOST:
                self._resources.clear()
            known = self._resources[resource] = Scope(resources=self.scope.resources).covers("", "", resource)
        return known

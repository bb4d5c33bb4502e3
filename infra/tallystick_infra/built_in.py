"""Our own parts as agents: the roles of each, and what it may vouch for. One table; the supervisor binds it to their keys (ADR 0023).

A scope bounds what findings may rest on. What a part says of its own life (`agent.start`, heartbeats) counts for the agent that signed it, with no
scope; so no list here has `agent.*`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from tallystick_schemas.encoding import to_base64
from tallystick_schemas.roles import Mandate, Role, Scope

ANYTHING: Final = Scope()
NOTHING: Final = Scope(actions=[])
_ORDERS: Final = Scope(actions=["credential.suspend", "credential.resume", "credential.revoke", "incident.*", "access.grant"])

ROLE_SCOPES: Final[Mapping[Role, Scope]] = {
    "notary": NOTHING,  # it judges what others record, and records nothing
    "detectors": Scope(actions=["incident.open", "incident.update", "policy.update"]),  # findings, and the policy that they were made by
    "responder": Scope(actions=["credential.*", "incident.*"]),  # locks, decisions, findings about our own work
    "outbox": Scope(actions=["incident.*"]),  # deliveries and proofs
    "commander": _ORDERS,
}
"""What a role needs and no more; of `point` and `recorder` only the operator knows what they see."""


class Part(NamedTuple):
    """One of our own agents."""

    roles: tuple[Role, ...]
    scope: Scope


BUILT_IN: Final[Mapping[str, Part]] = {
    # Whoever comes to the door, of whatever name; beside that, which locks the door has applied.
    "gateway": Part(("point",), Scope(actions=["artifact.*", "dataset.*", "access.check", "auth.*", "incident.update"])),
    "console": Part(("commander",), _ORDERS),
    "cli": Part(("commander",), Scope(actions=[*(_ORDERS.actions or []), "policy.update"])),  # `tallystick detect policy set`
    # Beside orders that an issuer may give: what was said of streams, and which of them are on.
    "signals": Part(("commander",), Scope(actions=["credential.suspend", "credential.revoke", "incident.*", "policy.update"])),
    **{name: Part((name,), ROLE_SCOPES[name]) for name in ("notary", "detectors", "responder", "outbox")},
}
BUILT_IN_AGENTS: Final = tuple(BUILT_IN)
"""Their keys are made with the deployment; the supervisor enrols them and gives them their roles."""


def mandate_of(public: bytes, roles: tuple[Role, ...] = ("recorder",), scope: Scope | None = None) -> Mandate:
    """What an operator says of a key (32 raw bytes); the roles' own scope where none is given and they have one."""
    if scope is None and len(roles) == 1:
        scope = ROLE_SCOPES.get(roles[0])
    return Mandate(to_base64(public), list(roles), "active", scope)


def agent_of(part: str, instance: str) -> str:
    """The agent that one process of a part signs as: the part's own, or `<part>.<instance>` for a further one."""
    return part if instance in ("", "embedded") else f"{part}.{instance}"

"""The closed list of actions (SPEC section 3), each with its OCSF 1.8 class, so that an export needs no guess."""

from difflib import get_close_matches
from typing import Final, Literal

OUTCOMES: Final = ("allowed", "denied", "error")
Outcome = Literal["allowed", "denied", "error"]
ActorKind = Literal["human", "service", "agent"]
Sensitivity = Literal["public", "internal", "proprietary", "restricted"]

_DATASTORE, _FILE, _API, _INCIDENT, _ENTITY, _REMEDIATION, _ACCOUNT, _AUTH = (
    6005,
    6006,
    6003,
    2005,
    3004,
    7001,
    3001,
    3002,
)

ACTIONS: Final[dict[str, int]] = {
    "artifact.list": _DATASTORE,
    "artifact.read": _DATASTORE,
    "artifact.download": _FILE,
    "artifact.upload": _FILE,
    "artifact.copy": _FILE,
    "artifact.share": _FILE,
    "artifact.delete": _FILE,
    "dataset.query": _DATASTORE,
    "dataset.read": _DATASTORE,
    "dataset.export": _DATASTORE,
    "model.load": _API,
    "model.infer": _API,
    "model.finetune": _API,
    "model.evaluate": _API,
    "access.request": _FILE,
    "access.grant": _FILE,
    "access.deny": _FILE,
    "access.check": _FILE,
    "auth.logon": _AUTH,
    "auth.fail": _AUTH,
    "credential.issue": _ENTITY,
    "credential.renew": _ENTITY,
    "credential.suspend": _ENTITY,
    "credential.resume": _ENTITY,
    "credential.revoke": _ENTITY,
    "artifact.register": _ENTITY,
    "artifact.scan": _ENTITY,
    "artifact.approve": _ENTITY,
    "artifact.deprecate": _ENTITY,
    "artifact.retire": _ENTITY,
    "artifact.quarantine": _REMEDIATION,
    "provenance.record": _ENTITY,
    "policy.update": _ENTITY,
    "incident.open": _INCIDENT,
    "incident.update": _INCIDENT,
    "incident.decide": _INCIDENT,
    "incident.note": _INCIDENT,
    "incident.close": _INCIDENT,
    "agent.start": _API,
    "agent.heartbeat": _API,
    "agent.stop": _API,
}
"""Action -> OCSF class uid."""

DISPOSITIONS: Final = (
    "false-positive",
    "testing-or-maintenance",
    "remediated",
    "case-opened",
    "true-positive-benign",
    "true-positive-malicious",
    "other",
)
"""What a person may say that a finding was: attribute `disposition` of `incident.close`."""


def no_action(action: str) -> str:
    """What is said of an action that is none, with the nearest that is one."""
    near = get_close_matches(action, ACTIONS, n=1)
    return f"action {action!r} is not in the vocabulary" + (
        f"; did you mean {near[0]!r}?" if near else f", which has {', '.join(sorted(ACTIONS))}"
    )

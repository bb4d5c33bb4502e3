"""D13: somebody read a decoy. Nobody has a reason to, so once is enough."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding

from .base import Meta, State, in_force, make_finding
from .credentials import one_credential
from .facts import Fact, touches

_AGAIN_S: Final = 3600
_MAX_CREDENTIALS: Final = 16

META: Final = Meta(
    id="D13",
    title="A canary artifact was read",
    techniques=("T1530",),
    severity="critical",
    most="suspend",
    blind_spots="A thief who knows which artifacts are decoys.",
)


class Canary:
    """The door marks decoys in attrs `canary`."""

    alone: Final = True

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        event, attrs = fact.event, fact.attrs
        if not attrs or attrs.get("canary") != "true" or fact.object is None:
            return None
        told: dict[str, float] = state.setdefault("told_of", {})
        spoke = fact.credential
        if fact.time - told.get(spoke, -_AGAIN_S) < _AGAIN_S:
            return None
        # Each credential is told: the lock on the first would leave the second free. From the second on, it is the principal.
        credential = one_credential(state, spoke, fact.time, _AGAIN_S)
        told.pop(spoke, None)
        told[spoke] = fact.time
        while len(told) > _MAX_CREDENTIALS:
            del told[next(iter(told))]
        return make_finding(
            self.meta,
            fact,
            value=1,
            threshold=1,
            window_s=0,
            evidence=[fact.place],
            act="suspend",
            deterministic=True,
            text=f"{event.actor.principal} read the decoy {event.resource.part or event.resource.id}.",
            credential=credential,
        )
